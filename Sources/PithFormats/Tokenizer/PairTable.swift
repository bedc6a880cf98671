/// A table from pairs of tokens to numbers, for the innermost loop of byte-pair encoding.
struct PairTable: Sendable {
    private static let empty = UInt64.max

    private var keys: [UInt64]
    private var values: [UInt32]
    private var count = 0
    // A factor that files cannot know, so that none can be made whose pairs all collide. It changes no result.
    private let factor = UInt64.random(in: .min ... .max) | 1

    /// A table with room for `count` pairs.
    init(capacity count: Int) {
        var size = 16
        while 3 * size < 4 * count { size *= 2 }
        keys = [UInt64](repeating: Self.empty, count: size)
        values = [UInt32](repeating: 0, count: size)
    }

    @inline(__always) private func slot(of key: UInt64) -> Int {
        let mask = keys.count - 1
        let mixed = (key ^ key >> 31) &* factor
        var slot = Int(truncatingIfNeeded: mixed >> 20) & mask
        while keys[slot] != key, keys[slot] != Self.empty { slot = (slot + 1) & mask }
        return slot
    }

    @inline(__always) private static func key(_ left: UInt32, _ right: UInt32) -> UInt64 {
        UInt64(left) << 32 | UInt64(right)
    }

    /// The number of a pair.
    @inline(__always) subscript(left: UInt32, right: UInt32) -> UInt32? {
        let key = Self.key(left, right)
        let slot = slot(of: key)
        return keys[slot] == key ? values[slot] : nil
    }

    /// All pairs and their numbers, in no order.
    var entries: [(left: UInt32, right: UInt32, value: UInt32)] {
        keys.indices.filter { keys[$0] != Self.empty }.map {
            (UInt32(keys[$0] >> 32), UInt32(truncatingIfNeeded: keys[$0]), values[$0])
        }
    }

    /// Sets the number of a pair; the table must have room.
    mutating func set(_ left: UInt32, _ right: UInt32, to value: UInt32) {
        let key = Self.key(left, right)
        let slot = slot(of: key)
        if keys[slot] != key {
            precondition(4 * count < 3 * keys.count + 1, "the table of pairs is full")
            count += 1
            keys[slot] = key
        }
        values[slot] = value
    }
}
