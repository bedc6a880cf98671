import Foundation
import PithCoding
import PithCore
import PithTensor
import Testing

@Suite("Huffman codes and bit streams")
struct HuffmanTests {
    @Test("bits come back, and an end is an end")
    func bits() throws {
        var (writer, random, written) = (BitWriter(), SeededGenerator(seed: 4), [(UInt64, Int)]())
        for _ in 0..<5000 {
            let count = random.index(below: 57)
            written.append((random.next() & (1 << UInt64(count) - 1), count))
            writer.write(written.last!.0, count: count)
        }
        #expect(writer.bitCount == written.reduce(0) { $0 + $1.1 })
        var reader = BitReader(writer.finish())
        for (value, count) in written { #expect(try reader.read(count) == value) }
        #expect(reader.remaining < 8)
        #expect(throws: PithError.self) { try reader.read(8) }
        #expect(throws: PithError.self) { try reader.skip(-1) }
    }

    /// The shortest length by Huffman's own algorithm, without a limit.
    private func shortest(_ counts: [Int]) -> Int {
        var (heap, sum) = (counts.filter { $0 > 0 }.sorted(), 0)
        while heap.count > 1 {
            let joined = heap.removeFirst() + heap.removeFirst()
            sum += joined
            heap.insert(joined, at: heap.firstIndex { $0 >= joined } ?? heap.count)
        }
        return sum
    }

    @Test("without need for the limit, codes are the shortest there are")
    func optimal() {
        var random = SeededGenerator(seed: 12)
        for size in [2, 3, 5, 17, 60] {
            for _ in 0..<50 {
                let counts = (0..<size).map { _ in random.index(below: 30) + 1 }
                let code = HuffmanCode(counts: counts)!
                #expect(code.codedBits(of: counts) == shortest(counts))
            }
        }
    }

    @Test("under a limit, no other lengths are shorter")
    func limited() {
        // All complete sets of lengths up to 3 for five symbols, against package-merge.
        var random = SeededGenerator(seed: 13)
        for _ in 0..<100 {
            let counts = (0..<5).map { _ in 1 << random.index(below: 12) }
            var best = Int.max
            for index in 0..<243 {
                let lengths = [1, 3, 9, 27, 81].map { index / $0 % 3 + 1 }
                guard lengths.reduce(0, { $0 + 8 >> $1 }) == 8 else { continue }
                best = min(best, zip(counts, lengths).reduce(0) { $0 + $1.0 * $1.1 })
            }
            let code = HuffmanCode(counts: counts, limit: 3)!
            #expect(code.longest <= 3 && code.codedBits(of: counts) == best)
        }
    }

    @Test("symbols of large and small alphabets come back one by one", arguments: [1, 2, 3, 256, 1000, 30000])
    func symbols(alphabet: Int) throws {
        var random = SeededGenerator(seed: UInt64(alphabet))
        // Very uneven, so that some codes are longer than the decoder's table.
        let counts = (0..<alphabet).map { _ in 1 << random.index(below: 16) }
        let code = try #require(HuffmanCode(counts: counts))
        let chosen = (0..<20000).map { _ in random.index(below: alphabet) }
        var writer = BitWriter()
        for symbol in chosen { code.write(symbol, to: &writer) }
        let (decoder, stream) = (HuffmanDecoder(code), writer.finish())
        var reader = BitReader(stream)
        #expect(try chosen.map { _ in try decoder.decode(&reader) } == chosen)
        for broken in Samples.damaged(stream, copies: 200, seed: 1) {
            var reader = BitReader(broken)
            while let symbol = try? decoder.decode(&reader) {
                guard (0..<alphabet).contains(symbol) else {
                    Issue.record("symbol \(symbol) of \(alphabet)")
                    return
                }
            }
        }
    }

    @Test("lengths that make no code are refused")
    func refused() {
        for lengths in [[], [0, 0], [1], [2], [1, 1, 1], [1, 2], [16, 16], [2, 2, 2]] as [[UInt8]] {
            if lengths == [1] {
                #expect(throws: Never.self) { try HuffmanCode(lengths: lengths) }
            } else {
                #expect(throws: PithError.self) { try HuffmanCode(lengths: lengths) }
            }
        }
        #expect(HuffmanCode(counts: [0, 0, 0]) == nil)
    }

    @Test("codes and tables are written and read; damaged ones are refused or sound")
    func serialized() throws {
        for (name, bytes) in Samples.all where !bytes.isEmpty {
            let code = HuffmanCode(counts: Samples.counts(bytes), limit: 11)!
            let table = FrequencyTable(counts: Samples.counts(bytes), bits: 12)!
            var offset = 3
            let read = try ([0, 0, 0] + code.serialized).withUnsafeBytes {
                try HuffmanCode(serialized: $0, at: &offset)
            }
            #expect(read == code && offset == 3 + code.serialized.count, "\(name)")
            offset = 0
            #expect(try table.serialized.withUnsafeBytes { try FrequencyTable(serialized: $0, at: &offset) } == table)
            for broken in Samples.damaged(code.serialized, copies: 100, seed: 2)
                + Samples.damaged(table.serialized, copies: 100, seed: 3)
            {
                offset = 0
                let code = try? broken.withUnsafeBytes { try HuffmanCode(serialized: $0, at: &offset) }
                if let code, let blocks = try? HuffmanBlocks(code) { #expect(blocks.code == code) }
                offset = 0
                if let table = try? broken.withUnsafeBytes({ try FrequencyTable(serialized: $0, at: &offset) }) {
                    #expect(table.frequencies.reduce(0, +) == 1 << UInt32(table.bits))
                    _ = (TANS(table), InterleavedRANS(table))
                }
            }
        }
    }
}
