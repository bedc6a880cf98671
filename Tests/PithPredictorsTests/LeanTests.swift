import CPithKernels
import Pith
import PithCore
import PithPredictors
import PithTensor
import Testing

@Suite("Lean")
struct LeanTests {
    private let context = CodingContext(pool: ThreadPool(threads: 1))

    private func encoded(_ input: [UInt8], _ context: CodingContext? = nil) throws -> [UInt8] {
        try DataCatalogue.method(for: Spec(parsing: "lean")).encode(input, context ?? self.context)
    }

    private func decoded(_ coded: [UInt8], count: Int) throws -> [UInt8] {
        var output: [UInt8] = []
        let method = try DataCatalogue.method(for: Spec(parsing: "lean"))
        try method.decode(CodedPayload(coded), count: count, into: &output, context)
        return output
    }

    /// Words, numbers and repeats of a seed.
    private func text(_ count: Int, seed: UInt64) -> [UInt8] {
        var random = SeededGenerator(seed: seed)
        let words = (0..<300).map { _ -> [UInt8] in
            (0..<1 + random.index(below: 9)).map { _ -> UInt8 in UInt8(97 + random.index(below: 26)) }
        }
        var result: [UInt8] = []
        while result.count < count {
            switch random.index(below: 40) {
            case 0: result += "\(random.index(below: 10_000)). ".utf8
            case 1: result += result.suffix(random.index(below: 600))
            default:
                let word = words[min(random.index(below: 300), random.index(below: 300))]
                result += word + [32]
            }
        }
        return Array(result.prefix(count))
    }

    /// Records of four bytes, of which the first changes slowly and the last is always 0.
    private func records(_ count: Int, seed: UInt64) -> [UInt8] {
        var random = SeededGenerator(seed: seed)
        var level = 100
        return (0..<count / 4).flatMap { _ -> [UInt8] in
            level += random.index(below: 3) - 1
            return [UInt8(level & 255), UInt8(random.index(below: 256)), UInt8(random.index(below: 16)), 0]
        }
    }

    @Test("any bytes come back")
    func roundTrips() throws {
        var random = SeededGenerator(seed: 3)
        let noise = (0..<40_000).map { _ in UInt8(truncatingIfNeeded: random.next()) }
        let saw = (0..<50_000).map { UInt8(truncatingIfNeeded: $0 &* $0 / 300) }
        let nearRuns = (0..<60_000).map { _ in UInt8(random.index(below: 5000) == 0 ? random.index(below: 4) : 9) }
        let written = text(120_000, seed: 1)
        let wide = written.prefix(1000).flatMap { byte -> [UInt8] in [byte, 0] }
        let inputs: [[UInt8]] = [
            [], [0], [255], [1, 2], noise, saw, nearRuns, written, records(90_000, seed: 2), try encoded(written),
            written + noise + written, [UInt8](repeating: 0, count: 300_000), wide,
        ]
        for (index, input) in inputs.enumerated() {
            #expect(try decoded(try encoded(input), count: input.count) == input, "input \(index)")
        }
    }

    @Test("all short inputs come back")
    func shortInputs() throws {
        let written = text(2000, seed: 8)
        for count in 0..<200 {
            let input = Array(written.suffix(count))
            #expect(try decoded(try encoded(input), count: count) == input, "\(count) bytes")
        }
    }

    @Test("the format stays as it is")
    func digests() throws {
        let digests = try [text(200_000, seed: 4), records(50_000, seed: 5)].map { input in
            try encoded(input).withUnsafeBytes { SHA256.hexDigest(of: $0) }
        }
        #expect(
            digests == [
                "cfeb337f8e96097fb1d56634d827b13e4db0dda8c3658d7d36dd4cd263387810",
                "22c0433551fb0299b0854044bc114cccf53c6b99775617ba23b8724a94c20a11",
            ])
    }

    @Test("runs take next to nothing")
    func runs() throws {
        #expect(try encoded([UInt8](repeating: 32, count: 1_000_000)).count < 80)
    }

    @Test("records are found, and told from text")
    func profiles() throws {
        let header = try encoded(records(40_000, seed: 6)).prefix(3)
        #expect(header == [0x80 | 16, 4, 0])
        #expect(try encoded(text(40_000, seed: 6)).prefix(3) == [16, 0, 0])
    }

    @Test("memory is bounded, and small for small inputs")
    func memory() throws {
        let method = try DataCatalogue.method(for: Spec(parsing: "lean"))
        let context = CodingContext(pool: ThreadPool(threads: 1))
        #expect(method.memory(for: 10, context) < 1 << 20)
        #expect(method.memory(for: 100_000_000, context) <= 256 << 20)
        #expect(method.memory(for: .max, context) <= 256 << 20)
    }

    @Test("the trace tells where the bits went, and changes none")
    func trace() throws {
        let input = text(30_000, seed: 9) + [UInt8](repeating: 7, count: 30_000)
        let trace = CodingTrace()
        let coded = try encoded(input, CodingContext(pool: ThreadPool(threads: 1), trace: trace))
        #expect(try encoded(input) == coded)
        let bits = trace.contents.regionBits
        #expect(bits.count == 15)
        let (traced, size) = (bits.reduce(0, +) / 8, Double(coded.count))
        #expect(abs(traced - size) < 0.01 * size + 8)
        #expect(bits[12] < bits[3] / 100)
    }

    @Test("a wrong count or bytes behind the end are refused")
    func refusals() throws {
        let input = text(5000, seed: 10)
        let coded = try encoded(input)
        #expect(throws: PithError.self) { try decoded(coded, count: 4000) }
        #expect(throws: PithError.self) { try decoded(coded, count: 1 << 60) }
        #expect(throws: PithError.self) { try decoded(coded + [0, 0, 0, 0], count: 5000) }
        #expect(throws: PithError.self) { try decoded([1], count: 0) }
        for header: [UInt8] in [[64, 0, 0], [9, 255, 255], [9, 1, 64]] {
            #expect(throws: PithError.self) { try decoded(header + [1, 2, 3, 4, 5], count: 5) }
        }
    }

    @Test("histories are numbered by what they have seen")
    func histories() {
        #expect(LeanHistory.count > 100 && LeanHistory.count <= 256)
        for state in 0..<LeanHistory.count {
            for bit in 0...1 { #expect(LeanHistory.next[2 * state + bit] < LeanHistory.count) }
        }
        var state = 0
        for _ in 0..<100 { state = Int(LeanHistory.next[2 * state + 1]) }
        #expect(LeanHistory.probability[state] > 64000 && LeanHistory.next[2 * state + 1] == state)
    }

    @Test("the mixer's kernels agree with the plain ones")
    func kernels() {
        var random = SeededGenerator(seed: 12)
        for count in [8, 16, 24, 64] {
            let inputs = UnsafeMutableRawPointer.allocate(byteCount: 2 * count, alignment: 64)
                .bindMemory(to: Int16.self, capacity: count)
            let weights = UnsafeMutableRawPointer.allocate(byteCount: 4 * count, alignment: 64)
                .bindMemory(to: Int32.self, capacity: count)
            defer {
                inputs.deallocate()
                weights.deallocate()
            }
            for index in 0..<count {
                inputs[index] = Int16(random.index(below: 4095) - 2047)
                weights[index] = Int32(truncatingIfNeeded: random.next())
            }
            var plain = Array(UnsafeBufferPointer(start: weights, count: count))
            for error in [Int16.min, -1, 0, 1, 999, Int16.max] {
                #expect(
                    pith_lean_dot(inputs, weights, Int64(count))
                        == pith_lean_dot_plain(inputs, plain, Int64(count)))
                pith_lean_train(inputs, weights, Int64(count), error)
                pith_lean_train_plain(inputs, &plain, Int64(count), error)
                #expect(plain == Array(UnsafeBufferPointer(start: weights, count: count)))
            }
        }
    }
}
