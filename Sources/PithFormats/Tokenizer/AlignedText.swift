/// A range of bytes of the text as it came.
struct SourceSpan: Sendable, Equatable {
    var start: UInt32
    var end: UInt32
}

/// Bytes of a text on their way to tokens and, where somebody asks, the part of the text as it came that each of them
/// stands for. The rules are those of the `tokenizers` package: a character that replaces one stands for what that stood
/// for, one that is put in stands for what the one before it does.
struct AlignedText {
    var bytes: [UInt8]
    /// As many as `bytes`; nil where nobody asks.
    var spans: [SourceSpan]?
    /// Where in the text as it came this begins: what is put in before everything stands for nothing there.
    var origin: UInt32

    /// Some bytes of a text, the first of which is byte `origin` of it.
    init(_ bytes: ArraySlice<UInt8>, origin: Int, isTracked: Bool) {
        (self.bytes, self.origin) = (Array(bytes), UInt32(clamping: origin))
        guard isTracked else { return }
        var spans: [SourceSpan] = []
        spans.reserveCapacity(bytes.count)
        var place = 0
        while place < bytes.count {
            let width = UTF8.width(leading: self.bytes[place])
            let span = SourceSpan(start: UInt32(origin + place), end: UInt32(origin + place + width))
            for _ in 0..<width { spans.append(span) }
            place += width
        }
        self.spans = spans
    }

    fileprivate init(bytes: [UInt8], spans: [SourceSpan]?, origin: UInt32) {
        (self.bytes, self.spans, self.origin) = (bytes, spans, origin)
    }
}

extension UTF8 {
    /// The bytes of a character of valid UTF-8 by the first.
    @inline(__always) static func width(leading byte: UInt8) -> Int {
        byte < 0xC0 ? 1 : byte < 0xE0 ? 2 : byte < 0xF0 ? 3 : 4
    }
}

/// Writes parts of a text anew, from the beginning to the end, and keeps account of what stands for what.
struct AlignedWriter {
    /// The text that is read.
    let source: AlignedText
    /// Bytes of the source that were read.
    private(set) var position = 0
    /// Where what is written stands for begins; see `AlignedText.origin`.
    private var origin: UInt32
    /// Where in the source the part began that is written now.
    private var partStart = 0
    private(set) var bytes: [UInt8] = []
    private var spans: [SourceSpan]?

    init(_ source: AlignedText) {
        self.source = source
        origin = source.origin
        bytes.reserveCapacity(source.bytes.count + 16)
        if source.spans != nil {
            spans = []
            spans?.reserveCapacity(source.bytes.count + 16)
        }
    }

    /// Begins a part of the source that is a text of its own, at byte `position`, standing for what begins at `origin`.
    mutating func begin(at position: Int, origin: UInt32) {
        (self.position, partStart, self.origin) = (position, position, origin)
    }

    /// Takes over the next `count` bytes as they are.
    mutating func keep(_ count: Int) {
        bytes += source.bytes[position..<position + count]
        if let old = source.spans { spans? += old[position..<position + count] }
        position += count
    }

    /// Leaves out the next `count` bytes.
    mutating func skip(_ count: Int) { position += count }

    /// Writes a character in the place of the next one (0) and of so many more (−1, −2, …), or puts it in (1).
    mutating func write(_ scalar: Unicode.Scalar, change: Int) {
        let before = bytes.count
        bytes.append(scalar)
        append(span(isInserted: change > 0), bytes.count - before)
        if change <= 0 { for _ in change...0 { skipCharacter() } }
    }

    /// Puts bytes in.
    mutating func insert(_ inserted: some Collection<UInt8>) {
        bytes += inserted
        append(span(isInserted: true), inserted.count)
    }

    /// Puts bytes before the part that was just begun.
    mutating func prepend(_ prefix: [UInt8]) {
        guard position < source.bytes.count else { return }
        let width = UTF8.width(leading: source.bytes[position])
        replace(width, by: prefix)
        insert(source.bytes[position - width..<position])
    }

    /// Writes bytes in the place of the next `count`, all for what the first of these stands for.
    mutating func replace(_ count: Int, by replacement: some Collection<UInt8>) {
        bytes += replacement
        append(span(isInserted: false), replacement.count)
        position += count
    }

    private mutating func append(_ span: SourceSpan, _ count: Int) {
        if source.spans != nil { spans? += repeatElement(span, count: count) }
    }

    private func span(isInserted: Bool) -> SourceSpan {
        guard let spans = source.spans else { return SourceSpan(start: 0, end: 0) }
        if isInserted { return position > partStart ? spans[position - 1] : SourceSpan(start: origin, end: origin) }
        return position < spans.count ? spans[position] : spans.last ?? SourceSpan(start: origin, end: origin)
    }

    private mutating func skipCharacter() {
        if position < source.bytes.count { position += UTF8.width(leading: source.bytes[position]) }
    }

    /// The text that was written.
    func finish() -> AlignedText { AlignedText(bytes: bytes, spans: spans, origin: source.origin) }
}

extension [UInt8] {
    /// Appends a character.
    @inline(__always) mutating func append(_ scalar: Unicode.Scalar) {
        if scalar.value < 0x80 {
            append(UInt8(scalar.value))
        } else {
            self += UTF8.encode(scalar) ?? UTF8.encodedReplacementCharacter
        }
    }
}

/// The character that begins at a place of valid UTF-8, and its bytes.
@inline(__always) func character(
    _ bytes: UnsafeBufferPointer<UInt8>, at offset: Int
) -> (value: UInt32, width: Int) {
    let first = UInt32(bytes[offset])
    if first < 0x80 { return (first, 1) }
    func tail(_ i: Int) -> UInt32 { offset + i < bytes.count ? UInt32(bytes[offset + i]) & 0x3F : 0 }
    if first < 0xE0 { return ((first & 0x1F) << 6 | tail(1), min(2, bytes.count - offset)) }
    if first < 0xF0 { return ((first & 0x0F) << 12 | tail(1) << 6 | tail(2), min(3, bytes.count - offset)) }
    return ((first & 0x07) << 18 | tail(1) << 12 | tail(2) << 6 | tail(3), min(4, bytes.count - offset))
}
