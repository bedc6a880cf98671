import PithCore

/// An adaptive model of symbols of any alphabet: frequencies that grow as symbols come, in a Fenwick tree.
///
/// When the total reaches its limit all frequencies are halved, so that what came lately counts more.
public struct AdaptiveFrequencies: Sendable {
    // Node i, from 1 on, holds the frequencies of the i & −i symbols that end with symbol i − 1.
    private var tree: [UInt32]
    private let symbolCount: Int
    private let increment: UInt32
    private let limit: UInt32
    private var total: UInt32

    /// A model of `symbolCount` symbols, up to 2¹⁶, equally likely at first. A symbol that comes gains `increment`;
    /// totals stay at or below `limit`, which is at least twice the number of symbols, and at most 2²⁴.
    public init(symbolCount: Int, increment: UInt32 = 24, limit: UInt32 = 1 << 16) {
        precondition((1...1 << 16).contains(symbolCount), "\(symbolCount) symbols")
        precondition(
            increment > 0 && limit <= UInt32(RangeEncoder.largestTotal)
                && Int(limit) >= 2 * symbolCount + Int(increment),
            "an increment of \(increment) and totals to \(limit)")
        (self.symbolCount, self.increment, self.limit) = (symbolCount, increment, limit)
        total = UInt32(symbolCount)
        tree = (0...symbolCount).map { UInt32($0 & -$0) }
    }

    /// Codes a symbol and learns it.
    public mutating func encode(_ symbol: Int, to encoder: inout RangeEncoder) {
        precondition((0..<symbolCount).contains(symbol), "symbol \(symbol) of \(symbolCount)")
        let (start, end) = (sum(symbol), sum(symbol + 1))
        encoder.encode(start: start, frequency: end - start, total: total)
        learn(symbol)
    }

    /// Decodes a symbol and learns it.
    public mutating func decode(from decoder: inout RangeDecoder) throws(PithError) -> Int {
        // Down the tree to the last node whose sum does not reach the slot.
        let slot = decoder.slot(total: total)
        var (node, start, step) = (0, UInt32(0), 1 << (Int.bitWidth - 1 - symbolCount.leadingZeroBitCount))
        while step > 0 {
            if node + step <= symbolCount, start + tree[node + step] <= slot {
                node += step
                start += tree[node]
            }
            step >>= 1
        }
        guard node < symbolCount else { throw .invalidStream("a slot behind the last symbol") }
        try decoder.advance(start: start, frequency: sum(node + 1) - start, total: total)
        learn(node)
        return node
    }

    /// The frequencies of the first `count` symbols.
    private func sum(_ count: Int) -> UInt32 {
        var (node, sum) = (count, UInt32(0))
        while node > 0 {
            sum += tree[node]
            node &= node - 1
        }
        return sum
    }

    private mutating func learn(_ symbol: Int) {
        if total + increment > limit { halve() }
        var node = symbol + 1
        while node <= symbolCount {
            tree[node] += increment
            node += node & -node
        }
        total += increment
    }

    /// Every frequency becomes half of itself, rounded up.
    private mutating func halve() {
        var frequencies = (0..<symbolCount).map { sum($0 + 1) - sum($0) }
        total = 0
        for symbol in frequencies.indices {
            frequencies[symbol] = (frequencies[symbol] + 1) / 2
            total += frequencies[symbol]
        }
        for node in 1...symbolCount { tree[node] = frequencies[node - 1] }
        for node in 1...symbolCount where node + (node & -node) <= symbolCount {
            tree[node + (node & -node)] += tree[node]
        }
    }
}
