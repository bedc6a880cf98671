import Foundation
import PithCoding
import PithCore
import PithTensor
import Testing

@Suite("Range coder")
struct RangeCoderTests {
    /// Bits with probabilities of `bits` bits, by which they are drawn.
    private func drawn(_ count: Int, bits: UInt32, seed: UInt64) -> [(bit: Bool, probability: UInt32)] {
        var random = SeededGenerator(seed: seed)
        return (0..<count).map { _ in
            let probability = UInt32(1 + random.index(below: 1 << Int(bits) - 1))
            return (random.index(below: 1 << Int(bits)) < Int(probability), probability)
        }
    }

    @Test("bits come back, and take what they should", arguments: [12, 13, 14, 15, 16] as [UInt32])
    func binary(bits: UInt32) throws {
        for count in [0, 1, 2, 3, 7, 50, 200_000] {
            let sequence = drawn(count, bits: bits, seed: UInt64(count) + 1)
            var (encoder, ideal) = (RangeEncoder(), 0.0)
            for (bit, probability) in sequence {
                encoder.encode(bit, probability: probability, bits: bits)
                let share = Double(probability) / Double(1 << bits)
                ideal -= log2(bit ? share : 1 - share)
            }
            let stream = encoder.finish()
            #expect(Double(stream.count * 8) <= ideal * 1.0001 + 8)
            var decoder = try RangeDecoder(stream)
            let read = try sequence.map { try decoder.decode(probability: $0.probability, bits: bits) }
            #expect(read == sequence.map(\.bit))
        }
    }

    @Test("likely bits take next to nothing")
    func skewed() throws {
        let count = 1_000_000
        var encoder = RangeEncoder()
        for i in 0..<count { encoder.encode(i % 65536 == 77, probability: 1) }
        let stream = encoder.finish()
        let hits = Double((count + 65536 - 78) / 65536)
        let ideal = hits * 16 - (Double(count) - hits) * log2(65535.0 / 65536)
        #expect(Double(stream.count * 8) <= ideal * 1.001 + 8)
        var decoder = try RangeDecoder(stream)
        let wrong = try (0..<count).count { try decoder.decode(probability: 1) != ($0 % 65536 == 77) }
        #expect(wrong == 0)
    }

    @Test("carries run back through long rows of 255")
    func carries() throws {
        // Always the upper part, nearly all of the range: the low end creeps up to a carry.
        for tail in 0..<40 {
            var encoder = RangeEncoder()
            let bits = (0..<3000).map { _ in false } + (0..<tail).map { $0 % 3 != 0 }
            for bit in bits { encoder.encode(bit, probability: 1 << 15 - 1) }
            var decoder = try RangeDecoder(encoder.finish())
            #expect(try bits.map { _ in try decoder.decode(probability: 1 << 15 - 1) } == bits)
        }
    }

    @Test(
        "symbols come back, and take what they should",
        arguments: [1, 2, 3, 255, 256, 1000, 65535, 65536, 1_000_003, 1 << 24] as [UInt32])
    func symbols(total: UInt32) throws {
        var random = SeededGenerator(seed: UInt64(total))
        // Shares with random borders.
        let borders = Set((0..<40).map { _ in UInt32(random.index(below: Int(total))) }).union([0, total]).sorted()
        let (isPower, bits) = (total.nonzeroBitCount == 1, UInt32(total.trailingZeroBitCount))
        for count in [0, 1, 5, 100_000] {
            let chosen = (0..<count).map { _ in
                let slot = UInt32(random.index(below: Int(total)))
                return borders.lastIndex { $0 <= slot }!
            }
            var (encoder, ideal) = (RangeEncoder(), 0.0)
            for index in chosen {
                let (start, frequency) = (borders[index], borders[index + 1] - borders[index])
                if isPower {
                    encoder.encode(start: start, frequency: frequency, totalBits: bits)
                } else {
                    encoder.encode(start: start, frequency: frequency, total: total)
                }
                ideal += log2(Double(total) / Double(frequency))
            }
            let stream = encoder.finish()
            #expect(Double(stream.count * 8) <= ideal * 1.001 + 8)
            var decoder = try RangeDecoder(stream)
            for index in chosen {
                let slot = decoder.slot(total: total)
                guard borders[index] <= slot && slot < borders[index + 1] else {
                    Issue.record("slot \(slot) instead of symbol \(index)")
                    return
                }
                let (start, frequency) = (borders[index], borders[index + 1] - borders[index])
                if isPower {
                    try decoder.advance(start: start, frequency: frequency, totalBits: bits)
                } else {
                    try decoder.advance(start: start, frequency: frequency, total: total)
                }
            }
        }
    }

    @Test("a cut stream throws, a changed one gives symbols or throws")
    func damage() throws {
        let sequence = drawn(4000, bits: 12, seed: 9)
        var encoder = RangeEncoder()
        for (bit, probability) in sequence { encoder.encode(bit, probability: probability, bits: 12) }
        let stream = encoder.finish()
        var refused = 0
        for broken in Samples.damaged(stream, copies: 4000, seed: 3) {
            do throws(PithError) {
                var decoder = try RangeDecoder(broken)
                for (_, probability) in sequence { _ = try decoder.decode(probability: probability, bits: 12) }
            } catch {
                #expect(error.kind == .data)
                refused += 1
            }
        }
        #expect(refused > 1000)
        // Symbols of a wrong table are refused, not believed.
        var decoder = try RangeDecoder(stream)
        let slot = decoder.slot(total: 1000)
        #expect(throws: PithError.self) { try decoder.advance(start: slot + 1, frequency: 1, total: 1000) }
    }
}
