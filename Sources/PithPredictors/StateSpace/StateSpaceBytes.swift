/// The state-space model alone as shares of the next byte, in whole numbers: a model for mixtures of other engines.
package struct StateSpaceBytes {
    /// The share of each byte in about 2²⁴; none is 0, and together they are at most 2²⁴ + 256.
    package private(set) var distribution = [UInt32](repeating: 1 << 16, count: 256)
    private var network: StateSpacePredictor

    /// A model that has seen nothing, about to predict a first byte.
    package init(_ configuration: StateSpacePredictor.Configuration) {
        network = StateSpacePredictor(configuration)
        predict(after: 0)
    }

    /// Learns the byte that came, and predicts the next.
    package mutating func update(_ byte: UInt8) {
        network.learn(byte)
        predict(after: byte)
    }

    private mutating func predict(after byte: UInt8) {
        network.predict(after: byte)
        // A product with a power of two is exact, and the rest is cut off: no rounding that could differ.
        for symbol in 0..<256 { distribution[symbol] = UInt32(network.probabilities[symbol] * 16_777_216) + 1 }
    }
}
