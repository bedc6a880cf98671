import Foundation
import PithCoding
import PithCore
import PithTensor
import Testing

@Suite("Lossless floats")
struct LosslessFloatsTests {
    private let pool = ThreadPool(threads: 1)

    /// Normal weights, rounded to a type.
    private func weights(_ count: Int, as type: ElementType, seed: UInt64 = 3, scale: Float = 0.02) -> StoredTensor {
        var random = SeededGenerator(seed: seed)
        return StoredTensor(random.normalTensor([count], scale: scale), as: type)
    }

    private func bytes(_ tensor: StoredTensor) -> [UInt8] { tensor.region.withBytes { Array($0) } }

    private func roundTrip(
        _ tensor: StoredTensor, base: StoredTensor? = nil, _ coverage: LosslessFloats.Coverage = .allPlanes
    ) throws -> [UInt8] {
        let file = try LosslessFloats.compress(tensor, base: base, coverage: coverage, pool: pool)
        let again = try LosslessFloats.decompress(ByteRegion(copying: file), base: base, pool: pool)
        #expect(again.type == tensor.type && again.shape == [tensor.count] && bytes(again) == bytes(tensor))
        return file
    }

    @Test("every type and any bytes come back", arguments: ElementType.allCases)
    func anyBytes(type: ElementType) throws {
        for (_, sample) in Samples.all {
            let whole = Array(sample.prefix(sample.count / type.byteCount * type.byteCount))
            let tensor = StoredTensor(
                type: type, shape: [whole.count / type.byteCount], region: ByteRegion(copying: whole))
            for coverage in [LosslessFloats.Coverage.exponents, .allPlanes] {
                let file = try roundTrip(tensor, coverage)
                // A segment of 2^17 elements has some bytes of its own.
                #expect(file.count <= whole.count + 64 * (1 + tensor.count >> 17))
            }
        }
    }

    @Test("normal weights of two bytes come near to the entropy of their exponents", arguments: [1000, 70000, 600_000])
    func nearEntropy(count: Int) throws {
        let tensor = weights(count, as: .bfloat16)
        let file = try roundTrip(tensor, .exponents)
        let words = tensor.region.bytes.bindMemory(to: UInt16.self)
        let exponents = words.map { UInt8(truncatingIfNeeded: $0 >> 7) }
        let bound = Samples.idealBits(exponents) / 8 + Double(count)
        #expect(Double(file.count) < 1.01 * bound + 64)
        if count > 10000 { #expect(Double(file.count) < 0.7 * Double(tensor.byteCount)) }
    }

    @Test("all float types get smaller, and wide ones that hold narrow ones much smaller")
    func types() throws {
        func share(_ tensor: StoredTensor) throws -> Double {
            Double(try roundTrip(tensor).count) / Double(tensor.byteCount)
        }
        let count = 100_000
        #expect(try share(weights(count, as: .float32)) < 0.84)
        #expect(try share(weights(count, as: .float16)) < 0.9)
        // BF16 kept as F32: two planes are zeros.
        let narrow = try weights(count, as: .bfloat16).decoded()
        #expect(try share(StoredTensor(narrow)) < 0.35)
        // Eight bits: sign, four of exponent, three of mantissa.
        let halves = weights(count, as: .float16).region.bytes.bindMemory(to: UInt16.self)
        let eights = StoredTensor(
            type: .float8e4m3, shape: [count],
            region: ByteRegion(copying: halves.map { UInt8(truncatingIfNeeded: $0 >> 8) }))
        #expect(try share(eights) < 0.9)
    }

    @Test("against a checkpoint near by little is left")
    func deltas() throws {
        let base = weights(300_000, as: .bfloat16)
        var (random, tuned) = (SeededGenerator(seed: 9), bytes(base))
        // A step of the last bit for one weight of twenty.
        for i in stride(from: 0, to: tuned.count, by: 2) where random.index(below: 20) == 0 { tuned[i] ^= 1 }
        let tensor = StoredTensor(type: .bfloat16, shape: [300_000], region: ByteRegion(copying: tuned))
        let (alone, delta) = (try roundTrip(tensor), try roundTrip(tensor, base: base))
        // The entropy of one in twenty is 0.286 bits.
        #expect(delta.count < 300_000 * 30 / 800 && alone.count > 10 * delta.count)
        let region = ByteRegion(copying: delta)
        #expect(throws: PithError.self) { try LosslessFloats.decompress(region, pool: pool) }
        #expect(throws: PithError.self) {
            try LosslessFloats.decompress(region, base: weights(300_000, as: .bfloat16, seed: 4), pool: pool)
        }
        for wrong in [weights(299_999, as: .bfloat16), weights(300_000, as: .float16)] {
            #expect(throws: PithError.self) { try LosslessFloats.decompress(region, base: wrong, pool: pool) }
            #expect(throws: PithError.self) { try LosslessFloats.compress(tensor, base: wrong, pool: pool) }
        }
    }

    @Test("the bytes do not depend on the number of threads")
    func threads() throws {
        let tensor = weights(1_500_000, as: .bfloat16)
        let file = try roundTrip(tensor)
        for threads in [2, 3] {
            let pool = ThreadPool(threads: threads)
            #expect(try LosslessFloats.compress(tensor, pool: pool) == file)
            let again = try LosslessFloats.decompress(ByteRegion(copying: file), pool: pool)
            #expect(bytes(again) == bytes(tensor))
        }
    }

    @Test("of a cut file the segments that are whole are opened")
    func cut() throws {
        let tensor = weights(700_000, as: .bfloat16)
        let file = try LosslessFloats.compress(tensor, pool: pool)
        var longest = 0
        for length in [0, 20, 40, file.count / 2, file.count - 1, file.count] {
            let region = ByteRegion(copying: Array(file.prefix(length)))
            guard let saved = try? LosslessFloats.decompress(region, isCut: true, pool: pool) else {
                #expect(length < 40)
                continue
            }
            #expect(bytes(tensor).starts(with: bytes(saved)))
            if length < file.count { longest = max(longest, saved.count) }
        }
        // All but the last segment.
        #expect(longest == 700_000 / LosslessFloats.segmentLength * LosslessFloats.segmentLength)
        #expect(try LosslessFloats.segmentSizes(ByteRegion(copying: file)).count == 6)
    }

    @Test("damaged files are refused", arguments: [ElementType.bfloat16, .float32])
    func damage(type: ElementType) throws {
        for count in [1, 300, 3000] {
            let tensor = weights(count, as: type)
            let file = try LosslessFloats.compress(tensor, pool: pool)
            var believed = 0
            for broken in Samples.damaged(file, copies: 1500, seed: UInt64(count)) where broken != file {
                guard let again = try? LosslessFloats.decompress(ByteRegion(copying: broken), pool: pool) else {
                    continue
                }
                // Another type of as many bytes is another file; the same elements under a bit that says nothing are not.
                if again.type == type && bytes(again) != bytes(tensor) { believed += 1 }
            }
            #expect(believed == 0)
        }
        // A header that asks for much memory.
        var greedy = try LosslessFloats.compress(weights(100, as: type), pool: pool)
        greedy[12] = 0x7F
        #expect(throws: PithError.self) { try LosslessFloats.decompress(ByteRegion(copying: greedy), pool: pool) }
    }
}
