import PithCoding
import PithCore

/// The model behind `statesmix`: a state-space model's logits, and biases of counted n-grams, scaled by its entropy.
struct StateSpaceMixture {
    private var network: StateSpacePredictor?
    private var grams: GramTables?
    private var last: UInt8 = 0
    private var scale: Float = 1
    // How far the network's logits are trusted; learnt like the biases.
    private var trust: Float = 1
    private var trustSpread: Float = 4096
    // Mixed logits, and their probabilities, of [256].
    private let mixed = FloatBuffer(256)
    private let probabilities = FloatBuffer(256)

    /// A mixture of a network or n-grams or both.
    init(network configuration: StateSpacePredictor.Configuration?, grams: Bool) {
        network = configuration.map { StateSpacePredictor($0) }
        self.grams = grams ? GramTables() : nil
    }

    /// Shares of the next byte.
    mutating func predict() throws(PithError) -> CumulativeTable {
        grams?.lookUp()
        scale = 1
        mixed.floats.clear(256)
        if network != nil, !isForeseen {
            network?.predict(after: last)
            if let network {
                scale = Self.scale(network.entropy)
                for i in stride(from: 0, to: 256, by: 16) { mixed.floats.store(network.logits.lanes(i) * trust, i) }
            }
        }
        grams?.add(to: mixed.floats, scale: scale)
        return try CumulativeTable(logits: UnsafeBufferPointer(start: mixed.floats, count: 256))
    }

    /// Learns the byte that came.
    mutating func update(_ byte: UInt8) {
        if grams != nil {
            _ = softmax(mixed.floats, 256, into: probabilities.floats)
            probabilities.floats[Int(byte)] -= 1
            if let network, !isForeseen {
                let slope = dot(probabilities.floats, network.logits, 256)
                trustSpread += slope * slope
                trust -= Self.trustRate * slope / trustSpread.squareRoot()
            }
            grams?.update(byte, slopes: probabilities.floats, scale: scale)
        }
        if !isForeseen { network?.learn(byte) }
        last = byte
    }

    // Bytes foreseen by the n-grams have nothing to teach: the network is not shown them.
    private var isForeseen: Bool { grams?.foresees ?? false }
    private static let trustRate: Float = 0.02

    /// Counts help where the network is at a loss: 0.4 + 0.6 · H / 2, between 0.2 and 2.5.
    private static func scale(_ entropy: Float) -> Float {
        min(max(0.4 + 0.3 * entropy, 0.2), 2.5)
    }
}
