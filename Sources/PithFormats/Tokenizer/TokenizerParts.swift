/// Parts of a `tokenizer.json`, for tokenizers that come from other files: whatever is said in the words of that format is
/// read by one reader, and can be written.
enum TokenizerParts {
    /// What stands for a space in pieces.
    static let mark = "\u{2581}"

    /// Steps in order; null if there are none.
    static func sequence(_ steps: [JSONValue], _ key: String) -> JSONValue {
        switch steps.count {
        case 0: .null
        case 1: steps[0]
        default: JSONValue(dictionaryLiteral: ("type", "Sequence"), (key, .array(steps)))
        }
    }

    static func replace(_ pattern: JSONValue, by content: String) -> JSONValue {
        ["type": "Replace", "pattern": pattern, "content": .string(content)]
    }

    /// Bytes as characters, without anything else.
    static let byteLevel: JSONValue = [
        "type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": false,
    ]

    /// Matches of an expression and what lies between them.
    static func split(_ expression: String) -> JSONValue {
        ["type": "Split", "pattern": ["Regex": .string(expression)], "behavior": "Isolated", "invert": false]
    }

    /// Words with the marks before them.
    static let markSplit = split("\(mark)*[^\(mark)]+|\(mark)+")

    /// What makes texts of pieces with marks and bytes; `dropsSpace`: the first space was put there.
    static func pieceDecoder(dropsSpace: Bool) -> JSONValue {
        let strip: JSONValue = ["type": "Strip", "content": " ", "start": 1, "stop": 0]
        return sequence(
            [replace(["String": .string(mark)], by: " "), ["type": "ByteFallback"], ["type": "Fuse"]]
                + (dropsSpace ? [strip] : []), "decoders")
    }

    /// Tokens before and behind every text, of which `text` gives the texts.
    static func template(prefix: [Int], suffix: [Int], secondType: Int = 1, _ text: (Int) -> String) -> JSONValue {
        guard !(prefix + suffix).isEmpty else { return nil }
        func token(_ token: Int, _ type: Int) -> JSONValue {
            ["SpecialToken": ["id": .string(text(token)), "type_id": .integer(type)]]
        }
        func part(_ name: String, _ type: Int, _ prefix: [Int]) -> [JSONValue] {
            prefix.map { token($0, type) } + [["Sequence": ["id": .string(name), "type_id": .integer(type)]]]
                + suffix.map { token($0, type) }
        }
        var specials = JSONObject()
        for id in prefix + suffix {
            specials[text(id)] = ["id": .string(text(id)), "ids": [.integer(id)], "tokens": [.string(text(id))]]
        }
        return [
            "type": "TemplateProcessing", "single": .array(part("A", 0, prefix)),
            // What ends with a token needs no second beginning.
            "pair": .array(part("A", 0, prefix) + part("B", secondType, suffix.isEmpty ? prefix : [])),
            "special_tokens": .object(specials),
        ]
    }

    /// All parts together; vocabulary and merges are left out.
    static func document(
        normalizer: JSONValue, preTokenizer: JSONValue, postProcessor: JSONValue, decoder: JSONValue,
        model: JSONValue, added: [AddedToken]
    ) -> JSONValue {
        [
            "version": "1.0", "truncation": nil, "padding": nil, "added_tokens": .array(added.map(\.json)),
            "normalizer": normalizer, "pre_tokenizer": preTokenizer, "post_processor": postProcessor,
            "decoder": decoder, "model": model,
        ]
    }

    /// A byte-pair model.
    static func bytePairs(
        unknown: String?, fallsBackToBytes: Bool = false, ignoresMerges: Bool = false
    ) -> JSONValue {
        [
            "type": "BPE", "dropout": nil, "unk_token": unknown.map { .string($0) } ?? .null,
            "continuing_subword_prefix": nil, "end_of_word_suffix": nil, "fuse_unk": .bool(fallsBackToBytes),
            "byte_fallback": .bool(fallsBackToBytes), "ignore_merges": .bool(ignoresMerges),
        ]
    }
}

extension Tokenizer {
    /// The tokenizer as a `tokenizer.json`, which the `tokenizers` package reads as well. Pieces that are joined by scores
    /// (SentencePiece's `bpe`) are written as merges in the order of their scores.
    public var document: JSONValue {
        guard case .object(var document) = parts, case .object(var model)? = document["model"] else { return parts }
        var vocabulary = JSONObject()
        switch self.model {
        case .unigram(let unigram): model["vocab"] = .array(unigram.pieces)
        default:
            self.vocabulary.forEachModelToken { number, text in
                vocabulary[String(decoding: text, as: UTF8.self)] = .integer(number)
            }
            model["vocab"] = .object(vocabulary)
        }
        func pair(_ left: String, _ right: String) -> JSONValue { [.string(left), .string(right)] }
        switch self.model {
        case .bytePairs(let pairs):
            model["merges"] = .array(
                pairs.merges.pairs.map { pair(token(Int($0.left)) ?? "", token(Int($0.right)) ?? "") })
        case .scored(let scored): model["merges"] = .array(scored.merges.map(pair))
        default: break
        }
        document["model"] = .object(model)
        return .object(document)
    }
}
