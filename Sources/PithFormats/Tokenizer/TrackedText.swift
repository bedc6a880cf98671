/// Bytes of a text on their way to tokens and, where somebody asks, how many bytes of the text as it came each of them
/// stands for.
struct TrackedText {
    var bytes: ArraySlice<UInt8>
    /// As many as `bytes`; nil where nobody asks.
    var counts: ArraySlice<Int>?

    /// A text as it came: every byte stands for itself.
    init(_ bytes: ArraySlice<UInt8>, isTracked: Bool) {
        self.bytes = bytes
        if isTracked { counts = [Int](repeating: 1, count: bytes.count)[...] }
    }

    fileprivate init() { bytes = [] }

    /// A part, in offsets from the beginning.
    subscript(range: Range<Int>) -> TrackedText {
        var part = self
        part.bytes = bytes[bytes.startIndex + range.lowerBound..<bytes.startIndex + range.upperBound]
        if let counts {
            part.counts = counts[counts.startIndex + range.lowerBound..<counts.startIndex + range.upperBound]
        }
        return part
    }

    /// The bytes of the text as it came that all this stands for; 0 where nobody asks.
    var count: Int { counts?.reduce(0, +) ?? 0 }

    /// Makes the first byte stand for `count` more; false if there is none.
    mutating func addToFirst(_ count: Int) -> Bool {
        guard var counts, !counts.isEmpty else { return false }
        counts[counts.startIndex] += count
        self.counts = counts
        return true
    }
}

/// Writes a text anew, from its beginning to its end, and keeps account of what stands for what.
struct TextRewriter {
    let source: TrackedText
    /// Bytes of the source that were read.
    private(set) var position = 0
    private var result = TrackedText()
    /// What was left out and counts for the next byte.
    private var pending = 0

    init(_ source: TrackedText) {
        self.source = source
        result.bytes.reserveCapacity(source.bytes.count + 16)
        if source.counts != nil {
            result.counts = []
            result.counts?.reserveCapacity(source.bytes.count + 16)
        }
    }

    /// The rest of the source.
    var rest: ArraySlice<UInt8> { source.bytes.dropFirst(position) }

    /// Takes over the next `count` bytes as they are.
    mutating func copy(_ count: Int) {
        let part = source[position..<position + count]
        result.bytes += part.bytes
        if let counts = part.counts, !counts.isEmpty {
            result.counts?.append(counts[counts.startIndex] + pending)
            result.counts? += counts.dropFirst()
            pending = 0
        }
        position += count
    }

    /// Writes `bytes` in the place of the next `count`.
    mutating func write(_ bytes: some Collection<UInt8>, for count: Int) {
        let part = source[position..<position + count]
        position += count
        guard source.counts != nil else {
            result.bytes += bytes
            return
        }
        pending += part.count
        guard !bytes.isEmpty else { return }
        result.bytes += bytes
        result.counts?.append(pending)
        result.counts? += repeatElement(0, count: bytes.count - 1)
        pending = 0
    }

    /// The text that was written. What was left out at its end counts for nothing here; whoever cuts the text into
    /// tokens makes up for it.
    func finish() -> TrackedText { result }
}

/// The tokens of a text and, where somebody asks, how many bytes of it each stands for.
struct TokenTally {
    var tokens: [Int] = []
    /// As many as `tokens`, and together the bytes of the text; nil where nobody asks.
    private(set) var byteCounts: [Int]?
    /// Bytes that no token stands for; they count for the next.
    private var pending = 0

    init(isTracked: Bool) { byteCounts = isTracked ? [] : nil }

    /// Whether somebody asks for bytes.
    var isTracked: Bool { byteCounts != nil }

    /// Bytes that were counted so far.
    private(set) var total = 0

    /// Says for how many bytes the next token without a number stands.
    mutating func count(_ bytes: Int) {
        byteCounts?.append(pending + bytes)
        pending = 0
        total += bytes
    }

    /// Bytes that have got no token.
    mutating func leaveOut(_ bytes: Int) {
        pending += bytes
        total += bytes
    }

    /// At the end of a text: what is left counts for the last token.
    mutating func finish() {
        guard let last = byteCounts?.indices.last else { return }
        byteCounts?[last] += pending
        pending = 0
    }
}
