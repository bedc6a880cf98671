import PithCore

/// What the keys `tokenizer.*` of a GGUF file say beside the vocabulary.
public struct GGUFTokenizerSettings: Sendable {
    /// What stands before texts, and whether it does by itself.
    public let beginningToken: Int?
    /// Whether `beginningToken` is put before every text.
    public let addsBeginning: Bool
    /// Whether the token of the end is put behind every text.
    public let addsEnd: Bool
    /// A template of conversations in Jinja's language.
    public let chatTemplate: String?

    /// Tokens with which a model ends a text, a turn or a message, by the keys `eos`, `eot` and `eom`.
    fileprivate let namedEndTokens: [Int]
    fileprivate let model: String
    fileprivate let unknownToken: Int?
    private let endToken: Int?

    /// Reads the keys; `Tokenizer(gguf:)` checks that the tokens exist.
    public init(_ metadata: [String: GGUFValue]) throws(PithError) {
        guard let model = metadata["tokenizer.ggml.model"]?.string else {
            throw .data("has no tokenizer", at: "key tokenizer.ggml.model")
        }
        self.model = model
        func number(_ key: String, _ defaultValue: Int? = nil) -> Int? {
            metadata["tokenizer.ggml.\(key)_token_id"]?.integer ?? defaultValue
        }
        let isScored = model == "llama"
        beginningToken = number("bos", isScored ? 1 : nil)
        let end = number("eos", isScored ? 2 : nil)
        endToken = end
        unknownToken = number("unknown", isScored ? 0 : nil)
        namedEndTokens = [end, number("eot"), number("eom")].compactMap { $0 }
        // Files of Llama 3 may leave it out.
        let isLlama3 = metadata["tokenizer.ggml.pre"]?.string.map { BytePairStyle.llama3Names.contains($0) } ?? false
        addsBeginning = metadata["tokenizer.ggml.add_bos_token"]?.truth ?? (isScored || isLlama3)
        addsEnd = metadata["tokenizer.ggml.add_eos_token"]?.truth ?? false
        chatTemplate = metadata["tokenizer.chat_template"]?.string
    }

    /// What stands before and behind every text.
    fileprivate var postProcessor: PostProcessor {
        PostProcessor(
            prefix: addsBeginning ? [beginningToken].compactMap { $0 } : [],
            suffix: addsEnd ? [endToken].compactMap { $0 } : [])
    }

    fileprivate var tokens: [Int] { namedEndTokens + [beginningToken].compactMap { $0 } }
}

extension GGUFTokenizerSettings {
    /// Texts of tokens that end a text or a turn in some family of models. Files often list them as ordinary tokens.
    public static let endTexts: Set<String> = [
        "<|eot_id|>", "<|im_end|>", "<|end|>", "<|return|>", "<|call|>", "<end_of_turn>", "<|endoftext|>", "</s>",
        "<|eom_id|>", "<EOT>", "_<EOT>", "[EOT]", "[EOS]", "<|end_of_text|>", "<end_of_utterance>", "<eos>",
    ]

    /// All tokens with which a model may end what it writes: those that the file names, and those whose text says so.
    public func endTokens(_ tokenizer: Tokenizer) -> [Int] {
        Set(namedEndTokens + Self.endTexts.compactMap { tokenizer.identifier(of: $0) }).sorted()
    }
}

/// What `tokenizer.ggml.pre` says of how byte pairs are made.
private struct BytePairStyle {
    let steps: [PreTokenizer.Step]
    /// Whole words that are tokens are taken without merging.
    var ignoresMerges = false

    static let llama3Names = ["llama-bpe", "llama3", "llama-v3"]

    /// Throws for names that are not known: their words would be cut in another way.
    init(_ name: String) throws(PithError) {
        switch name {
        case "default":
            steps = [.punctuation, .words(.gpt2), .digits(individually: false), .digitTriples]
        case "gpt-2", "phi-2": steps = [.words(.gpt2)]
        case "smollm", "starcoder", "refact", "command-r": steps = [.digits(individually: true), .words(.gpt2)]
        case "qwen2", "deepseek-r1-qwen", "stablelm2": steps = [.words(.qwen2)]
        case _ where Self.llama3Names.contains(name):
            steps = [.words(.llama3)]
            ignoresMerges = true
        default:
            throw .data(
                "the pre-tokenizer '\(name.shortened)' is not supported", at: "key tokenizer.ggml.pre",
                remedy: "default, gpt-2, llama-bpe, smollm, qwen2 and their like are")
        }
    }
}

extension Tokenizer {
    /// The tokenizer of a GGUF file: byte pairs (`gpt2`) or pieces with scores (`llama`). Source: ggml, docs/gguf.md, and
    /// what llama.cpp does with the keys.
    public init(gguf file: GGUFFile) throws(PithError) {
        do { try self.init(gguf: file.metadata) } catch { throw error.within(file.path) }
    }

    /// Numbers of `tokenizer.ggml.token_type`.
    private enum TokenType {
        static let normal = 1, unknown = 2, control = 3, userDefined = 4
    }

    /// The tokenizer that the metadata of a GGUF file describes.
    public init(gguf metadata: [String: GGUFValue]) throws(PithError) {
        let settings = try GGUFTokenizerSettings(metadata)
        func array(_ key: String) throws(PithError) -> GGUFArray {
            guard let array = metadata["tokenizer.ggml.\(key)"]?.values else {
                throw .data("should be an array", at: "key tokenizer.ggml.\(key)")
            }
            return array
        }
        guard let texts = try array("tokens").strings else {
            throw .data("should hold texts", at: "key tokenizer.ggml.tokens")
        }
        let vocabulary = try TokenVocabulary(texts)
        for token in settings.tokens where !texts.indices.contains(token) {
            throw .data("the token \(token) is not in the vocabulary", at: "key tokenizer.ggml")
        }
        let added = try Self.addedTokens(metadata["tokenizer.ggml.token_type"]?.values, texts)
        switch settings.model {
        case "gpt2":
            let style = try BytePairStyle(metadata["tokenizer.ggml.pre"]?.string ?? "default")
            let model: BytePairModel
            do {
                model = try BytePairModel(
                    byteLevel: vocabulary, merges: try array("merges"), ignoresMerges: style.ignoresMerges)
            } catch { throw error.within("key tokenizer.ggml.merges") }
            self.init(
                vocabulary: vocabulary, model: .bytePairs(model), normalizer: Normalizer([]),
                preTokenizer: PreTokenizer(style.steps, isByteLevel: true), postProcessor: settings.postProcessor,
                decoder: TokenDecoder([.byteLevel]), added: added)
        case "llama":
            guard let scores = try array("scores").floats, scores.count == texts.count, scores.allSatisfy({ !$0.isNaN })
            else { throw .data("should hold a number for each token", at: "key tokenizer.ggml.scores") }
            let unknown = settings.unknownToken.flatMap { texts.indices.contains($0) ? $0 : nil }
            let addsSpace = metadata["tokenizer.ggml.add_space_prefix"]?.truth ?? true
            let (space, mark) = (" ", "\u{2581}")
            self.init(
                vocabulary: vocabulary,
                model: .scored(ScoredPieceModel(vocabulary, scores: scores, unknownToken: unknown)),
                normalizer: Normalizer((addsSpace ? [.prepend(space)] : []) + [.replace(space, by: mark)]),
                preTokenizer: PreTokenizer([], isByteLevel: false), postProcessor: settings.postProcessor,
                decoder: TokenDecoder(
                    [.replace(mark, by: space), .byteFallback, .fuse]
                        + (addsSpace ? [.strip(" ", start: 1, stop: 0)] : [])),
                added: added)
        default:
            throw .data(
                "the tokenizer '\(settings.model.shortened)' is not supported", at: "key tokenizer.ggml.model",
                remedy: "gpt2 and llama are")
        }
    }

    /// Tokens that are found in texts before anything else is done to them.
    private static func addedTokens(_ types: GGUFArray?, _ texts: [String]) throws(PithError) -> [AddedToken] {
        guard let types else { return [] }
        guard let kinds = types.integers, kinds.count == texts.count else {
            throw .data("should hold a number for each token", at: "key tokenizer.ggml.token_type")
        }
        return kinds.enumerated().compactMap { number, kind in
            let isEnd = kind == TokenType.normal && GGUFTokenizerSettings.endTexts.contains(texts[number])
            guard [TokenType.unknown, TokenType.control, TokenType.userDefined].contains(kind) || isEnd,
                !texts[number].isEmpty
            else { return nil }
            return AddedToken(content: texts[number], number: number, isSpecial: kind != TokenType.userDefined)
        }
    }
}
