import Foundation
import PithCoding
import PithCore
import PithTensor
import Testing

@Suite("Models for range coding")
struct ModelTests {
    @Test("powers and logarithms are right, to the last bits")
    func fixedPoint() {
        var (worstPower, worstLog) = (0.0, 0.0)
        for x in stride(from: 0, to: -34 << 16, by: -7) {
            let exact = exp2(Double(x) / 65536) * 0x1p32
            worstPower = max(worstPower, abs(Double(FixedPoint.powerOfTwo(x)) - exact))
        }
        #expect(worstPower <= 0.51 && FixedPoint.powerOfTwo(0) == 1 << 32 && FixedPoint.powerOfTwo(-65536) == 1 << 31)
        var random = SeededGenerator(seed: 1)
        for _ in 0..<20000 {
            let x = max(1, random.next() >> UInt64(random.index(below: 64)))
            worstLog = max(worstLog, log2(Double(x)) * 65536 - Double(FixedPoint.log2(x)))
        }
        #expect(worstLog < 1.01 && FixedPoint.log2(1) == 0 && FixedPoint.log2(1 << 40) == 40 << 16)
    }

    @Test("stretch and squash are inverse")
    func logistic() {
        for x in -Logistic.limit...Logistic.limit {
            let exact = 65536 / (1 + exp(-Double(x) / 256))
            #expect(abs(Double(Logistic.squash(x)) - exact) <= 1)
        }
        for p in 1..<UInt32(65536) {
            let exact = 256 * log(Double(p) / Double(65536 - p))
            // In steps of 16 where the curve is flat.
            #expect(abs(Double(Logistic.stretch(p)) - exact) <= 1.1)
            #expect(Logistic.stretch(p) == -Logistic.stretch(65536 - p) || (4096...61440).contains(p))
        }
    }

    private func coded(_ bytes: [UInt8], _ encode: (UInt8, inout RangeEncoder) -> Void) -> [UInt8] {
        var encoder = RangeEncoder()
        for byte in bytes { encode(byte, &encoder) }
        return encoder.finish()
    }

    @Test("adaptive frequencies learn and come back", arguments: [300, 4096, 65536])
    func frequencies(alphabet: Int) throws {
        let make = { AdaptiveFrequencies(symbolCount: alphabet, increment: 32, limit: 1 << 18) }
        for (name, bytes) in Samples.all where bytes.count <= 65536 {
            // Far apart, so that all of the tree is used.
            let symbols = bytes.map { Int($0) * (alphabet / 256) + 1 }
            var (model, encoder) = (make(), RangeEncoder())
            for symbol in symbols { model.encode(symbol, to: &encoder) }
            let stream = encoder.finish()
            model = make()
            var decoder = try RangeDecoder(stream)
            #expect(try symbols.map { _ in try model.decode(from: &decoder) } == symbols, "\(name)")
        }
        // What is learnt comes near to the ideal.
        let bytes = Samples.geometric(200_000, ratio: 0.8)
        var model = AdaptiveFrequencies(symbolCount: 256, limit: 1 << 20)
        let stream = coded(bytes) { model.encode(Int($0), to: &$1) }
        #expect(Double(stream.count * 8) < 1.005 * Samples.idealBits(bytes))
    }

    @Test("a tree of bits learns and comes back")
    func bitTree() throws {
        for (name, bytes) in Samples.all where bytes.count <= 65536 {
            var model = BitTree(bits: 8)
            let stream = coded(bytes) { model.encode(Int($0), to: &$1) }
            model = BitTree(bits: 8)
            var decoder = try RangeDecoder(stream)
            #expect(try bytes.map { _ in UInt8(try model.decode(from: &decoder)) } == bytes, "\(name)")
        }
        let bytes = Samples.geometric(200_000, ratio: 0.8)
        var model = BitTree(bits: 8)
        let stream = coded(bytes) { model.encode(Int($0), to: &$1) }
        #expect(Double(stream.count * 8) < 1.02 * Samples.idealBits(bytes))
    }

    @Test("estimates reach what they see")
    func estimates() {
        for share in [0, 0.001, 0.1, 0.5, 0.9, 0.999, 1] {
            var (counted, shifted, random) = (AdaptiveBit(), ShiftedBit(), SeededGenerator(seed: 3))
            var (sums, seen, outside) = ([0.0, 0.0], 0.0, 0)
            for i in 0..<50000 {
                let bit = Double(random.uniform()) < share
                counted.update(bit, limit: 1000)
                shifted.update(bit, rate: 7)
                let estimates = [counted.probability, UInt32(shifted.probability)]
                outside += estimates.count { !(1..<65536).contains($0) }
                guard i >= 10000 else { continue }
                seen += bit ? 1 : 0
                for (index, estimate) in estimates.enumerated() { sums[index] += Double(estimate) / 65536 }
            }
            #expect(outside == 0)
            for sum in sums { #expect(abs(sum - seen) / 40000 < 0.004) }
        }
    }

    /// Bits that one of three models knows by context, coded with the mix of all; the length in bits for each.
    private func mixedLength(mixing: Bool) -> Double {
        var (mixer, map) = (LogisticMixer(inputs: 3, sets: 2), AdaptiveProbabilityMap(contexts: 2))
        var (random, encoder) = (SeededGenerator(seed: 5), RangeEncoder())
        let count = 60000
        for i in 0..<count {
            let bit = random.uniform() < 0.5
            // Which model is right alternates with a context; the third one knows nothing.
            let knowing: UInt32 = bit ? 60000 : 5536
            let guessing = UInt32(1 + random.index(below: 65535))
            let inputs = i % 2 == 0 ? [knowing, guessing, 32768] : [guessing, knowing, 32768]
            for (index, p) in inputs.enumerated() { mixer.setInput(index, stretched: Logistic.stretch(p)) }
            let mixed = mixer.mix(set: i % 2)
            let refined = map.refine(stretched: mixed, context: i % 2)
            encoder.encode(bit, probability: mixing ? refined : inputs[0])
            mixer.update(bit)
            map.update(bit)
        }
        return Double(encoder.finish().count * 8) / Double(count)
    }

    @Test("a mixer finds the model that knows, and a map how well it knows")
    func mixing() {
        // The knowing model is always right though it says 60000 of 65536: the map learns that.
        #expect(mixedLength(mixing: true) < 0.02)
        #expect(mixedLength(mixing: false) > 0.3)
    }

    @Test("logits become shares near to the softmax's", arguments: [1, 2, 300, 4096, 50257])
    func logits(count: Int) throws {
        var random = SeededGenerator(seed: UInt64(count))
        let logits = (0..<count).map { _ in random.normal() * 4 }
        let table = try logits.withUnsafeBufferPointer { (l) throws(PithError) in try CumulativeTable(logits: l) }
        #expect(table.symbolCount == count)
        let largest = logits.max()!
        let weights = logits.map { exp(Double($0 - largest)) }
        let sum = weights.reduce(0, +)
        var (end, cost, entropy) = (UInt32(0), 0.0, 0.0)
        for symbol in 0..<count {
            let share = table.share(of: symbol)
            #expect(share.start == end && share.frequency >= 1)
            end = share.start + share.frequency
            #expect(table.symbol(at: share.start) == symbol && table.symbol(at: end - 1) == symbol)
            let p = weights[symbol] / sum
            cost -= p * log2(Double(share.frequency) / Double(1 << 24))
            entropy -= p > 0 ? p * log2(p) : 0
        }
        #expect(end == 1 << 24)
        #expect(cost <= entropy + log2(1 + Double(count) / Double(1 << 24 - count)) + 1e-4)
    }

    @Test("symbols by logits come back; wild logits are shares or refused")
    func codedLogits() throws {
        var random = SeededGenerator(seed: 21)
        let tables = try (0..<50).map { _ in
            try (0..<97).map { _ in random.normal() * 3 }.withUnsafeBufferPointer { try CumulativeTable(logits: $0) }
        }
        let chosen = tables.map { $0.symbol(at: UInt32(random.index(below: 1 << 24))) }
        var encoder = RangeEncoder()
        for (table, symbol) in zip(tables, chosen) { table.encode(symbol, to: &encoder) }
        var decoder = try RangeDecoder(encoder.finish())
        for (table, symbol) in zip(tables, chosen) { #expect(try table.decode(from: &decoder) == symbol) }
        func table(_ logits: [Float]) throws -> CumulativeTable {
            try logits.withUnsafeBufferPointer { (l) throws(PithError) in try CumulativeTable(logits: l, totalBits: 12)
            }
        }
        #expect(try table([3e38, -3e38, 0]).share(of: 0).frequency == 4094)
        #expect(try table([5, 5, 5, 5]).share(of: 1).frequency == 1024)
        for bad in [[], [.nan], [0, .infinity], [Float](repeating: 0, count: 4096)] as [[Float]] {
            #expect(throws: PithError.self) { try table(bad) }
        }
    }

    @Test("rANS with shares of a model comes back; damage is found")
    func rans() throws {
        var random = SeededGenerator(seed: 31)
        for count in [0, 1, 2, 20000] {
            let shares: [(UInt32, UInt32, UInt32)] = (0..<count).map { _ in
                let bits = UInt32(1 + random.index(below: 16))
                let start = UInt32(random.index(below: 1 << Int(bits)))
                return (start, UInt32(1 + random.index(below: 1 << Int(bits) - Int(start))), bits)
            }
            var (encoder, ideal) = (RANSEncoder(), 0.0)
            for (start, frequency, bits) in shares {
                encoder.encode(start: start, frequency: frequency, totalBits: bits)
                ideal += Double(bits) - log2(Double(frequency))
            }
            let stream = encoder.finish()
            #expect(Double(stream.count * 8) <= 1.001 * ideal + 32)
            func decode(_ stream: [UInt8]) throws {
                var decoder = try RANSDecoder(stream)
                for (start, frequency, bits) in shares {
                    try decoder.advance(start: start, frequency: frequency, totalBits: bits)
                }
                try decoder.finish()
            }
            try decode(stream)
            for broken in Samples.damaged(stream, copies: 400, seed: 1) where broken != stream {
                #expect(throws: PithError.self) { try decode(broken) }
            }
        }
    }
}
