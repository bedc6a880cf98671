/// A text that was cut: what words are made of.
struct PieceText {
    /// A part of the text, never empty.
    struct Piece {
        var start: Int
        var end: Int
        /// Where in the text as it came it begins; where nobody asks, 0 if it is the very beginning.
        var origin: UInt32
        /// The token that it is; nil for what is still to be encoded.
        var token: Int?
    }

    private(set) var text: AlignedText
    private(set) var pieces: [Piece]

    /// A text and its parts, some of which are tokens.
    init(_ text: AlignedText, _ parts: [AddedTokenFinder.Part]) {
        self.text = text
        pieces = []
        pieces.reserveCapacity(text.bytes.count / 4 + parts.count)
        for part in parts where !part.range.isEmpty {
            pieces.append(
                Piece(
                    start: part.range.lowerBound, end: part.range.upperBound,
                    origin: Self.origin(text, part.range.lowerBound, of: 0, origin: text.origin), token: part.token))
        }
    }

    /// Where a part begins in the text as it came that begins at `place`, in a piece that begins at `start`.
    private static func origin(_ text: AlignedText, _ place: Int, of start: Int, origin: UInt32) -> UInt32 {
        text.spans.map { $0[place].start } ?? (place == start ? origin : .max)
    }

    /// Cuts each piece that is no token: `body` gets its bytes and adds ranges of them; empty ones are left out.
    mutating func cut(_ body: (UnsafeBufferPointer<UInt8>, Piece, (Range<Int>) -> Void) -> Void) {
        var result: [Piece] = []
        result.reserveCapacity(max(pieces.count, text.bytes.count / 4))
        text.bytes.withUnsafeBufferPointer { bytes in
            for piece in pieces {
                if piece.token != nil {
                    result.append(piece)
                    continue
                }
                body(UnsafeBufferPointer(rebasing: bytes[piece.start..<piece.end]), piece) { range in
                    guard !range.isEmpty else { return }
                    let start = piece.start + range.lowerBound
                    result.append(
                        Piece(
                            start: start, end: piece.start + range.upperBound,
                            origin: Self.origin(text, start, of: piece.start, origin: piece.origin), token: nil))
                }
            }
        }
        pieces = result
    }

    /// Writes each piece that is no token anew: `body` must read up to its end.
    mutating func rewrite(_ body: (inout AlignedWriter, Piece) -> Void) {
        var writer = AlignedWriter(text)
        for index in pieces.indices {
            let piece = pieces[index]
            writer.begin(at: piece.start, origin: piece.origin)
            pieces[index].start = writer.bytes.count
            if piece.token == nil { body(&writer, piece) } else { writer.keep(piece.end - piece.start) }
            pieces[index].end = writer.bytes.count
        }
        text = writer.finish()
        pieces.removeAll { $0.start == $0.end }
    }

    /// What a range of a piece's bytes stands for in the text as it came; the text must be tracked.
    func span(_ range: Range<Int>, of piece: Piece) -> SourceSpan {
        guard let spans = text.spans, !range.isEmpty, piece.start + range.upperBound <= spans.count else {
            let place = piece.origin + UInt32(range.lowerBound)
            return SourceSpan(start: place, end: place)
        }
        return SourceSpan(
            start: spans[piece.start + range.lowerBound].start, end: spans[piece.start + range.upperBound - 1].end)
    }
}
