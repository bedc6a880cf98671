import PithCore

/// How tokens become text again: steps in order.
struct TokenDecoder: Sendable {
    enum Step: Sendable {
        case byteLevel
        case byteFallback
        case fuse
        case replace(TextPattern, by: [UInt8])
        case strip(Unicode.Scalar, start: Int, stop: Int)
        case metaspace(Unicode.Scalar, dropsFirst: Bool)
        /// Tokens without the prefix begin a word; `cleans` takes spaces away where none is written.
        case wordPieces(prefix: String, cleans: Bool)
        /// The mark of ends of words becomes a space, and nothing behind the last.
        case wordEnds(String)
        /// Tokens that repeat the one before are left out, and so is the one that stands for silence.
        case alignments(silence: String, delimiter: String, cleans: Bool)
    }

    /// Spaces that nobody writes, in the order in which they are taken away.
    private static let cleanups = [
        (" .", "."), (" ?", "?"), (" !", "!"), (" ,", ","), (" ' ", "'"), (" n't", "n't"), (" 'm", "'m"),
        (" do not", " don't"), (" 's", "'s"), (" 've", "'ve"), (" 're", "'re"),
    ]

    private(set) var steps: [Step] = []
    private let isMissing: Bool
    private var growth = 1

    /// Reads the `decoder` of a tokenizer file; nil stands for a missing one.
    init(_ reader: JSONReader?) throws(PithError) {
        isMissing = reader == nil
        if let reader { try append(reader) }
    }

    private mutating func append(_ reader: JSONReader) throws(PithError) {
        switch try reader.member("type").text() {
        case "Sequence": for item in try reader.member("decoders").array() { try append(item) }
        case "ByteLevel": steps.append(.byteLevel)
        case "ByteFallback": steps.append(.byteFallback)
        case "Fuse": steps.append(.fuse)
        case "Replace":
            let (pattern, content) = try reader.replacement(growth: &growth)
            steps.append(.replace(pattern, by: content))
        case "Strip":
            let counts = 0...1 << 16
            steps.append(
                .strip(
                    try Self.character(reader.member("content")), start: try reader.member("start").integer(in: counts),
                    stop: try reader.member("stop").integer(in: counts)))
        case "Metaspace":
            let scheme = try PreTokenizer.PrependScheme(metaspace: reader)
            steps.append(.metaspace(try Self.character(reader.member("replacement")), dropsFirst: scheme != .never))
        case "WordPiece":
            steps.append(
                .wordPieces(
                    prefix: try reader.optional("prefix")?.text() ?? "##",
                    cleans: try reader.optional("cleanup")?.flag() ?? true))
        case "BPEDecoder": steps.append(.wordEnds(try reader.optional("suffix")?.text() ?? "</w>"))
        case "CTC":
            steps.append(
                .alignments(
                    silence: try reader.optional("pad_token")?.text() ?? "<pad>",
                    delimiter: try reader.optional("word_delimiter_token")?.text() ?? "|",
                    cleans: try reader.optional("cleanup")?.flag() ?? true))
        case let type: throw reader.unsupported("decoder", type)
        }
    }

    private static func character(_ reader: JSONReader) throws(PithError) -> Unicode.Scalar {
        let scalars = try reader.text().unicodeScalars
        guard scalars.count == 1, let scalar = scalars.first else { throw reader.failure("should be one character") }
        return scalar
    }

    /// The text of some tokens.
    func decode(_ tokens: [String]) -> String {
        // Without a decoder tokens are words.
        isMissing ? tokens.joined(separator: " ") : steps.reduce(tokens) { Self.apply($1, to: $0) }.joined()
    }

    private static func apply(_ step: Step, to tokens: [String]) -> [String] {
        switch step {
        case .byteLevel:
            let bytes = tokens.flatMap { ByteAlphabet.bytes(of: $0) ?? Array($0.utf8) }
            return [String(decoding: bytes, as: UTF8.self)]
        case .byteFallback: return joinFallbackBytes(tokens)
        case .fuse: return [tokens.joined()]
        case .replace(let pattern, let content): return tokens.map { $0.replacing(pattern, by: content) }
        case .strip(let scalar, let start, let stop): return tokens.map { strip($0, scalar, start, stop) }
        case .metaspace(let mark, let dropsFirst):
            return tokens.enumerated().map { i, token in
                var view = String.UnicodeScalarView()
                for scalar in token.unicodeScalars {
                    if scalar != mark { view.append(scalar) } else if i > 0 || !dropsFirst { view.append(" ") }
                }
                return String(view)
            }
        case .wordPieces(let prefix, let cleans):
            return tokens.enumerated().map { i, token in
                let text = i == 0 ? token : pieceWithSpace(token, prefix)
                return cleans ? cleaned(text) : text
            }
        case .wordEnds(let mark):
            return tokens.enumerated().map { i, token in
                token.replacingExactly(mark, by: i + 1 < tokens.count ? " " : "")
            }
        case .alignments(let silence, let delimiter, let cleans):
            return tokens.indices.filter { $0 == 0 || ExactString(tokens[$0]) != ExactString(tokens[$0 - 1]) }
                .map { spoken(tokens[$0], silence, delimiter, cleans) }.filter { !$0.isEmpty }
        }
    }

    private static func spoken(_ token: String, _ silence: String, _ delimiter: String, _ cleans: Bool) -> String {
        let text = token.replacingExactly(silence, by: "")
        return cleans ? cleaned(text).replacingExactly(delimiter, by: " ") : text
    }

    /// What a piece adds behind others: itself without the prefix, or a space and a word.
    private static func pieceWithSpace(_ token: String, _ prefix: String) -> String {
        guard token.utf8.starts(with: prefix.utf8) else { return " " + token }
        return String(token.unicodeScalars.dropFirst(prefix.unicodeScalars.count))
    }

    private static func cleaned(_ text: String) -> String {
        cleanups.reduce(text) { $0.replacingExactly($1.0, by: $1.1) }
    }

    private static func strip(_ token: String, _ scalar: Unicode.Scalar, _ start: Int, _ stop: Int) -> String {
        var scalars = Substring(token).unicodeScalars
        scalars.removeFirst(scalars.prefix(start).prefix { $0 == scalar }.count)
        scalars.removeLast(scalars.suffix(stop).reversed().prefix { $0 == scalar }.count)
        return String(scalars)
    }

    /// A run of bytes becomes a text if it is one, and a mark for each byte otherwise.
    private static func joinFallbackBytes(_ tokens: [String]) -> [String] {
        var result: [String] = []
        var bytes: [UInt8] = []
        func flush() {
            if let text = String(validating: bytes, as: UTF8.self) {
                if !bytes.isEmpty { result.append(text) }
            } else {
                result.append(contentsOf: repeatElement("\u{FFFD}", count: bytes.count))
            }
            bytes.removeAll()
        }
        for token in tokens {
            if let byte = fallbackByte(token) {
                bytes.append(byte)
            } else {
                flush()
                result.append(token)
            }
        }
        flush()
        return result
    }

    /// The byte that `<0xNN>` stands for.
    static func fallbackByte(_ token: String) -> UInt8? {
        let bytes = Array(token.utf8)
        guard bytes.count == 6, bytes.starts(with: "<0x".utf8), bytes[5] == UInt8(ascii: ">") else { return nil }
        let digits = bytes[3...4].map { Character(Unicode.Scalar($0)).hexDigitValue }
        guard let high = digits[0], let low = digits[1] else { return nil }
        return UInt8(16 * high + low)
    }

    /// The bytes that a single token adds in the middle of a text.
    func bytes(of token: String) -> [UInt8] {
        var text = token
        for step in steps {
            switch step {
            case .byteLevel: return ByteAlphabet.bytes(of: text) ?? Array(text.utf8)
            case .byteFallback: if let byte = Self.fallbackByte(text) { return [byte] }
            case .replace(let pattern, let content): text = text.replacing(pattern, by: content)
            case .metaspace(let mark, _): text = text.replacingExactly(String(mark), by: " ")
            case .wordPieces(let prefix, let cleans):
                text = Self.pieceWithSpace(text, prefix)
                if cleans { text = Self.cleaned(text) }
            case .wordEnds(let mark): text = text.replacingExactly(mark, by: " ")
            case .alignments(let silence, let delimiter, let cleans):
                text = Self.spoken(text, silence, delimiter, cleans)
            case .fuse, .strip: continue
            }
        }
        return Array(text.utf8)
    }
}
