import PithCore

/// What is done with special tokens when a text is encoded.
public struct EncodingOptions: Sendable, Equatable {
    /// Whether those are added that stand around every text.
    public var addsSpecialTokens: Bool
    /// Whether their names in the text stand for them; otherwise they are text as any other.
    public var matchesSpecialTokens: Bool

    /// Options; see the properties.
    public init(addsSpecialTokens: Bool, matchesSpecialTokens: Bool) {
        (self.addsSpecialTokens, self.matchesSpecialTokens) = (addsSpecialTokens, matchesSpecialTokens)
    }

    /// What the `tokenizers` package does: special tokens are added, and found in the text.
    public static let full = EncodingOptions(addsSpecialTokens: true, matchesSpecialTokens: true)
    /// A text that special tokens were written into, such as what a chat template makes.
    public static let written = EncodingOptions(addsSpecialTokens: false, matchesSpecialTokens: true)
    /// Somebody's text, in which nothing has a special meaning.
    public static let plain = EncodingOptions(addsSpecialTokens: false, matchesSpecialTokens: false)
}

/// Text to tokens and back, as a `tokenizer.json`, a GGUF file or a SentencePiece model describes it.
public struct Tokenizer: Sendable {
    let vocabulary: TokenVocabulary
    let model: SubwordModel
    /// All of `tokenizer.json` but the vocabulary and the merges.
    let parts: JSONValue
    private let normalizer: Normalizer
    private let preTokenizer: PreTokenizer
    /// Where words are cut further; nil where they must not be.
    private let seams: WordSeams?
    private var postProcessor: PostProcessor
    private let decoder: TokenDecoder
    /// Added tokens that are looked for in the text as it came.
    private let rawFinder: AddedTokenFinder
    /// Added tokens that are looked for after normalisation.
    private let normalizedFinder: AddedTokenFinder
    private let specialTokens: Set<Int>
    /// Whether words depend on where in the text they begin, in a way that only tracking can tell.
    private let needsTracking: Bool
    /// The tokens that stand before every text: those that the post-processor puts there, unless the settings beside
    /// the tokenizer say otherwise.
    public private(set) var beginning: [Int]
    private var ending: [Int]

    /// How many tokens a text should have at most, those included that stand around it: what `tokenizer_config.json` says,
    /// else `tokenizer.json`; nil where neither does. `encode` cuts nothing by itself.
    public private(set) var maximumLength: Int?

    /// The name of the file in a Hugging Face folder.
    public static let fileName = "tokenizer.json"
    /// The name of the file that holds the tokenizer of a folder.
    public static func fileName(in folder: String) -> String {
        let isOfPieces =
            !Files.exists(joinPath(folder, fileName)) && Files.exists(joinPath(folder, SentencePieceFile.fileName))
        return isOfPieces ? SentencePieceFile.fileName : fileName
    }

    /// No token may have this number or a higher one.
    static let tokenLimit = 1 << 24

    /// Reads `tokenizer.json` in `folder`, or else a SentencePiece `tokenizer.model`, and what `tokenizer_config.json`
    /// beside it says of the beginning of texts.
    public init(folder: String) throws(PithError) {
        let name = Self.fileName(in: folder)
        let isOfPieces = name == SentencePieceFile.fileName
        try self.init(at: joinPath(folder, name))
        let settingsPath = joinPath(folder, TokenizerSettings.fileName)
        guard Files.exists(settingsPath) else { return }
        let settings = try JSONValue(contentsOf: settingsPath)
        do {
            let settings = try TokenizerSettings(settings)
            if let prefix = try settings.beginning(vocabulary, isAlone: isOfPieces), prefix != beginning {
                beginning = prefix
                postProcessor.setPrefix(prefix)
            }
            maximumLength = settings.maximumLength ?? maximumLength
        } catch { throw error.within(settingsPath) }
    }

    /// Reads a folder, or a file: a `tokenizer.json`, a GGUF file or a SentencePiece model. No weights are needed.
    public init(at path: String) throws(PithError) {
        if Files.isFolder(path) {
            try self.init(folder: path)
        } else if path.lowercased().hasSuffix(GGUFFile.fileExtension) {
            try self.init(gguf: try GGUFFile(path: path))
        } else if path.lowercased().hasSuffix(SentencePieceFile.fileExtension) {
            try self.init(sentencePiece: path)
        } else {
            try self.init(path: path)
        }
    }

    /// Reads a `tokenizer.json`.
    public init(path: String) throws(PithError) {
        let region = try MappedFile.open(path)
        try region.refusePointer(at: path)
        do {
            self = try region.withBytes { (bytes) throws(PithError) in try Tokenizer(document: bytes) }
        } catch { throw error.within(path) }
    }

    /// Reads a tokenizer from the contents of its file.
    public init(json: JSONValue) throws(PithError) {
        self = try json.compactBytes().withUnsafeBufferPointer { (bytes) throws(PithError) in
            try Tokenizer(document: UnsafeRawBufferPointer(bytes))
        }
    }

    private init(document: UnsafeRawBufferPointer) throws(PithError) {
        let file = try TokenizerDocument(document)
        let reader = JSONReader(file.parts)
        let modelReader = try reader.member("model")
        let added = try AddedToken.all(reader)
        let (vocabulary, scores) = try file.vocabulary(added: added)
        let preTokenizer = try PreTokenizer(reader.optional("pre_tokenizer"))
        let type = try modelReader.optional("type")
        guard try (type?.text() == UnigramModel.type) == (scores != nil) else {
            throw .data("should be \(scores == nil ? "a list of pieces" : "an object")", at: "key model.vocab")
        }
        var takesBytes = false
        let model: SubwordModel
        switch try type?.text() {
        // Old files leave the type out.
        case nil, "BPE":
            let options = try BytePairModel.options(modelReader, vocabulary)
            takesBytes = preTokenizer.endsByteLevel && !options.fallsBackToBytes
            let merges = try file.merges(vocabulary, prefixLength: options.prefix.count)
            model = .bytePairs(BytePairModel(options, vocabulary: vocabulary, merges: merges, takesBytes: takesBytes))
        case LongestMatchModel.type:
            takesBytes = preTokenizer.endsByteLevel
            model = .longestMatch(try LongestMatchModel(modelReader, vocabulary: vocabulary, takesBytes: takesBytes))
        case WordPieceModel.type: model = .wordPieces(try WordPieceModel(modelReader, vocabulary: vocabulary))
        case WordLevelModel.type: model = .words(try WordLevelModel(modelReader, vocabulary: vocabulary))
        case UnigramModel.type:
            let scores = scores ?? []
            let unknown = try modelReader.optional("unk_id")?.integer(in: 0...max(0, scores.count - 1))
            let fallsBack = try modelReader.optional("byte_fallback")?.flag() ?? false
            do {
                model = .unigram(
                    try UnigramModel(
                        vocabulary: vocabulary, scores: scores, unknownToken: unknown, fallsBackToBytes: fallsBack))
            } catch { throw error.within("key model.vocab") }
        case let name:
            throw (type ?? reader).failure(
                "the model '\((name ?? "").shortened)' is not supported",
                remedy: "BPE, WordPiece, WordLevel, Unigram and \(LongestMatchModel.type) are")
        }
        try self.init(
            file.parts, vocabulary: vocabulary, model: model, added: added, preTokenizer: preTokenizer,
            takesBytes: takesBytes)
    }

    /// A tokenizer of a vocabulary, a model and all other parts as `tokenizer.json` has them; `added` are the tokens of
    /// the vocabulary that are looked for in texts before anything else is done.
    init(
        _ parts: JSONValue, vocabulary: TokenVocabulary, model: SubwordModel, added: [AddedToken],
        preTokenizer: PreTokenizer? = nil, takesBytes: Bool
    ) throws(PithError) {
        let reader = JSONReader(parts)
        (self.parts, self.vocabulary, self.model) = (parts, vocabulary, model)
        let normalizer = try Normalizer(reader.optional("normalizer"))
        self.normalizer = normalizer
        let words: PreTokenizer
        if let preTokenizer { words = preTokenizer } else { words = try PreTokenizer(reader.optional("pre_tokenizer")) }
        self.preTokenizer = takesBytes ? words.takingBytes() : words
        seams = model.joinsCharacters ? WordSeams(vocabulary) : nil
        needsTracking = words.needsOrigins || (words.usesOrigins && !normalizer.steps.isEmpty)
        postProcessor = try PostProcessor(reader.optional("post_processor"))
        (beginning, ending) = postProcessor.surroundings
        maximumLength = try reader.optional("truncation")?.optional("max_length")?.integer(in: 0...Int.max)
        decoder = try TokenDecoder(reader.optional("decoder"))
        rawFinder = try AddedTokenFinder(added.filter { !$0.isNormalized })
        normalizedFinder = try AddedTokenFinder(added.filter(\.isNormalized)) { normalizer.apply($0) }
        specialTokens = Set(added.filter(\.isSpecial).map(\.number))
        for token in postProcessor.tokens where vocabulary.text(token) == nil {
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

    /// The texts of all special tokens.
    public var specialTexts: [String] { specialTokens.sorted().compactMap(vocabulary.text) }

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

    // MARK: Encoding

    /// The tokens of a text.
    public func encode(_ text: String, _ options: EncodingOptions) -> [Int] {
        var sink = TokenSink(isTracked: false)
        encode(Array(text.utf8), options, &sink, spans: nil)
        return options.addsSpecialTokens ? beginning + sink.tokens + ending : sink.tokens
    }

    /// The tokens of a text, or of two, with what each stands for; `offsets` are those of the text that a token is of.
    public func encoding(_ text: String, pair: String? = nil, _ options: EncodingOptions) -> Encoding {
        let texts = [text] + (pair.map { [$0] } ?? [])
        let encodings = texts.enumerated().map { type, text in
            let bytes = Array(text.utf8)
            var (sink, spans) = (TokenSink(isTracked: true), [SourceSpan]())
            encode(bytes, options, &sink, spans: &spans)
            var encoding = Encoding()
            encoding.ids = sink.tokens
            encoding.pieces = sink.tokens.map { vocabulary.text($0) ?? "" }
            for (index, text) in sink.ownTexts { encoding.pieces[index] = String(decoding: text, as: UTF8.self) }
            encoding.setType(type)
            encoding.isAdded = [Bool](repeating: false, count: sink.tokens.count)
            encoding.offsets = spans.map { Int($0.start)..<max(Int($0.start), Int($0.end)) }
            encoding.characterOffsets = Self.characterOffsets(of: encoding.offsets, in: bytes)
            return encoding
        }
        return postProcessor.apply(encodings, addsTokens: options.addsSpecialTokens) { vocabulary.text($0) ?? "" }
    }

    /// How many tokens are put around a text.
    public var addedCount: Int { beginning.count + ending.count }

    /// How many tokens a text begins with that begins with a prompt, those before every text included.
    public func promptLength(_ prompt: String) -> Int { beginning.count + encode(prompt, .plain).count }

    /// The tokens of a text and those around it, at most `limit`, which must leave room for those around it: a text that
    /// is too long loses its end, and is not whole then.
    public func encode(_ text: String, upTo limit: Int) -> (tokens: [Int], isWhole: Bool) {
        let tokens = encode(text, .plain)
        let kept = tokens.prefix(max(0, limit - addedCount))
        return (beginning + kept + ending, kept.count == tokens.count)
    }

    /// The tokens of a prompt, in which special tokens may stand: what stands before every text, unless the prompt begins
    /// with it, and those of the prompt.
    public func encodeFromBeginning(_ text: String) -> [Int] { withBeginning(encode(text, .written)) }

    /// Tokens behind those that stand before every text, unless they begin with them. What is no special token may well
    /// be the text's own.
    public func withBeginning(_ tokens: some Collection<Int>) -> [Int] {
        tokens.starts(with: beginning) && beginning.allSatisfy(isSpecial) ? Array(tokens) : beginning + tokens
    }

    /// The tokens of a text, nothing added, and how many bytes of it each stands for: together all, those too that the
    /// tokenizer changes, leaves out or does not know. What is left out counts for the token behind it.
    public func encodeCountingBytes(
        _ text: String, _ options: EncodingOptions = .plain
    ) -> (tokens: [Int], byteCounts: [Int]) {
        let bytes = Array(text.utf8)
        var (sink, spans) = (TokenSink(isTracked: true), [SourceSpan]())
        encode(bytes, options, &sink, spans: &spans)
        var (counts, end) = ([Int](), 0)
        for (index, span) in spans.enumerated() {
            let next = index + 1 == spans.count ? bytes.count : max(end, Int(span.end))
            counts.append(next - end)
            end = next
        }
        return (sink.tokens, counts)
    }

    private func encode(
        _ bytes: [UInt8], _ options: EncodingOptions, _ sink: inout TokenSink,
        spans: UnsafeMutablePointer<[SourceSpan]>?
    ) {
        // Few words come again in a short text.
        var cache = bytes.count > 2048 ? WordCache() : nil
        for part in rawFinder.split(bytes, matchesSpecial: options.matchesSpecialTokens) {
            if let token = part.token {
                sink.append(token, text: bytes[part.range])
                spans?.pointee.append(
                    SourceSpan(start: UInt32(part.range.lowerBound), end: UInt32(part.range.upperBound)))
                continue
            }
            let source = AlignedText(
                bytes[part.range], origin: part.range.lowerBound, isTracked: spans != nil || needsTracking)
            let text = normalizer.apply(source)
            var pieces = PieceText(
                text, normalizedFinder.split(text.bytes, matchesSpecial: options.matchesSpecialTokens))
            preTokenizer.apply(to: &pieces)
            if let seams { pieces.cut { word, _, add in seams.forEachPart(of: word, add) } }
            encode(pieces, &sink, &cache, spans: spans)
        }
    }

    private func encode(
        _ pieces: PieceText, _ sink: inout TokenSink, _ cache: inout WordCache?,
        spans: UnsafeMutablePointer<[SourceSpan]>?
    ) {
        pieces.text.bytes.withUnsafeBufferPointer { bytes in
            for piece in pieces.pieces {
                let first = sink.tokens.count
                let word = UnsafeBufferPointer(rebasing: bytes[piece.start..<piece.end])
                if let token = piece.token {
                    sink.append(token, text: pieces.text.bytes[piece.start..<piece.end])
                } else if cache == nil {
                    model.encode(word, into: &sink)
                } else {
                    cache?.encode(word, into: &sink) { model.encode(word, into: &$0) }
                }
                guard let spans, let ranges = sink.ranges else { continue }
                for range in ranges[first...] {
                    spans.pointee.append(pieces.span(Int(range.lowerBound)..<Int(range.upperBound), of: piece))
                }
            }
        }
    }

    /// Offsets in bytes as offsets in characters; what begins behind the last character stays.
    private static func characterOffsets(of offsets: [Range<Int>], in bytes: [UInt8]) -> [Range<Int>] {
        var (numbers, count) = ([Int32](), 0)
        numbers.reserveCapacity(bytes.count)
        for byte in bytes {
            if byte & 0xC0 != 0x80 { count += 1 }
            numbers.append(Int32(count - 1))
        }
        return offsets.map { range in
            guard range.lowerBound < numbers.count else { return range }
            let start = Int(numbers[range.lowerBound])
            let end = range.upperBound < numbers.count ? Int(numbers[range.upperBound]) : count
            return start..<max(start, end)
        }
    }
}
