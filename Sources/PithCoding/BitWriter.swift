/// Writes a stream of bits, the lowest bits of a byte first.
public struct BitWriter: Sendable {
    private var bytes: [UInt8] = []
    private var window: UInt64 = 0
    private var filled = 0

    /// Begins an empty stream.
    public init() {}

    /// Bits written so far.
    public var bitCount: Int { bytes.count * 8 + filled }

    /// Appends the lowest `count` bits of `value`, at most 56; the bits above must be zeros.
    @inline(__always)
    public mutating func write(_ value: UInt64, count: Int) {
        assert(count >= 0 && count <= 56 && value >> UInt64(count) == 0, "\(count) bits of \(value)")
        window |= value &<< UInt64(truncatingIfNeeded: filled)
        filled += count
        while filled >= 8 {
            bytes.append(UInt8(truncatingIfNeeded: window))
            window >>= 8
            filled -= 8
        }
    }

    /// The bytes of the stream; the last one is filled up with zeros.
    public consuming func finish() -> [UInt8] {
        if filled > 0 { bytes.append(UInt8(truncatingIfNeeded: window)) }
        return bytes
    }
}
