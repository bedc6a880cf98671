import Foundation
import PithCoding
import PithCore
import PithTensor
import Testing

/// A coder of blocks of bytes, as the tests see it.
struct BlockCoder: Sendable, CustomTestStringConvertible {
    let name: String
    /// Bits beyond the ideal that a block may take: states, sizes and the last byte.
    let overhead: Double
    /// Bits beyond the ideal for each symbol, as a share.
    let loss: Double
    let encode: @Sendable (_ bytes: [UInt8]) -> [UInt8]?
    let decode: @Sendable (_ block: [UInt8], _ original: [UInt8]) throws -> [UInt8]

    var testDescription: String { name }

    static let all: [BlockCoder] =
        [1, 2, 8, 32].map { lanes in
            BlockCoder(name: "rANS, \(lanes) states", overhead: 32 * Double(lanes), loss: 0.001) { bytes in
                table(bytes).map { InterleavedRANS($0, lanes: lanes).encode(bytes) }
            } decode: { block, original in
                let coder = InterleavedRANS(table(original)!, lanes: lanes)
                return try decoded(block, original.count) { try coder.decode($0, count: $1, into: $2) }
            }
        } + [
            BlockCoder(name: "tANS", overhead: 40, loss: 0.001) { bytes in
                table(bytes).map { TANS($0).encode(bytes) }
            } decode: { block, original in
                let coder = TANS(table(original)!)
                return try decoded(block, original.count) { try coder.decode($0, count: $1, into: $2) }
            },
            // A prefix code has no parts of bits: its ideal is that of its lengths.
            BlockCoder(name: "Huffman blocks", overhead: 3 * 32 + 4 * 7, loss: 0) { bytes in
                HuffmanBlocks(counts: Samples.counts(bytes)).map { $0.encode(bytes) }
            } decode: { block, original in
                let coder = HuffmanBlocks(counts: Samples.counts(original))!
                return try decoded(block, original.count) { try coder.decode($0, count: $1, into: $2) }
            },
        ]

    private static func table(_ bytes: [UInt8]) -> FrequencyTable? {
        FrequencyTable(counts: Samples.counts(bytes), bits: 14)
    }

    /// Decodes into the middle of a larger buffer, whose edges must stay as they are.
    private static func decoded(
        _ block: [UInt8], _ count: Int,
        _ decode: (UnsafeRawBufferPointer, Int, UnsafeMutablePointer<UInt8>) throws -> Void
    ) throws -> [UInt8] {
        var buffer = [UInt8](repeating: 0xA5, count: count + 64)
        defer { #expect(buffer[..<32].allSatisfy { $0 == 0xA5 } && buffer[(count + 32)...].allSatisfy { $0 == 0xA5 }) }
        try block.withUnsafeBytes { block in
            try buffer.withUnsafeMutableBufferPointer { try decode(block, count, $0.baseAddress! + 32) }
        }
        return Array(buffer[32..<count + 32])
    }

    /// The bits that the coder may at best take.
    func idealBits(_ bytes: [UInt8]) -> Double {
        guard name == "Huffman blocks" else { return Samples.idealBits(bytes) }
        return Double(HuffmanCode(counts: Samples.counts(bytes), limit: 11)!.codedBits(of: Samples.counts(bytes)))
    }
}

@Suite("Coders of blocks of bytes")
struct BlockCoderTests {
    @Test("blocks of uneven parts come back", arguments: BlockCoder.all)
    func unevenParts(coder: BlockCoder) throws {
        // Streams of a block then end at places far apart.
        var random = SeededGenerator(seed: 3)
        for length in 8..<200 {
            let bytes = (0..<4).flatMap { _ -> [UInt8] in
                let commonness = random.next() % 6
                return (0..<length).map { _ in UInt8(min(12, random.next().trailingZeroBitCount << commonness)) }
            }
            guard let block = coder.encode(bytes) else { continue }
            #expect(try coder.decode(block, bytes) == bytes, "\(length)")
        }
    }

    @Test("blocks come back, and take what they should", arguments: BlockCoder.all)
    func roundTrips(coder: BlockCoder) throws {
        for (name, bytes) in Samples.all {
            guard let block = coder.encode(bytes) else {
                #expect(bytes.isEmpty)
                continue
            }
            #expect(try coder.decode(block, bytes) == bytes, "\(name)")
            // Frequencies have 14 bits: what is rarer than 1 of 16384 takes more than its share says.
            let rounding = Double(bytes.count) * 1.5 / 16384
            let ideal = coder.idealBits(bytes)
            #expect(Double(block.count * 8) <= ideal * (1 + coder.loss) + rounding + coder.overhead + 8, "\(name)")
        }
    }

    @Test("all lengths from 1 to 300 come back", arguments: BlockCoder.all)
    func lengths(coder: BlockCoder) throws {
        let bytes = Samples.geometric(300, ratio: 0.7, seed: 5)
        for count in 1...300 {
            let part = Array(bytes[..<count])
            #expect(try coder.decode(coder.encode(part)!, part) == part)
        }
    }

    @Test("long blocks are within 0.1 % of the ideal", arguments: BlockCoder.all)
    func ideal(coder: BlockCoder) throws {
        for ratio in [0.3, 0.55, 0.9, 0.97] as [Float] {
            let bytes = Samples.geometric(1_000_000, ratio: ratio, seed: 8)
            let block = try #require(coder.encode(bytes))
            #expect(Double(block.count * 8) <= 1.001 * coder.idealBits(bytes), "ratio \(ratio)")
        }
    }

    @Test("damaged blocks are refused or give other bytes", arguments: BlockCoder.all)
    func damage(coder: BlockCoder) throws {
        var refused = 0
        for (seed, count) in [1, 40, 700, 5000].enumerated() {
            let bytes = Samples.geometric(count, ratio: 0.6, seed: 6)
            let block = coder.encode(bytes)!
            for broken in Samples.damaged(block, copies: 800, seed: UInt64(seed)) {
                do { _ = try coder.decode(broken, bytes) } catch let error as PithError {
                    #expect(error.kind == .data)
                    refused += 1
                }
            }
        }
        #expect(refused > 800)
    }
}
