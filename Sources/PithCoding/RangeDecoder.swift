import PithCore

/// Reads what `RangeEncoder` wrote, given the same shares in the same order.
///
/// Any bytes decode to some symbols or throw; a stream that is cut throws where its bytes are used up.
public struct RangeDecoder: Sendable {
    private let region: ByteRegion
    // Where the bytes of `region` are, so that reading one leaves its owner alone.
    @usableFromInline nonisolated(unsafe) let bytes: UnsafeRawBufferPointer
    @usableFromInline var offset = 0
    // How far the stream's number lies above the interval's low end; always below `range`.
    @usableFromInline var code: UInt32 = 0
    @usableFromInline var range: UInt32 = .max
    // How many zeros may be read behind the end.
    @usableFromInline let padding: Int

    /// Opens a stream. Of one that `isCut`, only symbols are decoded that do not depend on what is missing.
    public init(_ region: ByteRegion, isCut: Bool = false) throws(PithError) {
        (self.region, bytes, padding) = (region, region.bytes, isCut ? 0 : 3)
        for _ in 0..<4 { code = code << 8 | UInt32(try nextByte()) }
        guard code < range else { throw .invalidStream("the stream's number lies outside of its interval") }
    }

    /// Opens a stream.
    public init(_ bytes: [UInt8]) throws(PithError) { try self.init(ByteRegion(copying: bytes)) }

    /// Bytes used so far, of which up to three are zeros behind the end.
    public var byteCount: Int { offset }

    /// A bit whose probability of being true is `probability` / 2^`bits`, with 0 < probability < 2^bits ≤ 2¹⁶.
    @inlinable @inline(__always)
    public mutating func decode(probability: UInt32, bits: UInt32 = 16) throws(PithError) -> Bool {
        assert(bits <= 16 && probability > 0 && probability < 1 << bits, "\(probability) of 2^\(bits)")
        let bound = UInt32(truncatingIfNeeded: (UInt64(range) &* UInt64(probability)) &>> UInt64(bits))
        let bit = code < bound
        if bit {
            range = bound
        } else {
            code &-= bound
            range &-= bound
        }
        try normalize()
        return bit
    }

    /// A number below `total`, at most `RangeEncoder.largestTotal`: the next symbol is the one whose share holds it.
    @inlinable @inline(__always)
    public func slot(total: UInt32) -> UInt32 {
        assert(total > 0 && total <= RangeEncoder.largestTotal, "a total of \(total)")
        // The largest slot whose share begins at or below the code.
        return UInt32(truncatingIfNeeded: ((UInt64(code) &+ 1) &* UInt64(total) &- 1) / UInt64(range))
    }

    /// The same for a total of 2^`totalBits`.
    @inlinable @inline(__always)
    public func slot(totalBits: UInt32) -> UInt32 { slot(total: 1 << totalBits) }

    /// Takes the symbol that has `frequency` of `total` behind `start`, which must hold `slot(total:)`.
    @inlinable @inline(__always)
    public mutating func advance(start: UInt32, frequency: UInt32, total: UInt32) throws(PithError) {
        let (wide, total) = (UInt64(range), UInt64(total))
        try narrow(wide &* UInt64(start) / total, wide &* UInt64(start &+ frequency) / total)
    }

    /// Takes the symbol that has `frequency` of 2^`totalBits` behind `start`, which must hold the slot.
    @inlinable @inline(__always)
    public mutating func advance(start: UInt32, frequency: UInt32, totalBits: UInt32) throws(PithError) {
        let (wide, shift) = (UInt64(range), UInt64(totalBits))
        try narrow((wide &* UInt64(start)) &>> shift, (wide &* UInt64(start &+ frequency)) &>> shift)
    }

    /// A number of `count` bits, at most 24, all values being equally likely.
    public mutating func decode(bits count: UInt32) throws(PithError) -> UInt32 {
        let slot = slot(totalBits: count)
        try advance(start: slot, frequency: 1, totalBits: count)
        return slot
    }

    @inlinable @inline(__always)
    mutating func narrow(_ lower: UInt64, _ upper: UInt64) throws(PithError) {
        let (lower, upper) = (UInt32(truncatingIfNeeded: lower), UInt32(truncatingIfNeeded: upper))
        guard lower <= code, code < upper else {
            throw .invalidStream("a symbol was taken whose share does not hold the code")
        }
        code &-= lower
        range = upper &- lower
        try normalize()
    }

    @inlinable @inline(__always)
    mutating func normalize() throws(PithError) {
        while range < 1 << 24 {
            range <<= 8
            code = code << 8 | UInt32(try nextByte())
        }
    }

    /// Up to three zeros stand behind the last byte; more mean that the stream was cut.
    @inlinable @inline(__always)
    mutating func nextByte() throws(PithError) -> UInt8 {
        defer { offset += 1 }
        if offset < bytes.count { return bytes[offset] }
        guard offset < bytes.count + padding else { throw .truncated(at: offset) }
        return 0
    }
}
