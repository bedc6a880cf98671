import PithCore
import PithFormats
import PithTokens

extension Reader {
    private static let sample =
        "It's 2026:  naïve 日本 <mask> 😀<|endoftext|>\n\n" + String(repeating: "a", count: 50) + " ab <s> ü\u{301}"

    static let tokenizer = Reader(
        "tokenizer", isText: true,
        seeds: {
            let names = try Seeds.goldenNames.filter { $0.hasSuffix(".tokenizer.json") }
            let cases = try JSONReader(JSONValue(contentsOf: Seeds.goldenPath("encodings.json"))).array()
            return try Seeds.golden(names) + cases.map { try $0.member("tokenizer").value.compactBytes() }
        }
    ) { (bytes, _) throws(PithError) in try encode(with: Tokenizer(json: JSONValue(parsing: bytes))) }

    static let sentencePiece = Reader("sentencepiece", seeds: { Seeds.sentencePieces }) {
        (bytes, scratch) throws(PithError) in
        let tokenizer = try Tokenizer(sentencePiece: scratch.file("a.model", bytes))
        try encode(with: tokenizer)
        try encode(with: Tokenizer(json: tokenizer.document))
    }

    /// Expressions of texts that are cut.
    static let expressions = Reader(
        "expressions", isText: true,
        seeds: {
            Seeds.texts(
                #"'s|'t|'re| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"#,
                #"(?i:'s|'t)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+"#,
                #"[a-z&&[^aeiou]]+"#, #"(a|b)*?c{2,5}\x{1F600}"#)
        }
    ) { (bytes, _) throws(PithError) in
        var document = try JSONReader(JSONValue(parsing: byteTokenizer)).object()
        document["pre_tokenizer"] = [
            "type": "Split", "pattern": ["Regex": .string(String(decoding: bytes, as: UTF8.self))],
            "behavior": "Isolated", "invert": false,
        ]
        try encode(with: Tokenizer(json: .object(document)))
    }

    private static let byteTokenizer =
        #"{"model":{"type":"BPE","vocab":{"a":0,"b":1,"c":2,"<u>":3},"merges":[],"unk_token":"<u>"}}"#

    static let chatTemplates = Reader(
        "chat-templates", isText: true, slack: 320 << 20,
        seeds: {
            try Seeds.templates().map { template in
                Bundle.bytes([
                    (
                        "tokenizer_config.json",
                        Array(#"{"bos_token":"<s>","eos_token":{"content":"</s>"},"add_bos_token":true}"#.utf8)
                    ), ("chat_template.jinja", Array(template.utf8)),
                ])
            }
        }
    ) { (bytes, scratch) throws(PithError) in
        guard let template = try ChatTemplate.open(folder: scratch.folder(bytes)) else { return }
        let messages = [("system", "Be kind."), ("user", "Hello <s>"), ("assistant", "Hi")]
        var request = ChatRequest(messages.map { ChatRequest.message($0.1, role: $0.0) })
        request.tools = [["type": "function", "function": ["name": "f", "parameters": ["a": 1]]]]
        _ = try template.render(request, clock: JinjaClock(seconds: 1_700_000_000))
    }

    static let jinja = Reader(
        "jinja", isText: true, slack: 320 << 20,
        seeds: {
            let snippets = try Seeds.snippets()
            return try Seeds.templates().map { Array($0.utf8) } + snippets.map { Array($0.utf8) }
        }
    ) { (bytes, _) throws(PithError) in
        let template = try JinjaTemplate(String(decoding: bytes, as: UTF8.self))
        let variables: JSONObject = [
            "messages": [["role": "user", "content": "Hello"], ["role": "assistant", "content": ["type": "text"]]],
            "tools": .null, "x": 7, "y": -2.5, "text": "a bc d", "list": [3, 1, 2], "add_generation_prompt": true,
            "bos_token": "<s>", "map": ["a": 1, "b": [2, 3]],
        ]
        _ = try template.render(variables, clock: JinjaClock(seconds: 1_700_000_000))
    }

    /// Cuts a text, and makes text of all tokens.
    static func encode(with tokenizer: Tokenizer) throws(PithError) {
        precondition(tokenizer.vocabularySize <= 1 << 24, "a vocabulary without a bound")
        for options in [EncodingOptions.full, .plain] {
            let tokens = tokenizer.encode(sample, options)
            precondition(tokens.allSatisfy { (0..<tokenizer.vocabularySize).contains($0) }, "a token that is none")
            var stream = StreamingDecoder(tokenizer)
            for token in tokens { _ = stream.push(token) }
            _ = stream.finish()
            _ = tokenizer.decode(tokens)
        }
        _ = tokenizer.encoding(sample, pair: "b a", .full)
        _ = tokenizer.encode(sample, upTo: 5)
        for token in 0..<min(300, tokenizer.vocabularySize) { _ = tokenizer.bytes(of: token) }
    }
}
