import PithCore

/// How the bytes of one plane are coded, the same way in all of its blocks, each of which can be decoded alone.
package enum PlaneCoding: Sendable {
    /// As they are.
    case raw
    /// Not at all: every byte is this one.
    case constant(UInt8)
    /// By a prefix code.
    case huffman(HuffmanBlocks)
    /// By rANS, for bytes of which one is so likely that a prefix code, with its whole bits, wastes much.
    case rans(InterleavedRANS)

    /// States of rANS in a block: 32 bits each are spent beside the ideal.
    private static let lanes = 8
    private static let frequencyBits = 12

    /// The coding for a plane of bytes with these counts, [256]: raw unless coding saves 1 of 64 with its table counted,
    /// and rANS if it saves 1 of 50 against the faster prefix code.
    package init(counts: [Int]) {
        let total = counts.reduce(0, +)
        if let only = counts.firstIndex(of: total) {
            self = .constant(UInt8(only))
            return
        }
        self = .raw
        guard !Self.isNearlyUniform(counts, total), let huffman = HuffmanBlocks(counts: counts) else { return }
        // The sizes of a block and of its streams are bytes too.
        var bits = huffman.code.codedBits(of: counts) + 8 * (huffman.code.serialized.count + 16)
        if bits < total * 8 / 64 * 63 { self = .huffman(huffman) }
        // Whole bits waste much only where one byte is more likely than all others.
        guard let most = counts.max(), most > total / 2,
            let table = FrequencyTable(counts: counts, bits: Self.frequencyBits)
        else { return }
        bits = min(bits, total * 8 / 64 * 63)
        let withTable = table.codedBits(of: counts) + 8 * (table.serialized.count + 4 + 4 * Self.lanes)
        if withTable < bits / 50 * 49 { self = .rans(InterleavedRANS(table, lanes: Self.lanes)) }
    }

    /// The coding for a plane: the first one's bytes, the exponents, are always counted, those of other planes only where
    /// a sample says that coding pays.
    package init(plane: Int, _ bytes: UnsafeBufferPointer<UInt8>, _ coverage: LosslessFloats.Coverage) {
        if plane > 0 {
            var sample = ByteCounts()
            for start in stride(from: 0, to: coverage == .allPlanes ? bytes.count : 0, by: 1 << 14) {
                sample.add(UnsafeBufferPointer(rebasing: bytes[start..<min(bytes.count, start + 1 << 10)]))
            }
            guard !Self.isNearlyUniform(sample.counts, sample.counts.reduce(0, +)) else {
                self = .raw
                return
            }
        }
        var counts = ByteCounts()
        counts.add(bytes)
        self.init(counts: counts.counts)
    }

    /// Whether coding can save no 1 of 64: by the chance that two bytes are the same, from which the entropy is at
    /// least its negative logarithm.
    static func isNearlyUniform(_ counts: [Int], _ total: Int) -> Bool {
        // 2^(−8 · 63 / 64) = 1 / 234.8
        let squares = counts.reduce(0.0) { $0 + Double($1) * Double($1) }
        return squares * 234 <= Double(total) * Double(total)
    }

    /// The most bytes that a block of `count` bytes takes in any coding, with what `encode` writes beyond it meanwhile.
    package static func largestSize(_ count: Int) -> Int {
        max(HuffmanBlocks.largestSize(count), 4 * lanes + 2 * count)
    }

    /// The most bytes of `serialized`.
    static let largestTable = 1 + 3 + 2 * 256

    /// The size of a block of `count` bytes where it is the same for all; nil where it must be stored.
    package func fixedSize(_ count: Int) -> Int? {
        switch self {
        case .raw: count
        case .constant: 0
        default: nil
        }
    }

    /// Codes a block, which must be made of bytes that were counted. `target` has room for `largestSize`. Returns the
    /// bytes written.
    package func encode(_ bytes: UnsafeBufferPointer<UInt8>, into target: UnsafeMutableRawPointer) -> Int {
        switch self {
        case .raw:
            if let base = bytes.baseAddress { target.copyMemory(from: base, byteCount: bytes.count) }
            return bytes.count
        case .constant: return 0
        case .huffman(let huffman): return huffman.encode(bytes, into: target)
        case .rans(let rans):
            let block = rans.encode(bytes)
            block.withUnsafeBytes { target.copyMemory(from: $0.baseAddress!, byteCount: $0.count) }
            return block.count
        }
    }

    /// Codes a block, which must be made of bytes that were counted.
    package func encode(_ bytes: UnsafeBufferPointer<UInt8>) -> [UInt8] {
        [UInt8](unsafeUninitializedCapacity: Self.largestSize(bytes.count)) { buffer, size in
            size = encode(bytes, into: buffer.baseAddress!)
        }
    }

    /// Where the `count` bytes of a block lie decoded: in the block itself, or in `scratch`, [count].
    package func decode(
        _ block: UnsafeRawBufferPointer, count: Int, scratch: UnsafeMutablePointer<UInt8>
    ) throws(PithError) -> UnsafePointer<UInt8> {
        switch self {
        case .raw:
            guard block.count == count else { throw .truncated(at: block.count) }
            guard let base = block.baseAddress else { break }
            return base.assumingMemoryBound(to: UInt8.self)
        case .constant(let byte): scratch.update(repeating: byte, count: count)
        case .huffman(let huffman): try huffman.decode(block, count: count, into: scratch)
        case .rans(let rans): try rans.decode(block, count: count, into: scratch)
        }
        return UnsafePointer(scratch)
    }
}

extension PlaneCoding {
    /// As bytes: what it is, and its table.
    package var serialized: [UInt8] {
        switch self {
        case .raw: [0]
        case .constant(let byte): [1, byte]
        case .huffman(let huffman): [2] + huffman.code.serialized
        case .rans(let rans): [3] + rans.table.serialized
        }
    }

    /// Reads a coding from `bytes`; `offset` moves behind it.
    package init(serialized bytes: UnsafeRawBufferPointer, at offset: inout Int) throws(PithError) {
        guard offset + 2 <= bytes.count || offset < bytes.count && bytes[offset] == 0 else {
            throw .truncated(at: offset)
        }
        offset += 1
        switch bytes[offset - 1] {
        case 0: self = .raw
        case 1:
            self = .constant(bytes[offset])
            offset += 1
        case 2: self = .huffman(try HuffmanBlocks(try HuffmanCode(serialized: bytes, at: &offset)))
        case 3:
            let table = try FrequencyTable(serialized: bytes, at: &offset)
            self = .rans(InterleavedRANS(table, lanes: Self.lanes))
        default: throw .invalidStream("\(bytes[offset - 1]) names no coding of bytes")
        }
    }
}

/// How often each byte occurs.
package struct ByteCounts: Sendable {
    // Eight tables take turns, so that the same byte twice in a row does not wait for its own count.
    private var tables = [UInt32](repeating: 0, count: 8 * 256)
    private var sums = [Int](repeating: 0, count: 256)

    /// Nothing counted.
    package init() {}

    /// Counts some bytes.
    package mutating func add(_ bytes: UnsafeBufferPointer<UInt8>) {
        // The tables hold 32 bits.
        for start in stride(from: 0, to: bytes.count, by: 1 << 30) {
            count(UnsafeBufferPointer(rebasing: bytes[start..<min(bytes.count, start + 1 << 30)]))
        }
    }

    private mutating func count(_ bytes: UnsafeBufferPointer<UInt8>) {
        let (raw, words) = (UnsafeRawBufferPointer(bytes), bytes.count / 8)
        tables.withUnsafeMutableBufferPointer { tables in
            let table = tables.baseAddress!
            table.update(repeating: 0, count: 8 * 256)
            for index in 0..<words {
                let word = raw.loadUnaligned(fromByteOffset: 8 &* index, as: UInt64.self)
                table[Int(word & 255)] &+= 1
                table[256 &+ Int(word &>> 8 & 255)] &+= 1
                table[512 &+ Int(word &>> 16 & 255)] &+= 1
                table[768 &+ Int(word &>> 24 & 255)] &+= 1
                table[1024 &+ Int(word &>> 32 & 255)] &+= 1
                table[1280 &+ Int(word &>> 40 & 255)] &+= 1
                table[1536 &+ Int(word &>> 48 & 255)] &+= 1
                table[1792 &+ Int(word &>> 56)] &+= 1
            }
            for byte in raw[(8 * words)...] { table[Int(byte)] &+= 1 }
            for symbol in 0..<256 {
                for index in 0..<8 { sums[symbol] += Int(table[index << 8 | symbol]) }
            }
        }
    }

    /// The counts, [256].
    package var counts: [Int] { sums }
}
