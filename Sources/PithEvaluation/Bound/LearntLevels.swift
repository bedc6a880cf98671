import PithCoding
import PithCore

/// A vector of which every element is one of a few levels that were fitted to it, and its code.
package struct LearntLevels: Equatable {
    /// The levels, in rising order, as 16 bits of a float hold them (bfloat16).
    package var levels: [Float]
    /// The level of each element.
    package var symbols: [Int]

    /// The permitted numbers of levels.
    static let levelRange = 2...64

    /// The vector.
    package var values: [Float] { symbols.map { levels[$0] } }

    /// Fits `count` levels to `values` (Lloyd's algorithm, from quantiles), or begins from `start`.
    package init(_ values: [Float], count: Int, rounds: Int = 20, start: [Float]? = nil) {
        let sorted = values.sorted()
        levels =
            start ?? (0..<count).map { Self.rounded(sorted[(2 * $0 + 1) * sorted.count / (2 * count)]) }
        symbols = []
        for _ in 0..<rounds {
            symbols = values.map(nearest)
            var (sums, counts) = (
                [Double](repeating: 0, count: levels.count), [Int](repeating: 0, count: levels.count)
            )
            for (value, symbol) in zip(values, symbols) {
                sums[symbol] += Double(value)
                counts[symbol] += 1
            }
            for index in levels.indices where counts[index] > 0 {
                levels[index] = Self.rounded(Float(sums[index] / Double(counts[index])))
            }
            levels.sort()
        }
        symbols = values.map(nearest)
    }

    /// The nearest float of which only the upper 16 bits are set.
    private static func rounded(_ value: Float) -> Float {
        Float(bitPattern: (value.bitPattern &+ 0x8000) & 0xFFFF_0000)
    }

    private func nearest(_ value: Float) -> Int {
        levels.indices.min { abs(levels[$0] - value) < abs(levels[$1] - value) } ?? 0
    }

    /// How many levels there are, the levels, then the symbols by the range coder with frequencies that it learns.
    package func encoded() -> [UInt8] {
        var bytes = [UInt8(levels.count)]
        for level in levels {
            let pattern = level.bitPattern >> 16
            bytes += [UInt8(truncatingIfNeeded: pattern), UInt8(truncatingIfNeeded: pattern >> 8)]
        }
        var (encoder, model) = (RangeEncoder(), Self.model(levels.count))
        for symbol in symbols { model.encode(symbol, to: &encoder) }
        return bytes + encoder.finish()
    }

    /// Reads a vector of `count` elements.
    package init(encoded bytes: [UInt8], count: Int) throws(PithError) {
        guard let first = bytes.first, Self.levelRange.contains(Int(first)),
            bytes.count > 2 * Int(first)
        else {
            throw .invalidStream("the levels are missing")
        }
        let size = Int(first)
        levels = (0..<size).map {
            Float(bitPattern: UInt32(bytes[1 + 2 * $0]) << 16 | UInt32(bytes[2 + 2 * $0]) << 24)
        }
        guard levels.allSatisfy(\.isFinite) else { throw .invalidStream("a level is no number") }
        var (decoder, model) = (try RangeDecoder(Array(bytes[(1 + 2 * size)...])), Self.model(size))
        symbols = []
        for _ in 0..<count { symbols.append(try model.decode(from: &decoder)) }
    }

    private static func model(_ count: Int) -> AdaptiveFrequencies {
        AdaptiveFrequencies(symbolCount: count, increment: 1, limit: 1 << 16)
    }
}
