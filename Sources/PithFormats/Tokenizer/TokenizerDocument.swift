import PithCore

/// The contents of a `tokenizer.json`: the parts that are small as a tree, vocabulary and merges read from the bytes.
struct TokenizerDocument {
    let parts: JSONValue
    private let bytes: UnsafeRawBufferPointer
    private let places: [String: Range<Int>]

    private static let (vocabularyKey, mergesKey) = ("model.vocab", "model.merges")

    /// Takes a document apart; it must stay where it is while this is used.
    init(_ bytes: UnsafeRawBufferPointer) throws(PithError) {
        self.bytes = bytes
        (parts, places) = try JSONValue.parsing(bytes, settingAside: [Self.vocabularyKey, Self.mergesKey])
    }

    private func read(
        _ key: String, _ body: (inout JSONParser) throws(PithError) -> Void
    ) throws(PithError) {
        guard let range = places[key] else { throw .data("is missing", at: "key \(key)") }
        // The commas and brackets between texts are ASCII, so that texts are UTF-8 if all is.
        guard String(validating: bytes[range], as: UTF8.self) != nil else {
            throw .data("is not valid UTF-8", at: "key \(key)")
        }
        var parser = JSONParser(
            bytes: UnsafeRawBufferPointer(rebasing: bytes[..<range.upperBound]), at: range.lowerBound)
        do throws(PithError) {
            try body(&parser)
            if parser.peek() != nil { throw .data("something follows its end") }
        } catch { throw error.within("key \(key)") }
    }

    /// The tokens of the model, and their scores if they are a list of pieces.
    func vocabulary(added: [AddedToken]) throws(PithError) -> (vocabulary: TokenVocabulary, scores: [Double]?) {
        guard let range = places[Self.vocabularyKey] else { throw .data("is missing", at: "key \(Self.vocabularyKey)") }
        // Entries have some 20 bytes, and 4 at least: quotes, a colon or comma, and a digit.
        var vocabulary = try TokenVocabulary(
            capacity: min(range.count / 20 + added.count, Tokenizer.tokenLimit), limit: range.count / 4 + added.count)
        var scores: [Double]?
        try read(Self.vocabularyKey) { (parser) throws(PithError) in
            if parser.peek() == UInt8(ascii: "[") {
                var list: [Double] = []
                try Self.readPieces(&parser, &vocabulary, &list)
                scores = list
            } else {
                try Self.readTokens(&parser, &vocabulary)
            }
        }
        for token in added { try vocabulary.insert(added: token) }
        return (vocabulary, scores)
    }

    /// Tokens as `{"text": number}`.
    private static func readTokens(
        _ parser: inout JSONParser, _ vocabulary: inout TokenVocabulary
    ) throws(PithError) {
        var count = 0
        try parser.readObject { (parser, text) throws(PithError) in
            count += 1
            guard count <= Tokenizer.tokenLimit else { throw .data("has too many tokens") }
            guard case .integer(let number) = try parser.readNumber() else {
                throw .data("the token '\(String(decoding: text, as: UTF8.self).shortened)' has no proper number")
            }
            try text.withUnsafeBufferPointer { (text) throws(PithError) in try vocabulary.insert(text, number) }
        }
    }

    /// Pieces as `[["text", score]]`, numbered in order.
    private static func readPieces(
        _ parser: inout JSONParser, _ vocabulary: inout TokenVocabulary, _ scores: inout [Double]
    ) throws(PithError) {
        var text: [UInt8] = []
        try parser.readArray { (parser) throws(PithError) in
            var side = 0
            text.removeAll(keepingCapacity: true)
            try parser.readArray { (parser) throws(PithError) in
                switch side {
                case 0: try parser.readText(into: &text)
                case 1: scores.append(try parser.readScore())
                default: throw .data("element \(scores.count) is no piece with a score")
                }
                side += 1
            }
            guard side == 2 else { throw .data("element \(scores.count) is no piece with a score") }
            try text.withUnsafeBufferPointer { (text) throws(PithError) in try vocabulary.append(text) }
        }
    }

    /// The merges of a byte-pair model.
    func merges(_ vocabulary: TokenVocabulary, prefixLength: Int) throws(PithError) -> BytePairMerges {
        var merges = BytePairMerges([])
        try read(Self.mergesKey) { (parser) throws(PithError) in
            merges = try BytePairMerges(&parser, vocabulary, prefixLength: prefixLength)
        }
        return merges
    }
}
