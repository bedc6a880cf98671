import PithCore

/// Text to tokens and back, as a `tokenizer.json` describes it: byte-level BPE, BPE with byte fallback, WordPiece and
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
    /// The tokens that stand before every text: those that the post-processor puts there, unless the settings beside
    /// the tokenizer say otherwise.
    public private(set) var beginning: [Int]

    /// How many tokens a text should have at most, those included that stand around it: what `tokenizer_config.json` says,
    /// else `tokenizer.json`; nil where neither does. `encode` cuts nothing by itself.
    public private(set) var maximumLength: Int?

    /// The name of the file in a Hugging Face folder.
    public static let fileName = "tokenizer.json"
    /// No token may have this number or a higher one.
    static let tokenLimit = 1 << 24

    /// Reads `tokenizer.json` in `folder`, and what `tokenizer_config.json` beside it says of the beginning of texts.
    public init(folder: String) throws(PithError) {
        let path = joinPath(folder, Self.fileName)
        let document = try JSONValue(contentsOf: path)
        do { try self.init(json: document) } catch { throw error.within(path) }
        let settingsPath = joinPath(folder, TokenizerSettings.fileName)
        guard Files.exists(settingsPath) else { return }
        let settings = try JSONValue(contentsOf: settingsPath)
        do {
            let settings = try TokenizerSettings(settings)
            beginning = try settings.beginning(vocabulary) ?? beginning
            maximumLength = settings.maximumLength ?? maximumLength
        } catch { throw error.within(settingsPath) }
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
        beginning = postProcessor.prefix
        maximumLength = try reader.optional("truncation")?.optional("max_length")?.integer(in: 0...Int.max)
        decoder = try TokenDecoder(reader.optional("decoder"))
        rawFinder = AddedTokenFinder(added.filter { !$0.isNormalized })
        normalizedFinder = AddedTokenFinder(added.filter(\.isNormalized)) { text in
            String(
                decoding: normalizer.apply(TrackedText(Array(text.utf8)[...], isTracked: false)).bytes, as: UTF8.self)
        }
        specialTokens = Set(added.filter(\.isSpecial).map(\.number))
        for token in postProcessor.prefix + postProcessor.suffix where vocabulary.text(token) == nil {
            throw .data("adds the token \(token), which is not in the vocabulary", at: "key post_processor")
        }
    }

    /// A tokenizer of parts; `added` are tokens of the vocabulary that are looked for in texts as they come.
    init(
        vocabulary: TokenVocabulary, model: SubwordModel, normalizer: Normalizer, preTokenizer: PreTokenizer,
        postProcessor: PostProcessor, decoder: TokenDecoder, added: [AddedToken]
    ) {
        (self.vocabulary, self.model, self.normalizer) = (vocabulary, model, normalizer)
        (self.preTokenizer, self.postProcessor, self.decoder) = (preTokenizer, postProcessor, decoder)
        beginning = postProcessor.prefix
        rawFinder = AddedTokenFinder(added)
        normalizedFinder = AddedTokenFinder([])
        specialTokens = Set(added.filter(\.isSpecial).map(\.number))
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
        let tokens = tally(of: text, isTracked: false).tokens
        return addingSpecialTokens ? beginning + tokens + postProcessor.suffix : tokens
    }

    /// How many tokens are put around a text.
    public var addedCount: Int { beginning.count + postProcessor.suffix.count }

    /// How many tokens a text begins with that begins with a prompt, those before every text included.
    public func promptLength(_ prompt: String) -> Int {
        beginning.count + encode(prompt, addingSpecialTokens: false).count
    }

    /// The tokens of a text and those around it, at most `limit`, which must leave room for those around it: a text that
    /// is too long loses its end, and is not whole then.
    public func encode(_ text: String, upTo limit: Int) -> (tokens: [Int], isWhole: Bool) {
        let tokens = encode(text, addingSpecialTokens: false)
        let kept = tokens.prefix(max(0, limit - addedCount))
        return (beginning + kept + postProcessor.suffix, kept.count == tokens.count)
    }

    /// The tokens of a text that is read from its beginning: what stands before every text, unless the text begins
    /// with it.
    public func encodeFromBeginning(_ text: String) -> [Int] {
        withBeginning(tally(of: text, isTracked: false).tokens)
    }

    /// Tokens behind those that stand before every text, unless they begin with them. What is no special token may well
    /// be the text's own.
    public func withBeginning(_ tokens: some Collection<Int>) -> [Int] {
        tokens.starts(with: beginning) && beginning.allSatisfy(isSpecial) ? Array(tokens) : beginning + tokens
    }

    /// The tokens of a text, nothing added, and how many bytes of it each stands for: together all, those too that the
    /// tokenizer changes, leaves out or does not know.
    public func encodeCountingBytes(_ text: String) -> (tokens: [Int], byteCounts: [Int]) {
        let tally = tally(of: text, isTracked: true)
        return (tally.tokens, tally.byteCounts ?? [])
    }

    private func tally(of text: String, isTracked: Bool) -> TokenTally {
        var (tally, symbols) = (TokenTally(isTracked: isTracked), [UInt32]())
        let bytes = Array(text.utf8)
        for part in rawFinder.split(bytes) {
            let before = tally.total
            if let token = part.token {
                tally.tokens.append(token)
                tally.count(part.range.count)
            } else {
                let source = TrackedText(bytes[part.range], isTracked: isTracked)
                encodePart(source, isFirst: part.range.lowerBound == 0, into: &tally, symbols: &symbols)
                tally.leaveOut(part.range.count - (tally.total - before))
            }
        }
        tally.finish()
        return tally
    }

    private func encodePart(
        _ part: TrackedText, isFirst: Bool, into tally: inout TokenTally, symbols: inout [UInt32]
    ) {
        let text = normalizer.apply(part)
        for piece in normalizedFinder.split(Array(text.bytes)) {
            let own = text[piece.range]
            if let token = piece.token {
                tally.tokens.append(token)
                tally.count(own.count)
                continue
            }
            for word in preTokenizer.words(in: own, isFirst: isFirst && piece.range.lowerBound == 0) {
                let first = tally.tokens.count
                model.encode(word.bytes, into: &tally.tokens, symbols: &symbols)
                if tally.isTracked { count(word.text, from: first, in: &tally) }
            }
        }
    }

    /// Counts the bytes of a word for its tokens, those from `first` on.
    private func count(_ word: TrackedText, from first: Int, in tally: inout TokenTally) {
        let starts = model.starts(of: tally.tokens[first...], in: word.bytes).map { min($0, word.bytes.count) }
        tally.leaveOut(word[0..<(starts.first ?? word.bytes.count)].count)
        for (start, end) in zip(starts, starts.dropFirst() + [word.bytes.count]) {
            tally.count(word[start..<end].count)
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
