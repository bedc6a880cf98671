import CPithKernels

/// Bit histories found by a hash of their context: cache lines of four slots, each for the 15 nodes of half a byte.
///
/// Node 1 is the first bit of the half, nodes 2n and 2n + 1 follow n. A line begins with four checks that tell apart the
/// contexts that share it; behind them lie the nodes of slot after slot.
struct LeanSlots {
    private let lines: UnsafeMutablePointer<UInt8>
    private let shift: UInt64

    /// The line of a slot is chosen by all but this many bits of what is coded before it, and asked for while those
    /// are coded; the check tells them apart. So the wait for memory is shorter, and related slots share lines.
    static let ahead = 2
    /// Those bits.
    static let aheadMask = 1 << ahead - 1

    /// Slots in 2^`bits` bytes, at least 128.
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

    /// The line of a hash; it is asked for before it is read.
    @inline(__always)
    func line(_ hash: UInt64) -> UnsafeMutablePointer<UInt8> {
        let line = lines + Int(truncatingIfNeeded: hash &>> shift) &<< 6
        pith_prefetch(line, 1)
        return line
    }

    /// The slot of a context in its line, such that node n is n bytes behind it. A new one takes the place of the one
    /// that has seen least.
    @inline(__always)
    static func find(_ check: UInt8, in line: UnsafeMutablePointer<UInt8>) -> UnsafeMutablePointer<UInt8> {
        let checks = UnsafeMutableRawPointer(line).load(as: UInt32.self).littleEndian
        // The lowest byte that becomes zero gets its highest bit; those above it do not matter.
        let difference = checks ^ UInt32(check) &* 0x0101_0101
        let equal = (difference &- 0x0101_0101) & ~difference & 0x8080_8080
        if equal != 0 { return line + (3 &+ 15 &* (equal.trailingZeroBitCount &>> 3)) }
        return replace(check, in: line)
    }

    @inline(never)
    private static func replace(_ check: UInt8, in line: UnsafeMutablePointer<UInt8>) -> UnsafeMutablePointer<UInt8> {
        // The lower the state of the first node, the fewer bits it has seen.
        let first = min(Int(line[4]) &<< 2, Int(line[19]) &<< 2 | 1)
        let second = min(Int(line[34]) &<< 2 | 2, Int(line[49]) &<< 2 | 3)
        let way = min(first, second) & 3
        line[way] = check
        let slot = line + (3 &+ 15 &* way)
        UnsafeMutableRawPointer(slot).storeBytes(of: 0, toByteOffset: 1, as: UInt64.self)
        UnsafeMutableRawPointer(slot).storeBytes(of: 0, toByteOffset: 8, as: UInt64.self)
        return slot
    }
}
