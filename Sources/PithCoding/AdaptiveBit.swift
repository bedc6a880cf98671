import PithCore

/// How likely the next bit is true, learnt from the bits before: each moves the estimate by a share that begins large.
///
/// The estimate has 22 bits, the number of bits seen 10.
public struct AdaptiveBit: Sendable {
    @usableFromInline var state: UInt32 = 1 << 31

    /// Where estimates stop getting slower: a share of about 1/256 of each error.
    public static let defaultLimit: UInt32 = 255

    /// Both bits are equally likely at first.
    public init() {}

    /// The probability of true of 2¹⁶, in 1..<2¹⁶.
    @inlinable @inline(__always)
    public var probability: UInt32 { max(1, state >> 16) }

    /// Learns a bit. After n bits the share is 1 / (n + 1.5), and never below 1 / (`limit` + 1.5); limit < 1024.
    @inlinable @inline(__always)
    public mutating func update(_ bit: Bool, limit: UInt32 = defaultLimit) {
        let (count, estimate) = (state & 1023, state &>> 10)
        let error = (bit ? 1 << 22 - 1 : 0) &- Int64(estimate)
        // The share of 2¹⁶; a division is no slower than a table that must be looked for.
        let share = Int64((1 << 17) / (2 &* count &+ 3))
        let moved = Int64(estimate) &+ (error &* share) &>> 16
        state = UInt32(truncatingIfNeeded: moved) &<< 10 | min(count &+ 1, limit)
    }
}

/// How likely the next bit is true, moved by the same share of each error: 2^−`rate`.
public struct ShiftedBit: Sendable {
    @usableFromInline var estimate: UInt16 = 1 << 15

    /// The probability of true of 2¹⁶, in 1..<2¹⁶.
    @inlinable @inline(__always)
    public var probability: UInt16 { estimate }

    /// Both bits are equally likely at first.
    public init() {}

    /// Learns a bit; `rate` is 1 to 15.
    @inlinable @inline(__always)
    public mutating func update(_ bit: Bool, rate: UInt16 = 5) {
        // What rounding down leaves keeps the probability away from 0 and 2¹⁶.
        if bit {
            estimate &+= (.max &- estimate) &>> rate
        } else {
            estimate &-= (estimate &- 1) &>> rate
        }
    }
}

/// An adaptive model of symbols of a few bits: a binary tree of adaptive bits, the highest bit first.
public struct BitTree: Sendable {
    @usableFromInline var nodes: [AdaptiveBit]
    @usableFromInline let depth: Int

    /// A model of symbols of `bits` bits, 1 to 16.
    public init(bits: Int) {
        precondition((1...16).contains(bits), "\(bits) bits")
        depth = bits
        nodes = [AdaptiveBit](repeating: AdaptiveBit(), count: 1 << bits)
    }

    /// Codes a symbol and learns it.
    @inlinable @inline(__always)
    public mutating func encode(_ symbol: Int, to encoder: inout RangeEncoder) {
        var node = 1
        for shift in (0..<depth).reversed() {
            let bit = symbol >> shift & 1 == 1
            encoder.encode(bit, probability: nodes[node].probability)
            nodes[node].update(bit)
            node = node << 1 | (bit ? 1 : 0)
        }
    }

    /// Decodes a symbol and learns it.
    @inlinable @inline(__always)
    public mutating func decode(from decoder: inout RangeDecoder) throws(PithError) -> Int {
        var node = 1
        for _ in 0..<depth {
            let bit = try decoder.decode(probability: nodes[node].probability)
            nodes[node].update(bit)
            node = node << 1 | (bit ? 1 : 0)
        }
        return node - 1 << depth
    }
}
