import PithCore

/// A canonical prefix code: the lengths of the codes say all. Codes are written with their first bit lowest.
public struct HuffmanCode: Sendable, Equatable {
    /// The length in bits of each symbol's code; 0 for symbols that do not occur.
    public let lengths: [UInt8]
    /// The code of each symbol, the first bit in the lowest place.
    public let codes: [UInt16]
    /// The longest length.
    public let longest: Int

    /// How many symbols have a code.
    public let codedSymbolCount: Int

    /// The longest code that is understood.
    public static let lengthLimit = 15

    /// Takes lengths that make a complete code, or one symbol alone with the length 1.
    public init(lengths: [UInt8]) throws(PithError) {
        var numbers = [Int](repeating: 0, count: Self.lengthLimit + 1)
        for length in lengths {
            guard length <= Self.lengthLimit else {
                throw .data("a code of \(length) bits", remedy: "codes have at most \(Self.lengthLimit)")
            }
            numbers[Int(length)] += 1
        }
        let present = lengths.count - numbers[0]
        let shares = (1...Self.lengthLimit).reduce(0) { $0 + numbers[$1] << (Self.lengthLimit - $1) }
        guard shares == 1 << Self.lengthLimit || present == 1 && numbers[1] == 1, lengths.count <= 1 << 16 else {
            throw .data("lengths that make no complete prefix code", remedy: "the data are damaged")
        }
        var (next, code) = ([Int](repeating: 0, count: Self.lengthLimit + 1), 0)
        for length in 1...Self.lengthLimit {
            next[length] = code
            code = (code + numbers[length]) << 1
        }
        codes = lengths.map { length in
            guard length > 0 else { return 0 }
            defer { next[Int(length)] += 1 }
            return UInt16(next[Int(length)]).reversed(bits: Int(length))
        }
        self.lengths = lengths
        longest = Int(lengths.max() ?? 0)
        codedSymbolCount = present
    }

    /// The shortest code for these counts with no length above `limit`; nil if all counts are 0.
    public init?(counts: [Int], limit: Int = lengthLimit) {
        guard let lengths = packageMerge(counts, limit: limit), let code = try? Self(lengths: lengths) else {
            return nil
        }
        self = code
    }

    /// The coded length in bits of symbols with these counts.
    public func codedBits(of counts: [Int]) -> Int {
        zip(counts, lengths).reduce(0) { $0 + $1.0 * Int($1.1) }
    }

    /// Appends a symbol to a stream.
    @inline(__always)
    public func write(_ symbol: Int, to stream: inout BitWriter) {
        assert(lengths[symbol] > 0, "symbol \(symbol) has no code")
        stream.write(UInt64(codes[symbol]), count: Int(lengths[symbol]))
    }
}

extension UInt16 {
    /// The lowest `bits` bits in reverse order.
    fileprivate func reversed(bits: Int) -> UInt16 {
        var (result, rest) = (UInt16(0), self)
        for _ in 0..<bits {
            result = result << 1 | rest & 1
            rest >>= 1
        }
        return result
    }
}

/// Lengths of the shortest prefix code with none above `limit` (Larmore and Hirschberg's package-merge).
///
/// On each of `limit` levels, leaves and pairs of the level below are merged by weight. Of the 2n − 2 lightest items
/// on top, and of what is in their pairs, each leaf counts one bit for its symbol.
func packageMerge(_ counts: [Int], limit: Int) -> [UInt8]? {
    let symbols = counts.indices.filter { counts[$0] > 0 }.sorted { (counts[$0], $0) < (counts[$1], $1) }
    var lengths = [UInt8](repeating: 0, count: counts.count)
    guard symbols.count > 1 else {
        guard let only = symbols.first else { return nil }
        lengths[only] = 1
        return lengths
    }
    precondition(symbols.count <= 1 << limit, "\(symbols.count) symbols have no codes of \(limit) bits")
    let leaves = symbols.map { counts[$0] }
    // For each level, which items are leaves; the weights of one level at a time.
    var (isLeaf, weights) = ([[Bool](repeating: true, count: leaves.count)], leaves)
    for _ in 1..<limit {
        let pairs = (0..<weights.count / 2).map { weights[2 * $0].addingClamped(weights[2 * $0 + 1]) }
        var (merged, flags, leaf, pair) = ([Int](), [Bool](), 0, 0)
        while leaf < leaves.count || pair < pairs.count {
            let takesLeaf = pair == pairs.count || leaf < leaves.count && leaves[leaf] <= pairs[pair]
            merged.append(takesLeaf ? leaves[leaf] : pairs[pair])
            flags.append(takesLeaf)
            if takesLeaf { leaf += 1 } else { pair += 1 }
        }
        weights = merged
        isLeaf.append(flags)
    }
    var taken = 2 * leaves.count - 2
    for flags in isLeaf.reversed() {
        let leavesTaken = flags[..<taken].count { $0 }
        for i in 0..<leavesTaken { lengths[symbols[i]] += 1 }
        taken = 2 * (taken - leavesTaken)
    }
    return lengths
}

extension Int {
    fileprivate func addingClamped(_ other: Int) -> Int {
        let (sum, overflow) = addingReportingOverflow(other)
        return overflow ? .max : sum
    }
}

extension HuffmanCode {
    /// A code of bytes as bytes: the first and the last symbol, then each length in 4 bits.
    public var serialized: [UInt8] {
        precondition(lengths.count == 256, "only codes of bytes are written so")
        let first = lengths.firstIndex { $0 > 0 } ?? 0
        let last = lengths.lastIndex { $0 > 0 } ?? 0
        var stream = BitWriter()
        stream.write(UInt64(first | last << 8), count: 16)
        for length in lengths[first...last] { stream.write(UInt64(length), count: 4) }
        return stream.finish()
    }

    /// Reads a code of bytes from the front of `bytes`; `offset` moves behind it.
    public init(serialized bytes: UnsafeRawBufferPointer, at offset: inout Int) throws(PithError) {
        guard offset + 2 <= bytes.count else { throw .truncated(at: offset) }
        let (first, last) = (Int(bytes[offset]), Int(bytes[offset + 1]))
        guard first <= last else { throw .invalidStream("a code from symbol \(first) to \(last)") }
        let size = 2 + (last - first + 2) / 2
        guard offset + size <= bytes.count else { throw .truncated(at: bytes.count) }
        var lengths = [UInt8](repeating: 0, count: 256)
        for symbol in first...last {
            lengths[symbol] = bytes[offset + 2 + (symbol - first) / 2] >> UInt8((symbol - first) % 2 * 4) & 15
        }
        try self.init(lengths: lengths)
        offset += size
    }
}
