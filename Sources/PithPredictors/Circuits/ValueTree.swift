import PithCoding
import PithCore

/// A binary tree over the byte values that occur: a value is a run of yes-or-no decisions from the root down.
///
/// Each split leaves about the same number of occurrences on both sides and keeps the order of values, so a frequent
/// value takes few decisions, and values that are near each other share most of theirs.
package struct ValueTree: Sendable, Equatable {
    /// The values that occur, ascending.
    package let symbols: [UInt8]
    /// For inner node n the first symbol index of its upper side, by which it can be written down.
    private let splits: [Int]
    /// Where decisions lead, [2 · nodes]: an inner node, or −1 − value.
    package let children: [Int]
    /// The decisions of value v, node · 2 + bit, are `steps[stepStarts[v]..<stepStarts[v + 1]]`; none for other values.
    package let steps: [UInt16]
    package let stepStarts: [Int]

    /// Inner nodes.
    package var nodeCount: Int { max(0, symbols.count - 1) }

    /// A tree for values that occur so often, [256].
    package init(counts: [Int]) {
        let symbols = (0..<256).filter { counts[$0] > 0 }
        var sums = [0]
        for symbol in symbols { sums.append(sums[sums.count - 1] + counts[symbol]) }
        self.init(symbols: symbols.map { UInt8($0) }) { range in
            // The split whose sides differ least.
            let middle = (sums[range.lowerBound] + sums[range.upperBound]) / 2
            var best = range.lowerBound + 1
            for split in range.dropFirst() where abs(sums[split] - middle) < abs(sums[best] - middle) { best = split }
            return best
        }
    }

    /// A tree over `symbols` whose inner nodes, asked for from the root down, the lower side first, split where
    /// `split` says.
    private init<Failure: Error>(
        symbols: [UInt8], split: (Range<Int>) throws(Failure) -> Int
    ) throws(Failure) {
        var (splits, children) = ([Int](), [Int]())
        var open = symbols.count > 1 ? [(range: 0..<symbols.count, slot: -1)] : []
        var codes = [[UInt16]](repeating: [], count: 256)
        var prefixes: [[UInt16]] = [[]]
        while let (range, slot) = open.popLast() {
            let (node, prefix, at) = (splits.count, prefixes.removeLast(), try split(range))
            if slot >= 0 { children[slot] = node }
            splits.append(at)
            children += [0, 0]
            for (bit, side) in [(1, at..<range.upperBound), (0, range.lowerBound..<at)] {
                let code = prefix + [UInt16(node << 1 | bit)]
                if side.count == 1 {
                    children[2 * node + bit] = -1 - Int(symbols[side.lowerBound])
                    codes[Int(symbols[side.lowerBound])] = code
                } else {
                    open.append((side, 2 * node + bit))
                    prefixes.append(code)
                }
            }
        }
        (self.symbols, self.splits, self.children) = (symbols, splits, children)
        steps = codes.flatMap { $0 }
        stepStarts = codes.reduce(into: [0]) { $0.append($0[$0.count - 1] + $1.count) }
    }

    /// Writes the values and the splits.
    package func encode(to encoder: inout RangeEncoder) {
        for value in 0..<256 { encoder.encode(symbols.contains(UInt8(value)), probability: 1 << 15) }
        var known = splits.makeIterator()
        _ = Self(symbols: symbols) { range in
            let split = known.next()!
            encoder.encode(
                start: UInt32(split - range.lowerBound - 1), frequency: 1, total: UInt32(range.count - 1))
            return split
        }
    }

    /// Reads what `encode` wrote.
    package init(from decoder: inout RangeDecoder) throws(PithError) {
        var symbols: [UInt8] = []
        for value in 0..<256 where try decoder.decode(probability: 1 << 15) { symbols.append(UInt8(value)) }
        guard !symbols.isEmpty else { throw .invalidStream("a tree of no values") }
        try self.init(symbols: symbols) { (range) throws(PithError) in
            let slot = decoder.slot(total: UInt32(range.count - 1))
            guard slot < UInt32(range.count - 1) else { throw .invalidStream("a split behind the last value") }
            try decoder.advance(start: slot, frequency: 1, total: UInt32(range.count - 1))
            return range.lowerBound + 1 + Int(slot)
        }
    }
}
