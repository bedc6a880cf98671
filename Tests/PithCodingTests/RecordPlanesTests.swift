import PithCoding
import PithCore
import PithTensor
import Testing

@Suite("Records by the places of their bytes")
struct RecordPlanesTests {
    private let pool = ThreadPool(threads: 1)

    private func encode(_ bytes: [UInt8], width: Int, threads: Int = 1) -> [UInt8] {
        var (coded, end) = ([UInt8](), 0)
        bytes.withUnsafeBytes { bytes in
            RecordPlanes(width: width).encode(bytes, pool: ThreadPool(threads: threads)) { range, segment in
                #expect(range.lowerBound == end && range.count % width == 0)
                end = range.upperBound
                coded += segment
            }
            #expect(end == bytes.count)
        }
        return coded
    }

    private func decode(_ coded: [UInt8], width: Int, count: Int, into output: inout [UInt8]) throws -> Int {
        try coded.withUnsafeBytes { bytes in
            try RecordPlanes(width: width).decode(bytes, count: count, into: &output, pool: pool)
        }
    }

    @Test("any bytes of any width come back, and take few bytes more at most", arguments: [1, 2, 3, 18, 34, 144, 4096])
    func roundTrip(width: Int) throws {
        for (name, sample) in Samples.all {
            let bytes = Array(sample.prefix(sample.count / width * width))
            let coded = encode(bytes, width: width)
            #expect(coded.count <= bytes.count + (bytes.count >> 19 + 1) * (width + 64), "\(name)")
            var opened: [UInt8] = [99]
            #expect(
                try decode(coded + [1, 2, 3], width: width, count: bytes.count / width, into: &opened) == coded.count)
            #expect(Array(opened.dropFirst()) == bytes, "\(name)")
        }
    }

    /// Records of 18 bytes: a number, of which one byte is noise, and sixteen bytes that are alike.
    private func blocks(_ count: Int) -> [UInt8] {
        let (noise, exponents) = (Samples.uniform(count), Samples.geometric(count, ratio: 0.3))
        let codes = Samples.geometric(16 * count, ratio: 0.8, seed: 7)
        var blocks: [UInt8] = []
        for block in 0..<count {
            blocks += [noise[block], exponents[block]]
            blocks += codes[16 * block..<16 * block + 16]
        }
        return blocks
    }

    @Test("each kind of byte comes near to its own entropy")
    func nearEntropy() {
        let bytes = blocks(60000)
        var ideal = 0.0
        for places in [[0], [1], Array(2..<18)] {
            let chosen = bytes.indices.filter { places.contains($0 % 18) }
            ideal += Samples.idealBits(chosen.map { bytes[$0] }) / 8
        }
        #expect(Double(encode(bytes, width: 18).count) < 1.015 * ideal)
    }

    @Test("the bytes do not depend on the number of threads")
    func threads() {
        let bytes = blocks(90000)
        let coded = encode(bytes, width: 18)
        for threads in [2, 3] { #expect(encode(bytes, width: 18, threads: threads) == coded) }
    }

    @Test("what is whole of a cut result is opened")
    func cut() throws {
        let bytes = blocks(90000)
        let coded = encode(bytes, width: 18)
        var longest = 0
        for length in [0, 3, coded.count / 2, coded.count - 1] {
            var opened: [UInt8] = []
            #expect(throws: PithError.self) {
                try decode(Array(coded.prefix(length)), width: 18, count: 90000, into: &opened)
            }
            #expect(bytes.starts(with: opened))
            longest = max(longest, opened.count)
        }
        #expect(longest > bytes.count / 2 && longest < bytes.count)
    }

    @Test("damage gives an error or other bytes", arguments: [1, 18])
    func damage(width: Int) {
        let bytes = blocks(400)
        let coded = encode(bytes, width: width)
        for broken in Samples.damaged(coded, copies: 2000, seed: 5) {
            var opened: [UInt8] = []
            _ = try? decode(broken, width: width, count: bytes.count / width, into: &opened)
            #expect(opened.count <= bytes.count)
        }
    }
}
