import PithCore

/// Byte-pair encoding of single words: the `model` of a tokenizer file.
struct BytePairModel: Sendable {
    private let merges: BytePairMerges
    /// Whole words that are tokens are taken without merging.
    private let ignoresMerges: Bool
    private let isByteLevel: Bool
    private let vocabulary: TokenVocabulary
    private let unknownToken: UInt32?
    private let fusesUnknown: Bool
    /// The tokens of single bytes in a byte-level vocabulary.
    private let tokenOfByte: [UInt32?]
    /// The tokens of single characters in any other.
    private let tokenOfScalar: [Unicode.Scalar: UInt32]
    /// The tokens `<0x00>`…`<0xFF>` where characters without a token are written in bytes.
    private let fallbackTokens: [UInt32?]

    init(_ reader: JSONReader, vocabulary: TokenVocabulary, isByteLevel: Bool) throws(PithError) {
        self.vocabulary = vocabulary
        self.isByteLevel = isByteLevel
        try Self.refuseUnsupported(reader)
        ignoresMerges = try reader.optional("ignore_merges")?.flag() ?? false
        fusesUnknown = try reader.optional("fuse_unk")?.flag() ?? false
        unknownToken = try Self.unknownToken(reader, vocabulary)
        let fallsBack = try reader.optional("byte_fallback")?.flag() ?? false
        fallbackTokens =
            fallsBack
            ? (0..<256).map { byte in vocabulary.token(Self.fallbackName(UInt8(byte))) }
            : [UInt32?](repeating: nil, count: 256)
        tokenOfByte = ByteAlphabet.scalars.map { vocabulary.token(String($0)) }
        var tokenOfScalar: [Unicode.Scalar: UInt32] = [:]
        for (token, text) in vocabulary.modelTokens where text.unicodeScalars.count == 1 {
            if let scalar = text.unicodeScalars.first { tokenOfScalar[scalar] = token }
        }
        self.tokenOfScalar = tokenOfScalar
        merges = BytePairMerges(try Self.merges(reader.member("merges"), vocabulary))
    }

    /// A byte-level model of merges as "left right"; `ignoresMerges`: whole words that are tokens are taken as they are.
    init(byteLevel vocabulary: TokenVocabulary, merges: GGUFArray, ignoresMerges: Bool) throws(PithError) {
        (self.vocabulary, isByteLevel, self.ignoresMerges) = (vocabulary, true, ignoresMerges)
        (unknownToken, fusesUnknown, tokenOfScalar) = (nil, false, [:])
        fallbackTokens = [UInt32?](repeating: nil, count: 256)
        tokenOfByte = ByteAlphabet.scalars.map { vocabulary.token(String($0)) }
        var list: [(left: UInt32, right: UInt32, result: UInt32)] = []
        list.reserveCapacity(merges.count)
        let table = PieceTable(vocabulary)
        var joined: [UInt8] = []
        try merges.forEachText { (bytes) throws(PithError) in
            // Nothing, which stands for no token, may be a side.
            guard let space = bytes.dropFirst().firstIndex(of: UInt8(ascii: " ")), space + 1 < bytes.count else {
                throw .data("element \(list.count) is no pair of tokens")
            }
            joined.removeAll(keepingCapacity: true)
            joined += bytes[..<space]
            joined += bytes[(space + 1)...]
            let sides = joined.withUnsafeBufferPointer { joined in
                (table[joined, 0..<space], table[joined, space..<joined.count], table[joined, 0..<joined.count])
            }
            guard case (let leftToken?, let rightToken?, let result?) = sides else {
                let text = String(decoding: bytes, as: UTF8.self).shortened
                throw .data("element \(list.count), '\(text)', is not in the vocabulary")
            }
            list.append((leftToken, rightToken, result))
        }
        self.merges = BytePairMerges(list)
    }

    /// The name of the token of a byte where characters fall back to bytes.
    static func fallbackName(_ byte: UInt8) -> String {
        let digits = String(byte, radix: 16, uppercase: true)
        return "<0x" + (digits.count < 2 ? "0" : "") + digits + ">"
    }

    private static func refuseUnsupported(_ reader: JSONReader) throws(PithError) {
        for key in ["continuing_subword_prefix", "end_of_word_suffix"] {
            if let affix = try reader.optional(key), try !affix.text().isEmpty {
                throw affix.failure("affixes are not supported", remedy: "null is")
            }
        }
        if let dropout = try reader.optional("dropout"), try dropout.real() != 0 {
            throw dropout.failure("random encoding is not supported", remedy: "null is")
        }
    }

    private static func unknownToken(
        _ reader: JSONReader, _ vocabulary: TokenVocabulary
    ) throws(PithError) -> UInt32? {
        guard let unknown = try reader.optional("unk_token") else { return nil }
        guard let token = vocabulary.token(try unknown.text()) else {
            throw unknown.failure("'\(try unknown.text().shortened)' is not in the vocabulary")
        }
        return token
    }

    /// Merges as "left right" or as ["left", "right"].
    private static func merges(
        _ reader: JSONReader, _ vocabulary: TokenVocabulary
    ) throws(PithError) -> [(left: UInt32, right: UInt32, result: UInt32)] {
        guard case .array(let items) = reader.value else { throw reader.failure("should be an array") }
        guard items.count < Tokenizer.tokenLimit else { throw reader.failure("has too many elements") }
        var merges: [(left: UInt32, right: UInt32, result: UInt32)] = []
        merges.reserveCapacity(items.count)
        for (rank, item) in items.enumerated() {
            guard let (left, right) = sides(of: item) else {
                throw reader.failure("element \(rank) is no pair of tokens")
            }
            guard let leftToken = vocabulary.token(left), let rightToken = vocabulary.token(right),
                let result = vocabulary.token(left + right)
            else {
                throw reader.failure(
                    "element \(rank), '\(left.shortened)' and '\(right.shortened)', is not in the vocabulary")
            }
            merges.append((leftToken, rightToken, result))
        }
        return merges
    }

    private static func sides(of item: JSONValue) -> (left: String, right: String)? {
        switch item {
        case .string(let text):
            let bytes = text.utf8
            guard let space = bytes.firstIndex(of: UInt8(ascii: " ")), space > bytes.startIndex else { return nil }
            let right = bytes[bytes.index(after: space)...]
            guard !right.isEmpty, !right.contains(UInt8(ascii: " ")) else { return nil }
            return (String(Substring(bytes[..<space])), String(Substring(right)))
        case .array(let sides):
            guard sides.count == 2, case .string(let left) = sides[0], case .string(let right) = sides[1] else {
                return nil
            }
            return (left, right)
        default: return nil
        }
    }

    /// Appends the tokens of a word in UTF-8; `symbols` is scratch.
    func encode(_ word: ArraySlice<UInt8>, into tokens: inout [Int], symbols: inout [UInt32]) {
        if ignoresMerges, let token = wholeToken(word) {
            tokens.append(Int(token))
            return
        }
        symbols.removeAll(keepingCapacity: true)
        if isByteLevel { appendBytes(word, to: &symbols) } else { appendCharacters(word, to: &symbols) }
        merges.apply(to: &symbols)
        for symbol in symbols { tokens.append(Int(symbol)) }
    }

    /// Where in a word the bytes of each of its tokens begin; what lies before the first has no token.
    func starts(of tokens: ArraySlice<Int>, in word: ArraySlice<UInt8>) -> [Int] {
        var (starts, place) = ([Int](), 0)
        for token in tokens {
            // Without a token for what is unknown, that is left out.
            while unknownToken == nil, let width = unknownWidth(word.dropFirst(place)) { place += width }
            starts.append(place)
            if token == unknownToken.map(Int.init), let width = unknownWidth(word.dropFirst(place)) {
                place += width
                while fusesUnknown, let width = unknownWidth(word.dropFirst(place)) { place += width }
            } else {
                place += length(of: token)
            }
        }
        return starts
    }

    /// The bytes of the character at the beginning if there is no token for it.
    private func unknownWidth(_ word: ArraySlice<UInt8>) -> Int? {
        guard let byte = word.first else { return nil }
        if isByteLevel { return tokenOfByte[Int(byte)] == nil ? 1 : nil }
        guard let scalar = word.firstScalar(from: word.startIndex) else { return nil }
        return tokenOfScalar[scalar] == nil && fallback(scalar) == nil ? UTF8.width(scalar) : nil
    }

    private func length(of token: Int) -> Int {
        guard let text = vocabulary.text(token) else { return 0 }
        if isByteLevel { return text.unicodeScalars.count }
        if let byte = TokenDecoder.fallbackByte(text), fallbackTokens[Int(byte)] == UInt32(token) { return 1 }
        return text.utf8.count
    }

    private func wholeToken(_ word: ArraySlice<UInt8>) -> UInt32? {
        vocabulary.token(isByteLevel ? ByteAlphabet.text(of: word) : String(decoding: word, as: UTF8.self))
    }

    private func appendBytes(_ word: ArraySlice<UInt8>, to symbols: inout [UInt32]) {
        var lastWasUnknown = false
        for byte in word {
            if let token = tokenOfByte[Int(byte)] {
                symbols.append(token)
                lastWasUnknown = false
            } else if let unknownToken, !(lastWasUnknown && fusesUnknown) {
                symbols.append(unknownToken)
                lastWasUnknown = true
            }
        }
    }

    private func appendCharacters(_ word: ArraySlice<UInt8>, to symbols: inout [UInt32]) {
        var lastWasUnknown = false
        for scalar in Substring(decoding: word, as: UTF8.self).unicodeScalars {
            if let token = tokenOfScalar[scalar] {
                symbols.append(token)
                lastWasUnknown = false
            } else if let bytes = fallback(scalar) {
                symbols.append(contentsOf: bytes)
                lastWasUnknown = false
            } else if let unknownToken, !(lastWasUnknown && fusesUnknown) {
                symbols.append(unknownToken)
                lastWasUnknown = true
            }
        }
    }

    private func fallback(_ scalar: Unicode.Scalar) -> [UInt32]? {
        var tokens: [UInt32] = []
        for byte in String(scalar).utf8 {
            guard let token = fallbackTokens[Int(byte)] else { return nil }
            tokens.append(token)
        }
        return tokens
    }
}
