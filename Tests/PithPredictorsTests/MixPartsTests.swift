import CPithKernels
import PithCore
import PithPredictors
import PithTensor
import Testing

/// The parts of the mixing engine.
struct MixPartsTests {
    @Test func kernelPathsAgree() {
        var random = SeededGenerator(seed: 21)
        let (width, sets) = (96, 5)
        let inputs = (0..<width).map { _ in Int16(truncatingIfNeeded: Int(random.next() % 5679) - 2839) }
        let start = (0..<sets * 2 * width).map { _ in Int16(truncatingIfNeeded: random.next()) }
        let rows = (0..<sets).map { Int64((sets - 1 - $0) * 2 * width) }
        let errors: [Int16] = [32767, -32767, 0, 311, -9]
        var results: [(sums: [Int32], weights: [Int16])] = []
        for path in KernelPath.allCases where path.isAvailable {
            let kernels = pith_mix_kernels_of(pith_path(UInt32(path.rawValue)))!.pointee
            var (weights, sums) = (start, [Int32](repeating: 0, count: sets))
            for _ in 0..<40 { kernels.train(inputs, Int64(width), &weights, rows, Int64(sets), errors) }
            kernels.dot(inputs, Int64(width), weights, rows, Int64(sets), &sums)
            results.append((sums, weights))
        }
        #expect(results.allSatisfy { $0.sums == results[0].sums && $0.weights == results[0].weights })
        #expect(results[0].weights.contains(.max) && results[0].weights.contains(.min))
        // The row without an error is as it was.
        #expect(results[0].weights[2 * width * 2..<2 * width * 3] == start[2 * width * 2..<2 * width * 3])
    }

    @Test func bitHistoriesAreClosed() {
        #expect(BitHistory.count <= 256)
        #expect(BitHistory.successors.prefix(2 * BitHistory.count).allSatisfy { Int($0) < BitHistory.count })
        // Many ones are a higher probability than few, and a zero lowers it.
        func state(after bits: [Int]) -> Int { bits.reduce(0) { Int(BitHistory.successors[2 * $0 + $1]) } }
        func probability(_ bits: [Int]) -> UInt32 { BitHistory.probabilities[state(after: bits)] }
        #expect(probability([1, 1, 1, 1, 1, 1]) > probability([1, 1]))
        #expect(probability([1, 1, 1, 1, 1, 1, 0]) < probability([1, 1, 1, 1, 1, 1]))
        #expect(probability([]) == 1 << 21)
    }

    /// Knows the bytes and the flags with some doubt: a flag is due after every space.
    struct Oracle: ExternalPredictor {
        let bytes: [UInt8]
        var position = 0
        var bit = 0
        var isFlagDue = false
        var flagCount = 0

        var prediction: ExternalPrediction {
            guard position % 50 != 0, position < bytes.count else { return .none }
            let isOne = bytes[position] >> UInt8(7 - bit) & 1 == 1
            return ExternalPrediction(probability: isOne ? 60000 : 5000, confidence: position % 32)
        }
        mutating func update(_ bit: Bool) { self.bit += 1 }
        mutating func finishByte(_ byte: UInt8) {
            (position, bit, isFlagDue) = (position + 1, 0, byte == 32)
        }
        var flag: ExternalPrediction { isFlagDue ? ExternalPrediction(probability: 20000, confidence: 3) : .none }
        var flagToEncode: Bool { position % 3 == 0 }
        mutating func updateFlag(_ bit: Bool) throws(PithError) {
            isFlagDue = false
            flagCount += 1
            guard bit == (position % 3 == 0) else { throw .invalidStream("a flag is wrong") }
        }
    }

    @Test func externalPredictorAndItsFlags() throws {
        let bytes = MixTests.sentences(6000)
        let settings = MixSettings(effort: .default, content: .text, width: 0)
        let plain = try MixCoder.encode(bytes, settings, NoPredictor(), MixTests.context)
        let helped = try MixCoder.encode(bytes, settings, Oracle(bytes: bytes), MixTests.context)
        #expect(helped.count < plain.count)
        var opened: [UInt8] = []
        try MixCoder.decode(
            CodedPayload(helped), count: bytes.count, into: &opened, Oracle(bytes: bytes), MixTests.context)
        #expect(opened == bytes)
    }

    @Test func smallInputsTakeLittleMemory() {
        let settings = MixSettings(effort: .best, content: .text, width: 0)
        #expect(MixSize(settings, count: 10).slotBytes(contexts: 64) <= 1 << 14)
        #expect(MixSize(settings, count: 1 << 40).slotBytes(contexts: 64) <= 1100 << 20)
    }
}
