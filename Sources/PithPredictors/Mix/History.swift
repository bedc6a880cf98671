/// The bytes coded so far and the bits of the next, as all models see them.
struct History {
    /// The last bytes, in a ring.
    let ring: UnsafeMutablePointer<UInt8>
    /// The ring's length, a power of two, less one.
    let mask: Int
    /// How many bytes were coded.
    private(set) var position = 0
    /// A one and the bits of the next byte that are known.
    private(set) var partial: Int = 1
    /// How many of these bits there are.
    private(set) var bitIndex = 0
    /// The last eight bytes, the newest lowest.
    private(set) var last: UInt64 = 0

    /// A history that remembers `size` bytes at least, but not more than 2²⁶.
    init(size: Int, _ arena: Arena) {
        var length = 256
        while length < min(size, 1 << 26) { length <<= 1 }
        mask = length - 1
        ring = arena.allocate(length)
    }

    /// The byte `distance` before the next: 1 is the last.
    @inline(__always)
    func byte(_ distance: Int) -> UInt32 {
        distance <= position ? UInt32(ring[(position &- distance) & mask]) : 0
    }

    /// The last `count` bytes, 1 to 8.
    @inline(__always)
    func lastBytes(_ count: Int) -> UInt64 { last & (UInt64.max &>> UInt64(64 - 8 * count)) }

    /// Appends a bit of the next byte; true when the byte is whole, to be followed by `finishByte`.
    @inline(__always)
    mutating func append(_ bit: UInt32) -> Bool {
        partial = partial &<< 1 | Int(bit)
        bitIndex &+= 1
        return bitIndex == 8
    }

    /// Appends the byte that the bits are, and returns it.
    mutating func finishByte() -> UInt8 {
        let byte = UInt8(truncatingIfNeeded: partial)
        ring[position & mask] = byte
        position += 1
        last = last << 8 | UInt64(byte)
        (partial, bitIndex) = (1, 0)
        return byte
    }
}
