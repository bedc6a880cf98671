/// The text of a conversation, in pieces: what the template wrote, in which the names of special tokens stand for them,
/// and names of special tokens that somebody wrote in a message, which are text as any other.
public struct ChatPrompt: Sendable, Equatable {
    /// A piece.
    public struct Piece: Sendable, Equatable {
        /// The text.
        public var text: String
        /// Whether nothing in it has a special meaning.
        public var isPlain: Bool
    }

    /// The pieces, in order.
    public private(set) var pieces: [Piece] = []

    /// All of the text.
    public var text: String { pieces.map(\.text).joined() }

    /// Stand around what is plain, in texts that go through a template. Nobody else means anything by them.
    private static let (start, end): (Unicode.Scalar, Unicode.Scalar) = ("\u{F8F2}", "\u{F8F3}")

    /// Takes a text apart that was made of marked ones. Marks that a template tore from their partners say nothing.
    init(marked text: String) {
        var (piece, isPlain) = (String.UnicodeScalarView(), false)
        func finish(_ pieces: inout [Piece], _ isPlain: Bool) {
            if !piece.isEmpty { pieces.append(Piece(text: String(piece), isPlain: isPlain)) }
            piece = String.UnicodeScalarView()
        }
        for scalar in text.unicodeScalars {
            switch scalar {
            case Self.start, Self.end:
                finish(&pieces, isPlain && scalar == Self.end)
                isPlain = scalar == Self.start
            default: piece.append(scalar)
            }
        }
        finish(&pieces, false)
    }

    /// The text with marks around all that is named in `texts`. Marks that it had before are left out.
    static func mark(_ text: String, _ texts: [String]) -> String {
        var rest = Array(text.utf8)[...]
        if text.unicodeScalars.contains(where: { $0 == start || $0 == end }) {
            rest =
                Array(String(String.UnicodeScalarView(text.unicodeScalars.filter { $0 != start && $0 != end })).utf8)[
                    ...]
        }
        // Longer ones first: what they hold is a part of them.
        let names = texts.filter { !$0.isEmpty }.map { Array($0.utf8) }.sorted { $0.count > $1.count }
        let firsts = Set(names.map { $0[0] })
        var result: [UInt8] = []
        while let byte = rest.first {
            if firsts.contains(byte), let name = names.first(where: { rest.starts(with: $0) }) {
                result += Array(String(start).utf8) + name + Array(String(end).utf8)
                rest = rest.dropFirst(name.count)
            } else {
                result.append(byte)
                rest = rest.dropFirst()
            }
        }
        return String(decoding: result, as: UTF8.self)
    }

    /// What stands behind `prefix`; nil if the text begins with something else.
    public func dropping(prefix: String) -> ChatPrompt? {
        var (left, rest) = (prefix.utf8[...], self)
        rest.pieces = []
        for piece in pieces {
            let common = min(left.count, piece.text.utf8.count)
            guard piece.text.utf8.starts(with: left.prefix(common)),
                let behind = String(piece.text.utf8.dropFirst(common))
            else { return nil }
            left = left.dropFirst(common)
            if !behind.isEmpty { rest.pieces.append(Piece(text: behind, isPlain: piece.isPlain)) }
        }
        return left.isEmpty ? rest : nil
    }
}

extension Tokenizer {
    /// The tokens of a conversation, nothing added around it.
    public func encode(_ prompt: ChatPrompt) -> [Int] {
        // Some tokenizers treat the beginning of a text in their own way: other pieces stand behind a line feed.
        let lineFeed = encode("\n", .plain)
        return prompt.pieces.enumerated().flatMap { index, piece in
            let options: EncodingOptions = piece.isPlain ? .plain : .written
            if index > 0 {
                let tokens = encode("\n" + piece.text, options)
                if tokens.starts(with: lineFeed) { return Array(tokens.dropFirst(lineFeed.count)) }
            }
            return encode(piece.text, options)
        }
    }
}
