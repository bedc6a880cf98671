import PithCoding

/// The fixed tables of the predictor. Stretched probabilities, ln(p / (1 − p)), have 8 bits behind the point.
enum LeanTables {
    /// Stretched values lie within ± this.
    static let limit: Int32 = 2047
    /// Mixed values lie within ± this.
    static let mixedLimit: Int32 = 2816

    /// The stretched value of a probability of 2¹², by the probability.
    static let stretched: [Int16] = (0..<4096).map { p in
        Int16(min(max(Logistic.stretch(UInt32(16 * p + 8)), -limit), limit))
    }

    /// The probability of 2¹⁶ of a mixed value: by (x + `mixedLimit`) / 2.
    static let squashed: [UInt16] = (0...Int(mixedLimit)).map { index in
        UInt16(Logistic.squash(2 * Int32(index) - mixedLimit))
    }

    /// The share of the error by which a map's entry moves after n bits: 2¹⁶ / (n + 1.5).
    static let shares: [UInt32] = (0..<1024).map { 131072 / UInt32(2 * $0 + 3) }

    /// The tables in one block for quick access.
    static func copy(into arena: LeanArena) -> LeanTablePointers {
        func filled<Value: BitwiseCopyable>(_ values: [Value]) -> UnsafePointer<Value> {
            let place = arena.take(Value.self, values.count)
            place.initialize(from: values, count: values.count)
            return UnsafePointer(place)
        }
        return LeanTablePointers(
            stretched: filled(stretched), squashed: filled(squashed), shares: filled(shares),
            next: filled(LeanHistory.next))
    }

    /// The bytes that `copy` takes of an arena.
    static let byteCount =
        LeanArena.size(Int16.self, 4096) + LeanArena.size(UInt16.self, Int(mixedLimit) + 1)
        + LeanArena.size(UInt32.self, 1024) + LeanArena.size(UInt8.self, 512)
}

/// Where the tables lie in a coder's arena.
struct LeanTablePointers {
    let stretched: UnsafePointer<Int16>
    let squashed: UnsafePointer<UInt16>
    let shares: UnsafePointer<UInt32>
    let next: UnsafePointer<UInt8>

    /// The stretched probability of an entry of a map.
    @inline(__always)
    func stretch(_ entry: UInt32) -> Int16 { stretched[Int(entry &>> 20)] }

    /// The probability of 2¹⁶, in 1..<2¹⁶, of any stretched value.
    @inline(__always)
    func squash(_ x: Int32) -> UInt32 {
        let limit = LeanTables.mixedLimit
        return UInt32(squashed[Int((min(max(x, -limit), limit) &+ limit) &>> 1)])
    }

    /// An entry of a map, 22 bits of probability above 10 of count, after one more bit.
    @inline(__always)
    func learnt(_ entry: UInt32, _ bit: Int, limit: UInt32) -> UInt32 {
        let count = entry & 1023
        let error = (bit == 1 ? 0xFFFF_FFFF : 0) &- Int64(entry)
        let moved = UInt32(truncatingIfNeeded: Int64(entry) &+ (error &* Int64(shares[Int(count)])) &>> 16)
        return moved & ~1023 | count &+ (count < limit ? 1 : 0)
    }
}
