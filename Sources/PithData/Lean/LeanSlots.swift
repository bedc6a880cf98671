import CPithKernels

/// Bit histories found by a hash of their context: slots of 16 bytes, four to a cache line.
///
/// A slot holds the 15 nodes of half a byte: node 1 is its first bit, nodes 2n and 2n + 1 follow n. Its byte 0 is a
/// check that tells contexts apart which share a line.
struct LeanSlots {
    private let lines: UnsafeMutablePointer<UInt8>
    private let shift: UInt64

    /// Slots for 2^`bits` bytes, at least 64.
    init(bits: Int, arena: LeanArena) {
        lines = arena.take(UInt8.self, 1 << bits)
        shift = UInt64(64 - (bits - 6))
    }

    /// Spreads a context over 64 bits.
    @inline(__always)
    static func hash(_ context: UInt64) -> UInt64 {
        let mixed = context &* 0x9E37_79B9_7F4A_7C15
        return (mixed ^ mixed &>> 29) &* 0xBF58_476D_1CE4_E5B9
    }

    /// Asks for the line of a hash before it is read.
    @inline(__always)
    func prefetch(_ hash: UInt64) {
        pith_prefetch(lines + Int(truncatingIfNeeded: hash &>> shift) &<< 6, 1)
    }

    /// The slot of a hash. A new one takes the place of the one in its line that has seen least.
    @inline(__always)
    func find(_ hash: UInt64) -> UnsafeMutablePointer<UInt8> {
        let line = lines + Int(truncatingIfNeeded: hash &>> shift) &<< 6
        let check = UInt8(truncatingIfNeeded: hash &>> 8) | 1
        if line[0] == check { return line }
        if line[16] == check { return line + 16 }
        if line[32] == check { return line + 32 }
        if line[48] == check { return line + 48 }
        var least = line
        if line[17] < least[1] { least = line + 16 }
        if line[33] < least[1] { least = line + 32 }
        if line[49] < least[1] { least = line + 48 }
        UnsafeMutableRawPointer(least).storeBytes(of: 0, as: UInt64.self)
        UnsafeMutableRawPointer(least).storeBytes(of: 0, toByteOffset: 8, as: UInt64.self)
        least[0] = check
        return least
    }
}
