/// Arithmetic coding with 32 bits: an interval [low, low + range) that each symbol narrows to its share.
///
/// Shares are products of 64 bits, so what rounding loses is below 2⁻²⁴ of a share's width. Carries run back through
/// the bytes written. A stream takes at most one byte more than the information in its symbols.
public struct RangeEncoder: Sendable {
    @usableFromInline var bytes: [UInt8] = []
    @usableFromInline var low: UInt32 = 0
    @usableFromInline var range: UInt32 = .max

    /// The largest permitted total of frequencies: the range never gets smaller.
    public static let largestTotal = 1 << 24

    /// Begins an empty stream.
    public init() {}

    /// Bytes written so far; `finish` adds one.
    public var byteCount: Int { bytes.count }

    /// Codes a bit whose probability of being true is `probability` / 2^`bits`, with 0 < probability < 2^bits ≤ 2¹⁶.
    @inlinable @inline(__always)
    public mutating func encode(_ bit: Bool, probability: UInt32, bits: UInt32 = 16) {
        assert(bits <= 16 && probability > 0 && probability < 1 << bits, "\(probability) of 2^\(bits)")
        let bound = UInt32(truncatingIfNeeded: (UInt64(range) &* UInt64(probability)) &>> UInt64(bits))
        if bit { range = bound } else { advance(by: bound, range: range &- bound) }
        normalize()
    }

    /// Codes a symbol that has `frequency` of 2^`totalBits` behind `start`, the frequencies of the symbols before it.
    @inlinable @inline(__always)
    public mutating func encode(start: UInt32, frequency: UInt32, totalBits: UInt32) {
        assert(frequency > 0 && totalBits <= 24 && start + frequency <= 1 << totalBits, "\(start), \(frequency)")
        let (wide, shift) = (UInt64(range), UInt64(totalBits))
        let lower = UInt32(truncatingIfNeeded: (wide &* UInt64(start)) &>> shift)
        let upper = UInt32(truncatingIfNeeded: (wide &* UInt64(start &+ frequency)) &>> shift)
        advance(by: lower, range: upper &- lower)
        normalize()
    }

    /// Codes a symbol that has `frequency` of `total`, at most `largestTotal`, behind `start`.
    @inlinable @inline(__always)
    public mutating func encode(start: UInt32, frequency: UInt32, total: UInt32) {
        assert(frequency > 0 && total <= Self.largestTotal && start + frequency <= total, "\(start), \(frequency)")
        let (wide, total) = (UInt64(range), UInt64(total))
        let lower = UInt32(truncatingIfNeeded: wide &* UInt64(start) / total)
        let upper = UInt32(truncatingIfNeeded: wide &* UInt64(start &+ frequency) / total)
        advance(by: lower, range: upper &- lower)
        normalize()
    }

    /// Codes the lowest `count` bits of `value`, at most 24, all values being equally likely.
    public mutating func encode(bits value: UInt32, count: UInt32) {
        encode(start: value, frequency: 1, totalBits: count)
    }

    @inlinable @inline(__always)
    mutating func advance(by offset: UInt32, range narrowed: UInt32) {
        let (sum, overflow) = low.addingReportingOverflow(offset)
        low = sum
        range = narrowed
        if overflow { carry() }
    }

    /// Adds one to the number that the bytes are. It stays below one, so a byte below 255 is always there.
    @usableFromInline
    mutating func carry() {
        var place = bytes.count - 1
        while bytes[place] == 255 {
            bytes[place] = 0
            place -= 1
        }
        bytes[place] += 1
    }

    @inlinable @inline(__always)
    mutating func normalize() {
        while range < 1 << 24 {
            bytes.append(UInt8(truncatingIfNeeded: low &>> 24))
            low <<= 8
            range <<= 8
        }
    }

    /// The whole stream.
    public consuming func finish() -> [UInt8] {
        // The range holds a multiple of 2²⁴: its first byte says it, and the reader puts zeros behind it.
        let (value, overflow) = low.addingReportingOverflow(0xFF_FFFF)
        if overflow { carry() }
        bytes.append(UInt8(truncatingIfNeeded: value >> 24))
        return bytes
    }
}
