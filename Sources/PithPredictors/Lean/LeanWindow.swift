import CPithKernels

/// The last bytes, in a ring.
struct LeanWindow {
    private let bytes: UnsafeMutablePointer<UInt8>
    private let mask: Int

    /// A window of 2^`bits` bytes.
    init(bits: Int, arena: LeanArena) {
        bytes = arena.take(UInt8.self, 1 << bits)
        mask = 1 << bits - 1
    }

    /// The number of bytes that are kept.
    @inline(__always)
    var count: Int { mask &+ 1 }

    /// The byte at an offset of the input, which must be one of the last `count`.
    @inline(__always)
    subscript(offset: Int) -> UInt8 {
        get { bytes[offset & mask] }
        nonmutating set { bytes[offset & mask] = newValue }
    }

    /// Asks for the bytes before and at an offset before they are read.
    @inline(__always)
    func prefetch(_ offset: Int) { pith_prefetch(bytes + offset & mask, 1) }

    /// A hash of the `length` bytes before `end`; those before the beginning count as zeros.
    @inline(__always)
    func hash(of length: Int, before end: Int) -> UInt64 {
        var value: UInt64 = 0
        for distance in 1...length { value = value &<< 8 &+ value &>> 56 &+ UInt64(self[end &- distance]) &* 0x9E3B }
        return LeanSlots.hash(value)
    }
}
