import PithCoding

/// Counts of what followed the last bytes, added to logits: only bytes with counts are touched, for adding one number
/// to all logits changes no distribution.
///
/// A byte counted c times in a context gains λ · ln(1 + c / α). λ belongs to the context's length and how much is known
/// of it, and learns on line from the slope of the bits spent.
package struct GramTables {
    /// How many bytes of context the tables have: 2- to 8-, 16- and 32-grams.
    package static let lengths = [1, 2, 3, 4, 5, 6, 7, 15, 31]
    private static let (often, many) = (10, 6)

    private var counts = ContextCounts()
    private var found = [UInt32](repeating: ContextCounts.none, count: lengths.count)
    private var speaks = [Bool](repeating: false, count: lengths.count)
    private var hashes = [UInt64](repeating: 0, count: lengths.count)
    private var cells = [Int](repeating: 0, count: lengths.count)
    private var weights: [Float]
    // Σ of squared slopes.
    private var spreads: [Float]
    // The last 32 bytes, the latest lowest in the first.
    private var recent: (UInt64, UInt64, UInt64, UInt64) = (0, 0, 0, 0)

    // ln(1 + c / α) for each count.
    private static let gains: [Float] = (0..<256).map { count in
        Float(FixedPoint.log2(UInt64(1 + 20 * count))) * (0.693_147_2 / 65536)
    }
    private static let firstWeight: Float = 0.15
    private static let learningRate: Float = 0.03
    /// A context that was followed by one byte alone, so often, needs no other model.
    private static let certainty = 16

    package init() {
        weights = Array(repeating: Self.firstWeight, count: Self.lengths.count * Self.often * Self.many)
        spreads = Array(repeating: 1, count: weights.count)
        setHashes()
    }

    /// Whether the longest context was always followed by one byte: then it speaks alone.
    package private(set) var foresees = false

    /// Looks the contexts up.
    package mutating func lookUp() {
        var above: UInt16 = 0
        foresees = false
        for kind in Self.lengths.indices.reversed() {
            let number = counts.find(hashes[kind])
            found[kind] = number
            speaks[kind] = number != ContextCounts.none && !foresees
            guard speaks[kind] else { continue }
            let context = counts.contexts[Int(number)]
            // One that was seen only where a longer one was says nothing of its own.
            speaks[kind] = context.total != above
            above = context.total
            let often = min(Self.often, Int.bitWidth - Int(context.total).leadingZeroBitCount) - 1
            let many = min(Self.many, Int.bitWidth - Int(context.distinct).leadingZeroBitCount) - 1
            cells[kind] = (kind * Self.often + often) * Self.many + many
            let longest = kind == Self.lengths.count - 1
            if longest, context.distinct == 1, context.total >= Self.certainty { foresees = true }
        }
    }

    /// Adds all biases, times `scale`, to `logits`.
    package func add(to logits: UnsafeMutablePointer<Float>, scale: Float) {
        for kind in found.indices where speaks[kind] {
            let weight = weights[cells[kind]] * scale
            var place = counts.contexts[Int(found[kind])].first
            while place != ContextCounts.none {
                let follower = counts.followers[Int(place)]
                logits[Int(follower.symbol)] += weight * Self.gains[Int(follower.count)]
                place = follower.next
            }
        }
    }

    /// Learns: `slopes` of [256] holds what was predicted, less 1 for the byte that came; `scale` as it was added.
    package mutating func update(_ byte: UInt8, slopes: UnsafeMutablePointer<Float>, scale: Float) {
        for kind in found.indices where speaks[kind] {
            var (slope, place) = (Float(0), counts.contexts[Int(found[kind])].first)
            while place != ContextCounts.none {
                let follower = counts.followers[Int(place)]
                slope += slopes[Int(follower.symbol)] * Self.gains[Int(follower.count)]
                place = follower.next
            }
            slope *= scale
            let cell = cells[kind]
            spreads[cell] += slope * slope
            weights[cell] -= Self.learningRate * slope / spreads[cell].squareRoot()
        }
        for kind in found.indices {
            // A long context is worth a place once the one below it came back.
            if kind > 4, found[kind - 1] == ContextCounts.none { break }
            counts.learn(byte, in: found[kind], hash: hashes[kind])
        }
        counts.forgetIfFull()
        recent.3 = recent.3 << 8 | recent.2 >> 56
        recent.2 = recent.2 << 8 | recent.1 >> 56
        recent.1 = recent.1 << 8 | recent.0 >> 56
        recent.0 = recent.0 << 8 | UInt64(byte)
        setHashes()
    }

    private mutating func setHashes() {
        for (kind, length) in Self.lengths.enumerated() {
            var hash = UInt64(kind + 1) &* 0x94D0_49BB_1331_11EB
            for (index, word) in [recent.0, recent.1, recent.2, recent.3].enumerated() where length > 8 * index {
                let bytes = min(8, length - 8 * index)
                hash = (hash ^ (word & (.max >> UInt64(64 - 8 * bytes)))) &* 0xBF58_476D_1CE4_E5B9
                hash ^= hash >> 31
            }
            hash = hash &* 0xD6E8_FEB8_6659_FD93
            hashes[kind] = hash ^ hash >> 32
        }
    }
}
