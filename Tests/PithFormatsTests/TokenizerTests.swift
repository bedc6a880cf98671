import Foundation
import PithCore
import PithFormats
import Testing

/// What the `tokenizers` package makes of some texts and tokens.
struct Expectation: Sendable {
    var text: String?
    var tokens: [Int]
    var decoded: String
    var special: [Int]
    var skipped: String

    init(_ reader: JSONReader) throws {
        func numbers(_ key: String) throws -> [Int] { try reader.optional(key)?.array().map { try $0.integer() } ?? [] }
        text = try reader.optional("text")?.text()
        tokens = try numbers(text == nil ? "decode" : "tokens")
        decoded = try reader.member("decoded").text()
        special = try numbers("special")
        skipped = try reader.optional("skipped")?.text() ?? ""
    }

    static func all(_ name: String) throws -> [Expectation] {
        try JSONReader(JSONValue(contentsOf: TestData.golden("\(name).expected.json"))).array().map(Expectation.init)
    }
}

private func sameBytes(_ left: String, _ right: String) -> Bool { left.utf8.elementsEqual(right.utf8) }

@Suite struct TokenizerTests {
    static let tiny = [
        "tiny-gpt2", "tiny-llama3", "tiny-qwen2", "tiny-llama2", "tiny-metaspace", "tiny-wordpiece",
        "tiny-wordpiece-cased",
    ]
    static let real = ["tinystories-656k-hf", "smollm2-135m-tokenizer"]

    static func tinyTokenizer(_ name: String) throws -> Tokenizer {
        try Tokenizer(json: JSONValue(contentsOf: TestData.golden("\(name).tokenizer.json")))
    }

    private func check(_ tokenizer: Tokenizer, _ name: String) throws {
        for expectation in try Expectation.all(name) {
            if let text = expectation.text {
                #expect(tokenizer.encode(text, .written) == expectation.tokens, "\(name): \(text)")
                #expect(tokenizer.encode(text, .full) == expectation.special, "\(name): \(text)")
                let skipped = tokenizer.decode(expectation.special, skippingSpecialTokens: true)
                #expect(sameBytes(skipped, expectation.skipped), "\(name): \(text)")
            }
            let decoded = tokenizer.decode(expectation.tokens, skippingSpecialTokens: false)
            #expect(sameBytes(decoded, expectation.decoded), "\(name): \(expectation.tokens)")
        }
    }

    @Test(arguments: tiny) func agreesOnTinyTokenizers(_ name: String) throws {
        try check(try Self.tinyTokenizer(name), name)
    }

    @Test(
        .enabled(if: real.allSatisfy { TestData.has("\($0)/tokenizer.json") }, "needs the real tokenizers"),
        arguments: real)
    func agreesOnRealTokenizers(_ name: String) throws {
        try check(try Tokenizer(folder: TestData.path(name)), name)
    }

    @Test(.enabled(if: TestData.has("all-MiniLM-L6-v2/tokenizer.json"), "needs all-MiniLM-L6-v2"))
    func agreesOnMiniLM() throws {
        let tokenizer = try Tokenizer(folder: TestData.path("all-MiniLM-L6-v2"))
        try check(tokenizer, "all-MiniLM-L6-v2")
        #expect(tokenizer.maximumLength == 512 && tokenizer.addedCount == 2)
        let (tokens, isWhole) = tokenizer.encode("one two three", upTo: 4)
        #expect(tokens == [101, 2028, 2048, 102] && !isWhole)
        #expect(tokenizer.encode("one two", upTo: 4).isWhole)
    }

    @Test(arguments: tiny) func streamsWhatItDecodes(_ name: String) throws {
        let tokenizer = try Self.tinyTokenizer(name)
        for expectation in try Expectation.all(name) where expectation.text != nil {
            var stream = StreamingDecoder(tokenizer, skippingSpecialTokens: true)
            var text = ""
            for token in expectation.special {
                let part = stream.push(token)
                // A part of a character would come out as a mark.
                #expect(!part.contains("\u{FFFD}") || expectation.skipped.contains("\u{FFFD}"))
                text += part
            }
            text += stream.finish()
            #expect(sameBytes(text, expectation.skipped), "\(name): \(expectation.skipped)")
        }
    }

    @Test func streamHoldsBackHalfACharacter() throws {
        let tokenizer = try Self.tinyTokenizer("tiny-gpt2")
        let bytes = try Array("é".utf8).map { byte in
            try #require(tokenizer.identifier(of: ByteAlphabet.text(of: [byte])))
        }
        var stream = StreamingDecoder(tokenizer)
        #expect(stream.push(bytes[0]) == "")
        #expect(stream.push(bytes[1]) == "é")
        #expect(stream.push(bytes[0]) == "")
        #expect(stream.finish() == "\u{FFFD}")
    }

    @Test func findsTokensByTextAndNumber() throws {
        let tokenizer = try Self.tinyTokenizer("tiny-gpt2")
        #expect(tokenizer.token(0) == "<|endoftext|>")
        #expect(tokenizer.identifier(of: "<|endoftext|>") == 0)
        #expect(tokenizer.isSpecial(0))
        #expect(!tokenizer.isSpecial(1))
        #expect(tokenizer.token(-1) == nil)
        #expect(tokenizer.token(tokenizer.vocabularySize) == nil)
        #expect(tokenizer.token(tokenizer.vocabularySize - 1) != nil)
        #expect(tokenizer.decode([-1, 1 << 40]) == "")
    }

    /// Long words take another way through the merges than short ones.
    @Test func longWordsMergeAsShortOnes() throws {
        let json: JSONValue = [
            "model": [
                "type": "BPE", "vocab": ["a": 0, "b": 1, "aa": 2, "ab": 3, "aaaa": 4, "aab": 5],
                "merges": ["a a", "a b", ["aa", "aa"], ["aa", "b"]],
            ]
        ]
        let tokenizer = try Tokenizer(json: json)
        for count in [1, 2, 3, 7, 23, 24, 25, 26, 99, 1000] {
            let tokens = tokenizer.encode(String(repeating: "a", count: count), .full)
            #expect(tokens == [Int](repeating: 4, count: count / 4) + [[], [0], [2], [2, 0]][count % 4])
        }
        #expect(tokenizer.encode(String(repeating: "aab", count: 30), .full) == [Int](repeating: 5, count: 30))
    }

    static func model(_ changes: [String: JSONValue]) -> JSONValue {
        var model = JSONObject()
        let base: [(String, JSONValue)] = [
            ("type", "BPE"), ("vocab", ["a": 0, "b": 1, "ab": 2]), ("merges", ["a b"]),
        ]
        for (key, value) in base { model[key] = changes[key] ?? value }
        for (key, value) in changes where model[key] == nil { model[key] = value }
        return ["model": .object(model)]
    }

    static func with(_ key: String, _ value: JSONValue) -> JSONValue {
        guard case .object(var object) = model([:]) else { return .null }
        object[key] = value
        return .object(object)
    }

    /// Steps each of which doubles the length of a text.
    static func doubling(_ key: String) -> JSONValue {
        let double: JSONValue = ["type": "Replace", "pattern": ["String": "a"], "content": "aa"]
        return JSONValue(dictionaryLiteral: ("type", "Sequence"), (key, .array(Array(repeating: double, count: 60))))
    }

    static let broken: [(String, JSONValue)] = [
        ("vocab", model(["type": "Unigram"])), ("Strange", model(["type": "Strange"])),
        ("both have", model(["vocab": ["a": 0, "b": 0, "ab": 1]])),
        ("vocab", model(["vocab": ["a": -1, "b": 0, "ab": 1]])),
        ("vocab", model(["vocab": ["a": 16_777_217, "b": 0, "ab": 1]])),
        ("vocab", model(["vocab": ["a": 100_000, "b": 0, "ab": 1]])),
        ("vocab", model(["vocab": ["a": "0"]])), ("vocab", model(["vocab": []])),
        ("merges", model(["merges": ["a c"]])), ("merges", model(["merges": ["b a"]])),
        ("merges", model(["merges": ["ab"]])), ("merges", model(["merges": ["a b c"]])),
        ("merges", model(["merges": [["a"]]])), ("merges", model(["merges": [1]])),
        ("unk_token", model(["unk_token": "<unk>"])), ("dropout", model(["dropout": 0.1])),
        ("normalizer", with("normalizer", ["type": "Precompiled"])),
        ("pre_tokenizer", with("pre_tokenizer", ["type": "UnicodeWords"])),
        ("normalizers[12]", with("normalizer", doubling("normalizers"))),
        ("decoders[12]", with("decoder", doubling("decoders"))),
        (
            "loop in a loop",
            with(
                "pre_tokenizer",
                ["type": "Split", "pattern": ["Regex": "(?:a+)+"], "behavior": "Isolated", "invert": false])
        ),
        ("decoder", with("decoder", ["type": "Strange"])),
        (
            "post_processor",
            with(
                "post_processor",
                [
                    "type": "TemplateProcessing",
                    "single": [["SpecialToken": ["id": "x", "type_id": 0]], ["Sequence": ["id": "A", "type_id": 0]]],
                    "special_tokens": ["x": ["id": "x", "ids": [77], "tokens": ["x"]]],
                ])
        ), ("number", with("added_tokens", [["id": 0, "content": "x"]])),
        ("numbers", with("added_tokens", [["id": 9, "content": "a"]])), ("model", ["version": "1.0"]),
    ]

    @Test(arguments: broken)
    func refuses(_ named: String, _ json: JSONValue) {
        let error = #expect(throws: PithError.self) { try Tokenizer(json: json) }
        #expect("\(error.map { "\($0)" } ?? "")".contains(named))
    }
}
