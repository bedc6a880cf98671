import HeapModule

/// The merges of byte-pair encoding in the order of their rank.
struct BytePairMerges: Sendable {
    /// A part of a word: its token, and how many bytes it stands for.
    struct Symbol {
        var token: UInt32
        var length: UInt32
    }

    private let ranks: PairTable
    /// The token that each merge makes.
    private let results: [UInt32]

    /// The merges, first ranked first. Of equal pairs the last counts.
    init(_ merges: [(left: UInt32, right: UInt32, result: UInt32)]) {
        var ranks = PairTable(capacity: merges.count)
        for (rank, merge) in merges.enumerated() { ranks.set(merge.left, merge.right, to: UInt32(rank)) }
        self.ranks = ranks
        results = merges.map(\.result)
    }

    /// The pairs of tokens, first ranked first; of equal pairs the last.
    var pairs: [(left: UInt32, right: UInt32)] {
        ranks.entries.sorted { $0.value < $1.value }.map { ($0.left, $0.right) }
    }

    /// The rank of each merge and the token that it makes.
    var rankedResults: [(rank: Int, token: UInt32)] { results.enumerated().map { ($0, $1) } }

    /// Words up to this length are merged by looking at all pairs, longer ones with a heap.
    private static let shortLength = 24
    private static let noRank = UInt32.max

    /// Merges the symbols of a word until no merge applies; always the one of lowest rank, the leftmost first.
    func apply(to symbols: inout [Symbol]) {
        if symbols.count < 2 { return }
        if symbols.count <= Self.shortLength { applyShort(&symbols) } else { applyLong(&symbols) }
    }

    @inline(__always) private func rank(of left: Symbol, _ right: Symbol) -> UInt32? { ranks[left.token, right.token] }

    private func applyShort(_ symbols: inout [Symbol]) {
        withUnsafeTemporaryAllocation(of: UInt32.self, capacity: Self.shortLength) { rankOfPair in
            var count = symbols.count
            for i in 0..<count - 1 { rankOfPair[i] = rank(of: symbols[i], symbols[i + 1]) ?? Self.noRank }
            while count > 1 {
                var best = 0
                for i in 1..<max(count - 1, 1) where rankOfPair[i] < rankOfPair[best] { best = i }
                let first = rankOfPair[best]
                if first == Self.noRank { break }
                symbols[best].token = results[Int(first)]
                symbols[best].length += symbols[best + 1].length
                count -= 1
                for i in best + 1..<max(count, best + 1) {
                    symbols[i] = symbols[i + 1]
                    rankOfPair[i - 1] = rankOfPair[i]
                }
                if best > 0 { rankOfPair[best - 1] = rank(of: symbols[best - 1], symbols[best]) ?? Self.noRank }
                if best + 1 < count { rankOfPair[best] = rank(of: symbols[best], symbols[best + 1]) ?? Self.noRank }
            }
            symbols.removeLast(symbols.count - count)
        }
    }

    private func applyLong(_ symbols: inout [Symbol]) {
        let count = symbols.count
        // A linked list over the positions; a position that was merged away is its own next.
        var next = Array(1...count)
        var previous = Array(-1..<count - 1)
        func candidate(_ left: Int) -> MergeCandidate? {
            let right = next[left]
            guard right < count, let rank = self.rank(of: symbols[left], symbols[right]) else { return nil }
            return MergeCandidate(rank: rank, position: left)
        }
        var heap = Heap((0..<count - 1).compactMap(candidate))
        while let entry = heap.popMin() {
            let left = entry.position
            let right = next[left]
            // What has changed since the entry was made has got an entry of its own.
            guard right != left, right < count, rank(of: symbols[left], symbols[right]) == entry.rank else { continue }
            symbols[left].token = results[Int(entry.rank)]
            symbols[left].length += symbols[right].length
            let after = next[right]
            next[left] = after
            next[right] = right
            if after < count { previous[after] = left }
            if previous[left] >= 0, let entry = candidate(previous[left]) { heap.insert(entry) }
            if let entry = candidate(left) { heap.insert(entry) }
        }
        var kept = 0
        for i in 0..<count where next[i] != i {
            symbols[kept] = symbols[i]
            kept += 1
        }
        symbols.removeLast(count - kept)
    }
}

/// A merge that could be done; the lowest rank and then the leftmost is done first.
private struct MergeCandidate: Comparable {
    // Rank above position, so that one comparison orders by both.
    private let bits: UInt64
    private static let positionBits: UInt64 = 40

    init(rank: UInt32, position: Int) { bits = UInt64(rank) << Self.positionBits | UInt64(position) }

    var rank: UInt32 { UInt32(truncatingIfNeeded: bits >> Self.positionBits) }
    var position: Int { Int(bits & (1 << Self.positionBits - 1)) }
    @inline(__always) static func < (left: Self, right: Self) -> Bool { left.bits < right.bits }
}
