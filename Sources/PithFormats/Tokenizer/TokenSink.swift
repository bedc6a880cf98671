/// Where models put the tokens of a word.
struct TokenSink {
    /// The tokens of all words so far.
    private(set) var tokens: [Int] = []
    /// Which bytes of its word each token stands for; nil where nobody asks.
    private(set) var ranges: [Range<UInt32>]?
    /// Texts of tokens that are others than the vocabulary says, by place; only where somebody asks.
    private(set) var ownTexts: [(index: Int, text: [UInt8])] = []
    /// Room to work in, so that words need none of their own.
    var symbols: [BytePairMerges.Symbol] = []
    var path: [UnigramModel.Step] = []

    init(isTracked: Bool) { ranges = isTracked ? [] : nil }

    /// Appends a token that stands for some bytes of the word.
    @inline(__always) mutating func append(_ token: Int, _ start: Int, _ end: Int) {
        tokens.append(token)
        if ranges != nil { ranges?.append(UInt32(start)..<UInt32(end)) }
    }

    /// Appends a token that stands for a whole text, which is not the vocabulary's.
    mutating func append(_ token: Int, text: some Collection<UInt8>) {
        if ranges != nil { ownTexts.append((tokens.count, Array(text))) }
        append(token, 0, text.count)
    }

    /// Appends an unknown token that stands for some bytes of the word.
    mutating func append(unknown token: Int, _ start: Int, _ end: Int, of word: UnsafeBufferPointer<UInt8>) {
        if ranges != nil { ownTexts.append((tokens.count, Array(word[start..<end]))) }
        append(token, start, end)
    }

    /// Takes back all tokens but the first `count`.
    mutating func removeTokens(from count: Int) {
        tokens.removeSubrange(count...)
        ranges?.removeSubrange(count...)
    }

    /// Appends tokens that were appended before once more.
    @inline(__always) mutating func append(_ copies: ArraySlice<Int>, _ copiedRanges: ArraySlice<Range<UInt32>>) {
        tokens += copies
        if ranges != nil { ranges? += copiedRanges }
    }
}

/// The tokens of words that came before: most words of a text come again.
struct WordCache {
    private struct Entry {
        var hash: UInt64
        var bytes: Range<Int32>
        var tokens: Range<Int32>
    }

    private static let longestWord = 48
    /// Words that are kept at most; later ones are encoded each time.
    private static let capacity = 1 << 15
    private static let slotCount = 1 << 16

    private var slots = [UInt16](repeating: 0, count: slotCount)
    private var entries: [Entry] = []
    private var bytes: [UInt8] = []
    private var tokens: [Int] = []
    private var ranges: [Range<UInt32>] = []
    // A beginning that texts cannot know, so that none can be made whose words all collide.
    private let seed = UInt64.random(in: .min ... .max)

    /// Appends the tokens of a word: those that `encode` gives, or gave before.
    @inline(__always) mutating func encode(
        _ word: UnsafeBufferPointer<UInt8>, into sink: inout TokenSink, _ encode: (inout TokenSink) -> Void
    ) {
        // What has a text of its own is not kept.
        guard word.count <= Self.longestWord else { return encode(&sink) }
        let ownTextCount = sink.ownTexts.count
        let hash = word.hash(seed: seed)
        var slot = Int(truncatingIfNeeded: hash) & (Self.slotCount - 1)
        while slots[slot] != 0 {
            let entry = entries[Int(slots[slot]) - 1]
            if entry.hash == hash, entry.bytes.count == word.count, isEqual(word, entry.bytes) {
                let range = Int(entry.tokens.lowerBound)..<Int(entry.tokens.upperBound)
                sink.append(tokens[range], sink.ranges == nil ? [] : ranges[range])
                return
            }
            slot = (slot + 1) & (Self.slotCount - 1)
        }
        let first = sink.tokens.count
        encode(&sink)
        guard entries.count < Self.capacity, sink.ownTexts.count == ownTextCount else { return }
        entries.append(
            Entry(
                hash: hash, bytes: Int32(bytes.count)..<Int32(bytes.count + word.count),
                tokens: Int32(tokens.count)..<Int32(tokens.count + sink.tokens.count - first)))
        bytes += word
        tokens += sink.tokens[first...]
        if let all = sink.ranges { ranges += all[first...] }
        slots[slot] = UInt16(entries.count)
    }

    private func isEqual(_ word: UnsafeBufferPointer<UInt8>, _ range: Range<Int32>) -> Bool {
        let start = Int(range.lowerBound)
        for i in word.indices where word[i] != bytes[start + i] { return false }
        return true
    }
}
