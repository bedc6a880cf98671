import PithCore

/// What a GGUF file says of a tokenizer beside its vocabulary.
public struct GGUFTokenizerRoles: Sendable {
    /// The tokens that begin and end texts, stand for what is unknown, and fill batches up.
    public var beginning, end, unknown, padding: Int?
    /// The chat template.
    public var chatTemplate: String?
    /// Rows of the model's token table; numbers behind the last token are said to be unused.
    public var vocabularySize: Int
    /// The name of the pre-tokenizer, `tokenizer.ggml.pre`; nil for that whose expressions are the tokenizer's.
    public var preTokenizer: String?

    /// Roles of a vocabulary with so many rows.
    public init(vocabularySize: Int) { self.vocabularySize = vocabularySize }
}

/// Writes a tokenizer as the keys of a GGUF file. Source: ggml, docs/gguf.md, and what llama.cpp reads.
struct GGUFTokenizerKeys {
    private(set) var pairs: [(key: String, value: GGUFValue)] = []
    private let tokenizer: Tokenizer
    private let roles: GGUFTokenizerRoles
    private var kinds: [Int32]

    init(_ tokenizer: Tokenizer, _ roles: GGUFTokenizerRoles) throws(PithError) {
        (self.tokenizer, self.roles) = (tokenizer, roles)
        let added = try AddedToken.all(JSONReader(tokenizer.parts))
        let special = Dictionary(added.map { ($0.number, $0.isSpecial) }) { $1 }
        kinds = (0..<roles.vocabularySize).map { number in
            guard tokenizer.token(number) != nil else { return Kind.unused }
            if number == roles.unknown { return Kind.unknown }
            return special[number].map { $0 ? Kind.control : Kind.userDefined } ?? Kind.normal
        }
        switch tokenizer.model {
        case .bytePairs(let model) where model.takesBytes: try addByteLevel(model)
        case .bytePairs(let model) where model.fallsBackToBytes:
            addScored(Self.scores(of: model.merges, count: roles.vocabularySize))
        case .scored(let model): addScored(model.scores)
        case .wordPieces: try addWordPieces()
        case .bytePairs, .unigram, .longestMatch, .words:
            throw .usage(
                "tokenizers of this kind are not written into GGUF files", at: "tokenizer",
                remedy: "byte pairs, SentencePiece's pieces and BERT's are")
        }
        addRoles()
    }

    /// Numbers of `tokenizer.ggml.token_type`.
    private enum Kind {
        static let normal: Int32 = 1, unknown: Int32 = 2, control: Int32 = 3, userDefined: Int32 = 4
        static let unused: Int32 = 5, byte: Int32 = 6
    }

    private mutating func add(_ key: String, _ value: GGUFValue) { pairs.append(("tokenizer.\(key)", value)) }

    private mutating func addTokens(
        model: String, pre: String?, _ text: (_ token: String) -> String = { $0 }
    ) {
        add("ggml.model", .text(model))
        if let pre { add("ggml.pre", .text(pre)) }
        add(
            "ggml.tokens",
            .array(
                GGUFArray(
                    texts: (0..<roles.vocabularySize).map { number in
                        let token = kinds[number] == Kind.unused ? nil : tokenizer.token(number)
                        return Array((token.map { text($0) } ?? "[PAD\(number)]").utf8)
                    })))
        add("ggml.token_type", .array(GGUFArray(kinds)))
    }

    private mutating func addByteLevel(_ model: BytePairModel) throws(PithError) {
        let pre: String
        if let name = roles.preTokenizer {
            pre = name
        } else {
            pre = try BytePairStyle.name(of: tokenizer.parts, ignoresMerges: model.ignoresMerges)
        }
        addTokens(model: "gpt2", pre: pre)
        let space = [UInt8(ascii: " ")]
        add(
            "ggml.merges",
            .array(
                GGUFArray(
                    texts: model.merges.pairs.map { pair in
                        Array((tokenizer.token(Int(pair.left)) ?? "").utf8) + space
                            + (tokenizer.token(Int(pair.right)) ?? "").utf8
                    })))
    }

    private mutating func addScored(_ scores: [Float]) {
        for byte in 0...255 {
            if let number = tokenizer.identifier(of: BytePairModel.fallbackName(UInt8(byte))),
                kinds[number] == Kind.normal
            {
                kinds[number] = Kind.byte
            }
        }
        addTokens(model: "llama", pre: "default")
        let missing = roles.vocabularySize - scores.count
        add("ggml.scores", .array(GGUFArray(scores + [Float](repeating: -1e6, count: max(0, missing)))))
        add("ggml.add_space_prefix", .flag(tokenizer.prependsMark))
    }

    /// Words in pieces: those that begin a word are marked, where `tokenizer.json` marks the others.
    private mutating func addWordPieces() throws(PithError) {
        let normalizer = try JSONReader(tokenizer.parts).optional("normalizer")
        let flags = try ["lowercase", "strip_accents"].map { (key) throws(PithError) in
            try normalizer?.optional(key)?.flag() ?? true
        }
        guard try normalizer?.member("type").text() == "BertNormalizer", flags == [true, true] else {
            throw .usage(
                "GGUF files have no word for pieces of words that are not in small letters and without accents",
                at: "tokenizer.json: key normalizer", remedy: "a Hugging Face folder has: --to hf")
        }
        addTokens(model: "bert", pre: nil) { token in
            if token.hasPrefix("##") { return String(token.dropFirst(2)) }
            return token.hasPrefix("[") && token.hasSuffix("]") ? token : TokenizerParts.mark + token
        }
        // The two tokens around a text have names of their own.
        for (key, token) in [
            ("cls", tokenizer.beginning.first), ("seperator", tokenizer.encode("", upTo: .max).tokens.last),
        ] {
            if let token { add("ggml.\(key)_token_id", .unsigned(UInt64(token))) }
        }
    }

    /// Pieces are joined in the order of their scores, and merges in the order of the list.
    private static func scores(of merges: BytePairMerges, count: Int) -> [Float] {
        // What no merge makes is never joined.
        var scores = [Float](repeating: -1e6, count: count)
        for (rank, token) in merges.rankedResults where Int(token) < count {
            scores[Int(token)] = max(scores[Int(token)], -Float(rank))
        }
        return scores
    }

    private mutating func addRoles() {
        for (key, token) in [
            ("bos", roles.beginning), ("eos", roles.end), ("unknown", roles.unknown), ("padding", roles.padding),
        ] {
            if let token { add("ggml.\(key)_token_id", .unsigned(UInt64(token))) }
        }
        add("ggml.add_bos_token", .flag(!tokenizer.beginning.isEmpty))
        add("ggml.add_eos_token", .flag(tokenizer.addedCount > tokenizer.beginning.count))
        if let template = roles.chatTemplate { add("chat_template", .text(template)) }
        // What the other keys cannot say is in the document itself.
        add("huggingface.json", .text(tokenizer.document.compactText))
    }
}

extension Tokenizer {
    /// The keys `tokenizer.*` of a GGUF file; refuses what such keys do not describe.
    public func ggufKeys(_ roles: GGUFTokenizerRoles) throws(PithError) -> [(key: String, value: GGUFValue)] {
        try GGUFTokenizerKeys(self, roles).pairs
    }

    /// Whether a mark is put before texts.
    fileprivate var prependsMark: Bool {
        func prepends(_ part: JSONValue?) -> Bool {
            guard case .object(let object)? = part, case .string(let type)? = object["type"] else { return false }
            func steps(_ key: String) -> Bool {
                if case .array(let steps)? = object[key] { steps.contains { prepends($0) } } else { false }
            }
            switch type {
            case "Prepend": return true
            case "Metaspace": return object["prepend_scheme"] != .string("never")
            default: return steps("normalizers") || steps("pretokenizers")
            }
        }
        guard case .object(let parts) = parts else { return false }
        return prepends(parts["normalizer"]) || prepends(parts["pre_tokenizer"])
    }
}

extension BytePairStyle {
    /// The name of the style whose expressions are those of a tokenizer's `pre_tokenizer`.
    static func name(of parts: JSONValue, ignoresMerges: Bool) throws(PithError) -> String {
        let reader = JSONReader(parts)
        let expressions = try reader.optional("pre_tokenizer").map { (part) throws(PithError) in
            try self.expressions(of: part)
        }
        guard let own = expressions ?? [], let name = name(of: own, ignoresMerges: ignoresMerges) else {
            throw .usage(
                "cuts texts in a way that GGUF files have no name for", at: "tokenizer.json: key pre_tokenizer",
                remedy: "say which comes nearest with pre=NAME, for example pre=llama-bpe")
        }
        return name
    }

    /// The expressions by which texts are cut; nil where something else than expressions does it.
    private static func expressions(of part: JSONReader) throws(PithError) -> [String]? {
        switch try part.member("type").text() {
        case "Sequence":
            var all: [String] = []
            for step in try part.member("pretokenizers").array() {
                guard let some = try expressions(of: step) else { return nil }
                all += some
            }
            return all
        case "Split":
            let isIsolated = try part.member("behavior").text() == "Isolated"
            guard isIsolated, try part.optional("invert")?.flag() != true,
                let expression = try part.member("pattern").optional("Regex")?.text()
            else { return nil }
            return [expression]
        case "Digits": return try part.optional("individual_digits")?.flag() == true ? [#"\p{N}"#] : nil
        case "ByteLevel":
            guard try part.optional("add_prefix_space")?.flag() == false else { return nil }
            return try part.optional("use_regex")?.flag() ?? true ? [WordPattern.gpt2.expressions[0]] : []
        default: return nil
        }
    }
}
