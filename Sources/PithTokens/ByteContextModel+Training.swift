import PithCore

extension ByteContextModel {
    /// Counts the strings of up to `order` + 1 bytes in some texts; those seen fewer than `minimumCount` times are
    /// left out.
    public init(
        learning texts: [ArraySlice<UInt8>], order: Int = 5, minimumCount: Int = 2
    ) throws(PithError) {
        guard Self.orders.contains(order) else {
            throw .usage(
                "contexts of \(order) bytes",
                remedy: "the order should be in \(Self.orders.lowerBound)…\(Self.orders.upperBound)")
        }
        let total = texts.reduce(0) { $0 + $1.count }
        guard (1...Self.largestText).contains(total) else {
            throw .usage("\(total) bytes to learn from", remedy: "there should be 1…\(Self.largestText)")
        }
        var keys = Self.keys(texts, length: order + 1)
        keys.sort()
        var builder = TrieBuilder(keys: keys, minimumCount: UInt32(clamping: max(1, minimumCount)))
        for length in 1...order + 1 { builder.addLevel(length) }
        self = builder.model(order: order)
    }

    /// For each place the bytes from there on, first byte highest, and in the lowest byte how many there are.
    private static func keys(_ texts: [ArraySlice<UInt8>], length: Int) -> [UInt64] {
        var keys: [UInt64] = []
        keys.reserveCapacity(texts.reduce(0) { $0 + $1.count })
        for text in texts {
            var (following, available) = (UInt64(0), 0)
            for byte in text.reversed() {
                following = (following >> 8 | UInt64(byte) << 56) & (UInt64.max << UInt64(64 - 8 * length))
                available = min(available + 1, length)
                keys.append(following | UInt64(available))
            }
        }
        return keys
    }
}

/// Makes a trie from sorted keys, a level at a time: a node is a run of keys that begin alike.
private struct TrieBuilder {
    private let keys: [UInt64]
    private let minimumCount: UInt32
    private var bytes: [UInt8] = [0]
    private var counts: [UInt32]
    private var firstChild: [UInt32] = []
    /// The keys of each node of the last level.
    private var runs: [Range<Int>]

    init(keys: [UInt64], minimumCount: UInt32) {
        (self.keys, self.minimumCount) = (keys, minimumCount)
        counts = [UInt32(keys.count)]
        runs = [0..<keys.count]
    }

    /// Adds the strings of `length` bytes below those of the level before.
    mutating func addLevel(_ length: Int) {
        var next: [Range<Int>] = []
        let shift = UInt64(64 - 8 * length)
        for run in runs {
            firstChild.append(UInt32(counts.count))
            var start = run.lowerBound
            while start < run.upperBound {
                let byte = UInt8(truncatingIfNeeded: keys[start] >> shift)
                var (end, count) = (start, UInt32(0))
                while end < run.upperBound, UInt8(truncatingIfNeeded: keys[end] >> shift) == byte {
                    // A text that ends before has zeros there, which are no bytes of it.
                    if keys[end] & 0xFF >= UInt64(length) { count += 1 }
                    end += 1
                }
                if count >= minimumCount {
                    bytes.append(byte)
                    counts.append(count)
                    next.append(start..<end)
                }
                start = end
            }
        }
        runs = next
    }

    func model(order: Int) -> ByteContextModel {
        ByteContextModel(
            order: order, bytes: bytes, counts: counts, firstChild: firstChild + [UInt32(counts.count)])
    }
}
