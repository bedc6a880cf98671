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
    let model: String
    let unknownToken: Int?
    let endToken: Int?
    private let paddingToken: Int?

    /// Reads the keys; `Tokenizer(gguf:)` checks that the tokens exist.
    public init(_ metadata: [String: GGUFValue]) throws(PithError) {
        guard let model = metadata["tokenizer.ggml.model"]?.string else {
            throw .data("has no tokenizer", at: "key tokenizer.ggml.model")
        }
        self.model = model
        let named = Self.namedTokens(metadata)
        let defaults = Self.defaults[model] ?? Defaults()
        beginningToken = named["bos"] ?? (model == "bert" ? named["cls"] : nil) ?? defaults.beginning
        let end = named["eos"] ?? defaults.end
        endToken = model == "bert" ? named["sep"] ?? defaults.end : end
        unknownToken = named["unk"] ?? defaults.unknown
        paddingToken = named["pad"]
        namedEndTokens = model == "bert" ? [] : [end, named["eot"], named["eom"]].compactMap { $0 }
        // Files of some families leave it out.
        let style = metadata["tokenizer.ggml.pre"]?.string.map(BytePairStyle.addsBeginning) ?? false
        addsBeginning = metadata["tokenizer.ggml.add_bos_token"]?.truth ?? (defaults.addsBeginning || style)
        addsEnd = metadata["tokenizer.ggml.add_eos_token"]?.truth ?? defaults.addsEnd
        chatTemplate = metadata["tokenizer.chat_template"]?.string
    }

    /// The numbers of the tokens that the keys name, by the names that folders have for them.
    static func namedTokens(_ metadata: [String: GGUFValue]) -> [String: Int] {
        var tokens: [String: Int] = [:]
        for (key, name) in [
            ("bos", "bos"), ("eos", "eos"), ("eot", "eot"), ("eom", "eom"), ("unknown", "unk"), ("padding", "pad"),
            ("cls", "cls"), ("mask", "mask"), ("separator", "sep"), ("seperator", "sep"),
        ] {
            if let number = metadata["tokenizer.ggml.\(key)_token_id"]?.integer { tokens[name] = number }
        }
        return tokens
    }

    /// What holds where a file does not say otherwise.
    private struct Defaults {
        var beginning: Int?
        var end: Int?
        var unknown: Int?
        var addsBeginning = false
        var addsEnd = false
    }

    private static let defaults = [
        "llama": Defaults(beginning: 1, end: 2, unknown: 0, addsBeginning: true),
        "t5": Defaults(end: 1, unknown: 2, addsEnd: true),
        "bert": Defaults(beginning: 101, end: 102, unknown: 100, addsBeginning: true, addsEnd: true),
    ]

    /// What is written as `tokenizer_config.json` beside the document of the tokenizer.
    public func document(_ tokenizer: Tokenizer) -> JSONValue {
        func text(_ token: Int?) -> JSONValue { token.flatMap { tokenizer.token($0) }.map { .string($0) } ?? .null }
        return [
            "tokenizer_class": "PreTrainedTokenizerFast", "add_bos_token": .bool(addsBeginning),
            "add_eos_token": .bool(addsEnd), "bos_token": text(beginningToken), "eos_token": text(endToken),
            "unk_token": text(unknownToken), "pad_token": text(paddingToken), "clean_up_tokenization_spaces": false,
            "chat_template": chatTemplate.map { .string($0) } ?? .null,
        ]
    }

    /// What stands before every text, and behind it.
    var surroundings: (prefix: [Int], suffix: [Int]) {
        (addsBeginning ? [beginningToken].compactMap { $0 } : [], addsEnd ? [endToken].compactMap { $0 } : [])
    }

    var tokens: [Int] { namedEndTokens + [beginningToken].compactMap { $0 } }
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

extension Tokenizer {
    /// The tokenizer of a GGUF file. Source: ggml, docs/gguf.md, and what llama.cpp does with the keys.
    public init(gguf file: GGUFFile) throws(PithError) {
        do { try self.init(gguf: file.metadata) } catch { throw error.within(file.path) }
    }

    /// The tokenizer that the metadata of a GGUF file describes: byte pairs (`gpt2`), pieces with scores (`llama`, `t5`) or
    /// words in pieces (`bert`).
    ///
    /// A `tokenizer.json` in the file counts where the other keys name what is not known here.
    public init(gguf metadata: [String: GGUFValue]) throws(PithError) {
        do throws(PithError) { try self.init(keys: metadata) } catch {
            guard let document = metadata["tokenizer.huggingface.json"]?.string else { throw error }
            do throws(PithError) { try self.init(json: JSONValue(parsing: document)) } catch {
                throw error.within("key tokenizer.huggingface.json")
            }
        }
    }

    private init(keys metadata: [String: GGUFValue]) throws(PithError) {
        let reader = try GGUFTokenizerReader(metadata)
        switch reader.settings.model {
        case "gpt2": self = try reader.bytePairs()
        case "llama": self = try reader.scoredPieces()
        case "t5": self = try reader.unigram()
        case "bert": self = try reader.wordPieces()
        case let name:
            throw .data(
                "the tokenizer '\(name.shortened)' is not supported", at: "key tokenizer.ggml.model",
                remedy: "gpt2, llama, t5 and bert are")
        }
    }
}
