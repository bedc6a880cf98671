import PithCoding

/// Curves that all parts of the engine read, as plain memory.
struct MixTables {
    /// The largest stretched input of a mixer.
    static let inputLimit: Int32 = 2047

    /// [4096]: ln(p / (1 − p)) · 256 of probabilities of 2¹² (the middles of steps of 2¹⁶), within ±`inputLimit`.
    let stretched: UnsafeMutablePointer<Int16>
    /// [2 · limit + 1]: probabilities of 2¹⁶ by stretched value + `Logistic.limit`.
    let squashed: UnsafeMutablePointer<UInt16>
    /// [1024]: the share 2¹⁶ / (n + 1.5) that a bit moves an estimate by after n bits.
    let shares: UnsafeMutablePointer<UInt16>

    init(_ arena: Arena) {
        stretched = arena.copy(Self.stretchedValues)
        squashed = arena.copy(Self.squashedValues)
        shares = arena.copy(Self.shareValues)
    }

    private static let stretchedValues: [Int16] = (0..<4096).map {
        Int16(max(-inputLimit, min(inputLimit, Logistic.stretch(UInt32($0 * 16 + 8)))))
    }
    private static let squashedValues: [UInt16] = (-Logistic.limit...Logistic.limit).map { UInt16(Logistic.squash($0)) }
    private static let shareValues: [UInt16] = (0..<1024).map { UInt16((1 << 17) / (2 * $0 + 3)) }

    /// The stretched value of a probability of 2¹⁶.
    @inline(__always)
    func stretch(_ probability: UInt32) -> Int32 { Int32(stretched[Int(probability &>> 4)]) }

    /// The probability of 2¹⁶ of a stretched value.
    @inline(__always)
    func squash(_ x: Int32) -> Int32 {
        Int32(squashed[Int(min(max(x, -Logistic.limit), Logistic.limit) &+ Logistic.limit)])
    }
}

/// An estimate of 22 bits and how many bits it has seen in 10, as `AdaptiveBit`, kept in tables.
enum Estimate {
    /// One half, after no bits.
    static let start: UInt32 = 1 << 31

    /// The estimate after a bit; the share of its error is never below 1 / (`limit` + 1.5).
    @inline(__always)
    static func updated(_ state: UInt32, _ bit: UInt32, limit: UInt32, _ tables: MixTables) -> UInt32 {
        let (count, estimate) = (state & 1023, state &>> 10)
        let error = Int64(bit &* ((1 &<< 22) &- 1)) &- Int64(estimate)
        let moved = Int64(estimate) &+ (error &* Int64(tables.shares[Int(count)])) &>> 16
        return UInt32(truncatingIfNeeded: moved) &<< 10 | (count < limit ? count &+ 1 : limit)
    }
}

/// Mixes of hashes.
enum Hash {
    /// A hash of a hash and another value.
    @inline(__always)
    static func combine(_ hash: UInt64, _ value: UInt64) -> UInt64 {
        let mixed = (hash ^ (value &+ 1) &* 0x9E37_79B9_7F4A_7C15) &* 0xD6E8_FEB8_6659_FD93
        return mixed ^ mixed &>> 32
    }
}
