import PithCore
import PithTensor

/// A compressor as a generator: what it codes shortly it finds likely.
///
/// The code length of a text and of the same text with one more byte differ by the bits that the compressor wants for
/// that byte; so lengths for all bytes are a distribution of the next one.
public struct CompressorSampler {
    private let method: any DataMethod
    private let context: CodingContext
    private let temperature: Double
    private var generator: SeededGenerator

    /// A generator from a method; the bits of code lengths are divided by `temperature`, which is positive.
    public init(
        _ method: any DataMethod, temperature: Double = 1, seed: UInt64 = 0, _ context: CodingContext
    ) throws(PithError) {
        guard temperature > 0, temperature.isFinite else {
            throw .usage("a temperature of \(temperature)", remedy: "it should be above 0")
        }
        (self.method, self.temperature, self.context) = (method, temperature, context)
        generator = SeededGenerator(seed: seed)
    }

    /// How likely each byte is after `text`, [256].
    public func probabilities(after text: [UInt8]) throws(PithError) -> [Double] {
        let counts = try context.pool.map(256, grain: 8) { [method, context] (byte) throws(PithError) in
            try method.encode(text + [UInt8(byte)], context).count
        }
        let shortest = counts.min() ?? 0
        let weights = counts.map { exponential(Double(8 * (shortest - $0)) / temperature * naturalLogarithm(2)) }
        let sum = weights.reduce(0, +)
        return weights.map { $0 / sum }
    }

    /// `count` bytes after `prompt`.
    public mutating func bytes(_ count: Int, after prompt: [UInt8]) throws(PithError) -> [UInt8] {
        var text = prompt
        for _ in 0..<count {
            var threshold = Double(generator.uniform())
            let probabilities = try probabilities(after: text)
            let byte = probabilities.firstIndex { probability in
                threshold -= probability
                return threshold < 0
            }
            text.append(UInt8(truncatingIfNeeded: byte ?? 255))
        }
        return Array(text.dropFirst(prompt.count))
    }
}
