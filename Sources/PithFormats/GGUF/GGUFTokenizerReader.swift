import Foundation
import PithCore

/// Makes a tokenizer of the keys of a GGUF file: the vocabulary from its arrays, everything else in the words of
/// `tokenizer.json`.
struct GGUFTokenizerReader {
    let settings: GGUFTokenizerSettings
    private let metadata: [String: GGUFValue]
    private let texts: GGUFArray
    private var kinds: [Int] = []

    /// Numbers of `tokenizer.ggml.token_type`.
    private enum Kind {
        static let normal = 1, unknown = 2, control = 3, userDefined = 4, unused = 5
    }

    init(_ metadata: [String: GGUFValue]) throws(PithError) {
        self.metadata = metadata
        settings = try GGUFTokenizerSettings(metadata)
        texts = try Self.array("tokens", metadata)
        guard texts.type == .string else { throw .data("should hold texts", at: "key tokenizer.ggml.tokens") }
        if let types = metadata["tokenizer.ggml.token_type"]?.values {
            guard let kinds = types.integers, kinds.count == texts.count else {
                throw .data("should hold a number for each token", at: "key tokenizer.ggml.token_type")
            }
            self.kinds = kinds
        }
        for token in settings.tokens where !(0..<texts.count).contains(token) {
            throw .data("the token \(token) is not in the vocabulary", at: "key tokenizer.ggml")
        }
    }

    private static func array(_ key: String, _ metadata: [String: GGUFValue]) throws(PithError) -> GGUFArray {
        guard let array = metadata["tokenizer.ggml.\(key)"]?.values else {
            throw .data("should be an array", at: "key tokenizer.ggml.\(key)")
        }
        return array
    }

    /// The tokens of the file; `change` writes another text in the place of the first.
    private func vocabulary(
        _ change: ((UnsafeRawBufferPointer, Int, inout [UInt8]) -> Void)? = nil
    ) throws(PithError) -> TokenVocabulary {
        do {
            var vocabulary = try TokenVocabulary(capacity: texts.count)
            var (changed, number) = ([UInt8](), 0)
            try texts.forEachText { (bytes) throws(PithError) in
                if let change {
                    changed.removeAll(keepingCapacity: true)
                    change(bytes, number, &changed)
                    try changed.withUnsafeBufferPointer { (text) throws(PithError) in try vocabulary.append(text) }
                } else {
                    let text = bytes.bindMemory(to: UInt8.self)
                    try vocabulary.append(text)
                }
                number += 1
            }
            return vocabulary
        } catch { throw error.within("key tokenizer.ggml.tokens") }
    }

    /// Tokens that are found in texts before anything else is done to them.
    private func addedTokens(_ vocabulary: TokenVocabulary) -> [AddedToken] {
        let ends = Set(GGUFTokenizerSettings.endTexts.compactMap { vocabulary.token($0) }.map { Int($0) })
        return kinds.indices.compactMap { number in
            let kind = kinds[number]
            let isAdded = kind == Kind.unknown || kind == Kind.control || kind == Kind.userDefined
            guard isAdded || (kind == Kind.normal && ends.contains(number)), let text = vocabulary.text(number),
                !text.isEmpty
            else { return nil }
            return AddedToken(content: text, number: number, isSpecial: kind != Kind.userDefined)
        }
    }

    private func postProcessor(_ vocabulary: TokenVocabulary, secondType: Int = 1) -> JSONValue {
        let (prefix, suffix) = settings.surroundings
        return TokenizerParts.template(prefix: prefix, suffix: suffix, secondType: secondType) {
            vocabulary.text($0) ?? ""
        }
    }

    func bytePairs() throws(PithError) -> Tokenizer {
        let style = try BytePairStyle(metadata["tokenizer.ggml.pre"]?.string ?? "default")
        let vocabulary = try vocabulary()
        let merges: BytePairMerges
        do { merges = try BytePairMerges(Self.array("merges", metadata), vocabulary) } catch {
            throw error.within("key tokenizer.ggml.merges")
        }
        var options = BytePairModel.Options()
        options.ignoresMerges = style.ignoresMerges
        let added = addedTokens(vocabulary)
        let parts = TokenizerParts.document(
            normalizer: nil,
            preTokenizer: TokenizerParts.sequence(
                style.expressions.map(TokenizerParts.split) + [TokenizerParts.byteLevel], "pretokenizers"),
            postProcessor: postProcessor(vocabulary), decoder: TokenizerParts.byteLevel,
            model: TokenizerParts.bytePairs(unknown: nil, ignoresMerges: style.ignoresMerges), added: added)
        return try Tokenizer(
            parts, vocabulary: vocabulary,
            model: .bytePairs(BytePairModel(options, vocabulary: vocabulary, merges: merges, takesBytes: true)),
            added: added, takesBytes: true)
    }

    private func scores() throws(PithError) -> [Float] {
        guard let scores = try Self.array("scores", metadata).floats, scores.count == texts.count,
            scores.allSatisfy(\.isFinite)
        else { throw .data("should hold a number for each token", at: "key tokenizer.ggml.scores") }
        return scores
    }

    private var unknownToken: Int? { settings.unknownToken.flatMap { (0..<texts.count).contains($0) ? $0 : nil } }

    func scoredPieces() throws(PithError) -> Tokenizer {
        let (vocabulary, scores) = (try vocabulary(), try scores())
        let addsSpace = metadata["tokenizer.ggml.add_space_prefix"]?.truth ?? true
        let prepend: JSONValue = ["type": "Prepend", "prepend": .string(TokenizerParts.mark)]
        let added = addedTokens(vocabulary)
        let parts = TokenizerParts.document(
            normalizer: TokenizerParts.sequence(
                (addsSpace ? [prepend] : []) + [TokenizerParts.replace(["String": " "], by: TokenizerParts.mark)],
                "normalizers"),
            preTokenizer: PieceDescription.preTokenizer(vocabulary, excluded: Set(added.map(\.number))),
            postProcessor: postProcessor(vocabulary), decoder: TokenizerParts.pieceDecoder(dropsSpace: addsSpace),
            model: TokenizerParts.bytePairs(
                unknown: unknownToken.flatMap(vocabulary.text), fallsBackToBytes: true), added: added)
        return try Tokenizer(
            parts, vocabulary: vocabulary,
            model: .scored(ScoredPieceModel(vocabulary, scores: scores, unknownToken: unknownToken)), added: added,
            takesBytes: false)
    }

    func unigram() throws(PithError) -> Tokenizer {
        let scores = try scores()
        let vocabulary = try vocabulary()
        var description = PieceDescription()
        if let map = metadata["tokenizer.ggml.precompiled_charsmap"]?.values?.integers {
            description.characterMap = map.map { UInt8(truncatingIfNeeded: $0) }
        }
        description.addsSpace = metadata["tokenizer.ggml.add_space_prefix"]?.truth ?? true
        description.removesExtraSpaces = metadata["tokenizer.ggml.remove_extra_whitespaces"]?.truth ?? true
        description.unknownToken = unknownToken
        description.excluded = Set(
            kinds.indices.filter { [Kind.control, Kind.unused, Kind.unknown].contains(kinds[$0]) })
        do {
            return try description.unigram(
                vocabulary, scores: scores.map { Double($0) }, added: addedTokens(vocabulary),
                postProcessor: postProcessor(vocabulary))
        } catch { throw error.within("key tokenizer.ggml") }
    }

    /// Words in pieces. The file marks pieces that begin a word, where `tokenizer.json` marks the others.
    func wordPieces() throws(PithError) -> Tokenizer {
        let mark = Array(TokenizerParts.mark.utf8)
        let vocabulary = try vocabulary { bytes, number, text in
            let isPlain = bytes.first == UInt8(ascii: "[") && bytes.last == UInt8(ascii: "]")
            if bytes.starts(with: mark) {
                text += bytes.dropFirst(mark.count)
            } else {
                if !isPlain { text += "##".utf8 }
                text += bytes
            }
        }
        guard let unknown = unknownToken.flatMap(vocabulary.text) else {
            throw .data("has no token for what is unknown", at: "key tokenizer.ggml.unknown_token_id")
        }
        let specials = Set(
            settings.surroundings.prefix + settings.surroundings.suffix + [unknownToken].compactMap { $0 })
        var added = addedTokens(vocabulary)
        for token in specials.sorted() where !added.contains(where: { $0.number == token }) {
            if let text = vocabulary.text(token) {
                added.append(AddedToken(content: text, number: token, isSpecial: true))
            }
        }
        let model: JSONValue = [
            "type": "WordPiece", "unk_token": .string(unknown), "continuing_subword_prefix": "##",
            "max_input_chars_per_word": .integer(Int(UInt32.max)),
        ]
        let parts = TokenizerParts.document(
            normalizer: [
                "type": "BertNormalizer", "clean_text": true, "handle_chinese_chars": true, "strip_accents": nil,
                "lowercase": true,
            ], preTokenizer: ["type": "BertPreTokenizer"], postProcessor: postProcessor(vocabulary),
            decoder: ["type": "WordPiece", "prefix": "##", "cleanup": true], model: model, added: added)
        return try Tokenizer(
            parts, vocabulary: vocabulary,
            model: .wordPieces(try WordPieceModel(JSONReader(model), vocabulary: vocabulary)), added: added,
            takesBytes: false)
    }
}
