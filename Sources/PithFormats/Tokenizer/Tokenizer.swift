import PithCore

/// Text to tokens and back, as a `tokenizer.json` describes it: byte-level BPE, BPE with byte fallback, and
/// byte-level longest match.
public struct Tokenizer: Sendable {
    private let vocabulary: TokenVocabulary
    private let model: SubwordModel
    private let normalizer: Normalizer
    private let preTokenizer: PreTokenizer
    private let postProcessor: PostProcessor
    private let decoder: TokenDecoder
    /// Added tokens that are looked for in the text as it came.
    private let rawFinder: AddedTokenFinder
    /// Added tokens that are looked for after normalisation.
    private let normalizedFinder: AddedTokenFinder
    private let specialTokens: Set<Int>

    /// The name of the file in a Hugging Face folder.
    public static let fileName = "tokenizer.json"
    /// No token may have this number or a higher one.
    static let tokenLimit = 1 << 24

    /// Reads `tokenizer.json` in `folder`.
    public init(folder: String) throws(PithError) {
        let path = joinPath(folder, Self.fileName)
        let document = try JSONValue(contentsOf: path)
        do { try self.init(json: document) } catch { throw error.within(path) }
    }

    /// Reads a tokenizer from the contents of its file.
    public init(json: JSONValue) throws(PithError) {
        let reader = JSONReader(json)
        let modelReader = try reader.member("model")
        var added: [AddedToken] = []
        for item in try reader.optional("added_tokens")?.array() ?? [] {
            let token = try AddedToken(item)
            if !token.content.isEmpty { added.append(token) }
        }
        let normalizer = try Normalizer(reader.optional("normalizer"))
        self.normalizer = normalizer
        preTokenizer = try PreTokenizer(reader.optional("pre_tokenizer"))
        vocabulary = try TokenVocabulary(model: modelReader.member("vocab"), added: added)
        model = try SubwordModel(modelReader, vocabulary: vocabulary, isByteLevel: preTokenizer.isByteLevel)
        postProcessor = try PostProcessor(reader.optional("post_processor"))
        decoder = try TokenDecoder(reader.optional("decoder"))
        rawFinder = AddedTokenFinder(added.filter { !$0.isNormalized })
        normalizedFinder = AddedTokenFinder(added.filter(\.isNormalized), normalize: normalizer.apply)
        specialTokens = Set(added.filter(\.isSpecial).map(\.number))
        for token in postProcessor.prefix + postProcessor.suffix where vocabulary.text(token) == nil {
            throw .data("adds the token \(token), which is not in the vocabulary", at: "key post_processor")
        }
    }

    /// One more than the highest token.
    public var vocabularySize: Int { vocabulary.count }

    /// The text of a token as it stands in the vocabulary; nil if there is no such token.
    public func token(_ identifier: Int) -> String? { vocabulary.text(identifier) }

    /// The number of a token given as it stands in the vocabulary.
    public func identifier(of token: String) -> Int? { vocabulary.token(token).map { Int($0) } }

    /// Whether a token is left out of plain text.
    public func isSpecial(_ identifier: Int) -> Bool { specialTokens.contains(identifier) }

    /// The tokens of a text.
    public func encode(_ text: String, addingSpecialTokens: Bool = true) -> [Int] {
        var tokens = addingSpecialTokens ? postProcessor.prefix : []
        var symbols: [UInt32] = []
        let bytes = Array(text.utf8)
        for part in rawFinder.split(bytes) {
            if let token = part.token {
                tokens.append(token)
            } else {
                let isFirst = part.range.lowerBound == 0
                encodePart(Array(bytes[part.range]), isFirst: isFirst, into: &tokens, symbols: &symbols)
            }
        }
        return addingSpecialTokens ? tokens + postProcessor.suffix : tokens
    }

    private func encodePart(_ part: [UInt8], isFirst: Bool, into tokens: inout [Int], symbols: inout [UInt32]) {
        let text =
            normalizer.steps.isEmpty ? part : Array(normalizer.apply(String(decoding: part, as: UTF8.self)).utf8)
        for piece in normalizedFinder.split(text) {
            if let token = piece.token {
                tokens.append(token)
                continue
            }
            let isFirst = isFirst && piece.range.lowerBound == 0
            for word in preTokenizer.words(in: Array(text[piece.range]), isFirst: isFirst) {
                model.encode(word.bytes, into: &tokens, symbols: &symbols)
            }
        }
    }

    /// The text of some tokens; tokens that do not exist are left out.
    public func decode(_ tokens: [Int], skippingSpecialTokens: Bool = false) -> String {
        var texts: [String] = []
        texts.reserveCapacity(tokens.count)
        for token in tokens where !(skippingSpecialTokens && isSpecial(token)) {
            if let text = vocabulary.text(token) { texts.append(text) }
        }
        return decoder.decode(texts)
    }

    /// The bytes that a token adds in the middle of a text, which need not be whole characters; none if there is no
    /// such token.
    public func bytes(of identifier: Int) -> [UInt8] { vocabulary.text(identifier).map(decoder.bytes) ?? [] }
}
