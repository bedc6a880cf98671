import PithCore
import PithFormats
import Testing

@Suite("WordPiece") struct WordPieceTests {
    private static func tokenizer(
        vocabulary: JSONValue, normalizer: JSONValue = nil, model changes: [String: JSONValue] = [:],
        preTokenizer: JSONValue = ["type": "BertPreTokenizer"], post: JSONValue = nil
    ) throws -> Tokenizer {
        var model = JSONObject()
        model["type"] = "WordPiece"
        model["vocab"] = vocabulary
        for (key, value) in changes { model[key] = value }
        return try Tokenizer(json: [
            "normalizer": normalizer, "pre_tokenizer": preTokenizer, "post_processor": post,
            "decoder": ["type": "WordPiece"], "model": .object(model),
        ])
    }

    @Test func takesTheLongestPieces() throws {
        let tokenizer = try Self.tokenizer(
            vocabulary: ["[UNK]": 0, "un": 1, "u": 2, "##aff": 3, "##able": 4, "##a": 5, "##f": 6, "aff": 7, "##": 8])
        #expect(tokenizer.encode("unaffable", .full) == [1, 3, 4])
        // A word of which some part is no piece is unknown as a whole, and the one behind it is not.
        #expect(tokenizer.encode("unaffably aff", .full) == [0, 7])
        #expect(tokenizer.encode("uaffa", .full) == [2, 3, 5])
        #expect(tokenizer.encode("n", .full) == [0])
        // The prefix alone goes on with nothing.
        #expect(tokenizer.encode("##", .full) == [0, 0])
        #expect(tokenizer.decode([1, 3, 4, 7]) == "unaffable aff")
    }

    @Test func longWordsAreUnknown() throws {
        let vocabulary: JSONValue = ["[UNK]": 0, "é": 1, "##é": 2]
        let tokenizer = try Self.tokenizer(vocabulary: vocabulary)
        #expect(tokenizer.encode(String(repeating: "é", count: 100), .full).count == 100)
        #expect(tokenizer.encode(String(repeating: "é", count: 101), .full) == [0])
        let short = try Self.tokenizer(vocabulary: vocabulary, model: ["max_input_chars_per_word": 2])
        #expect(short.encode("éé ééé", .full) == [1, 2, 0])
    }

    /// Tokens and the bytes that they stand for: what the normaliser drops counts as well.
    @Test func countsBytes() throws {
        let tokenizer = try Self.tokenizer(
            vocabulary: ["[UNK]": 0, "cafe": 1, "##s": 2, "!": 3], normalizer: ["type": "BertNormalizer"])
        let (tokens, counts) = tokenizer.encodeCountingBytes("  Cafés! xyz ")
        #expect(tokens == [1, 2, 3, 0])
        #expect(counts == [7, 1, 1, 5])
    }

    @Test func decodingCleansUp() throws {
        let tokenizer = try Self.tokenizer(
            vocabulary: ["[UNK]": 0, "do": 1, "not": 2, "'": 3, "s": 4, ".": 5, "it": 6, "##n": 7])
        // Each piece by itself: what spans two is left.
        #expect(tokenizer.decode([1, 2, 6, 3, 4, 5]) == "do not it ' s.")
        #expect(tokenizer.decode([7, 7]) == "##nn")
    }

    @Test(
        arguments: [
            ("'[UNK]' is not in the vocabulary", ["a": 0], [:], ["type": "BertPreTokenizer"], nil),
            ("model.unk_token", ["[UNK]": 0], ["unk_token": "<unk>"], ["type": "BertPreTokenizer"], nil),
            ("max_input_chars", ["[UNK]": 0], ["max_input_chars_per_word": -1], ["type": "BertPreTokenizer"], nil),
            ("subword_prefix", ["[UNK]": 0], ["continuing_subword_prefix": 3], ["type": "BertPreTokenizer"], nil),
            ("post_processor", ["[UNK]": 0], [:], nil, ["type": "BertProcessing", "sep": ["[SEP]", 1]]),
            (
                "post_processor.cls", ["[UNK]": 0], [:], nil,
                ["type": "BertProcessing", "sep": ["[UNK]", 0], "cls": ["[UNK]"]]
            ),
            (
                "adds the token 7", ["[UNK]": 0], [:], nil,
                ["type": "BertProcessing", "sep": ["[UNK]", 0], "cls": ["[CLS]", 7]]
            ),
        ] as [(String, JSONValue, [String: JSONValue], JSONValue, JSONValue)])
    func refuses(
        _ named: String, vocabulary: JSONValue, model: [String: JSONValue], preTokenizer: JSONValue, post: JSONValue
    ) {
        let error = #expect(throws: PithError.self) {
            try Self.tokenizer(vocabulary: vocabulary, model: model, preTokenizer: preTokenizer, post: post)
        }
        #expect("\(error.map { "\($0)" } ?? "")".contains(named))
    }
}

/// What the `tokenizers` package takes each character for; made by `Tests/Golden/make_tokenizer_golden.py`.
@Suite("Characters as BERT takes them") struct BertCharacterTests {
    private static func expected(_ key: String) throws -> Set<UInt32> {
        let json = JSONReader(try JSONValue(contentsOf: TestData.golden("bert-characters.expected.json")))
        var found = Set<UInt32>()
        for range in try json.member(key).array() {
            let ends = try range.array().map { UInt32(try $0.integer()) }
            for part in planes { found.formUnion(part.clamped(to: ends[0]..<ends[1] + 1)) }
        }
        return found
    }

    /// All planes with characters, and the beginning of one for private use.
    private static let planes: [Range<UInt32>] = [
        0..<0xD800, 0xE000..<0x20400, 0x2A600..<0x2A800, 0x2B700..<0x2B940, 0x2CE00..<0x2D000, 0x2F700..<0x2FB00,
        0xE0000..<0xE0400, 0xF0000..<0xF0010,
    ]
    private static let scalars = planes.joined().compactMap(Unicode.Scalar.init)

    private static func compare(_ found: Set<UInt32>, _ key: String) throws {
        let expected = try expected(key)
        #expect(expected.count > 5)
        let others = found.symmetricDifference(expected).sorted().map { String($0, radix: 16) }
        #expect(others == [], "\(key)")
    }

    /// What one step of the normaliser makes of each character, between lines.
    private func normalized(_ step: String) throws -> [[Unicode.Scalar]] {
        var flags = JSONObject()
        flags["type"] = "BertNormalizer"
        for key in ["clean_text", "handle_chinese_chars", "strip_accents", "lowercase"] {
            flags[key] = .bool(key == step)
        }
        let tokenizer = try byteTokenizer(normalizer: .object(flags))
        var text = String.UnicodeScalarView()
        for scalar in Self.scalars { text.append(contentsOf: [scalar == "|" ? "-" : scalar, "|"]) }
        let result = tokenizer.decode(tokenizer.encode(String(text), .written))
        let parts = result.unicodeScalars.split(separator: "|", omittingEmptySubsequences: false).dropLast()
        try #require(parts.count == Self.scalars.count)
        return parts.map(Array.init)
    }

    private func those(_ parts: [[Unicode.Scalar]], where isMatch: (Unicode.Scalar, [Unicode.Scalar]) -> Bool) -> Set<
        UInt32
    > {
        Set(zip(Self.scalars, parts).filter { isMatch($0, $1) }.map(\.0.value))
    }

    @Test func cleaning() throws {
        let parts = try normalized("clean_text")
        try Self.compare(those(parts) { _, part in part.isEmpty }, "dropped")
        try Self.compare(those(parts) { scalar, part in scalar != " " && part == [" "] }, "spaces")
    }

    @Test func ideographs() throws {
        let parts = try normalized("handle_chinese_chars")
        try Self.compare(those(parts) { scalar, part in part == [" ", scalar, " "] }, "ideographs")
    }

    @Test func marks() throws {
        let parts = try normalized("strip_accents")
        try Self.compare(those(parts) { _, part in part.isEmpty }, "marks")
    }

    /// Words are unknown, and therefore a token each.
    @Test func punctuation() throws {
        let tokenizer = try Tokenizer(json: [
            "pre_tokenizer": ["type": "BertPreTokenizer"], "model": ["type": "WordPiece", "vocab": ["[UNK]": 0]],
        ])
        let counts = Self.scalars.map { tokenizer.encode("a\($0)a", .full).count }
        func those(_ count: Int) -> Set<UInt32> { Set(zip(Self.scalars, counts).filter { $1 == count }.map(\.0.value)) }
        try Self.compare(those(3), "punctuation")
        try Self.compare(those(2), "separators")
    }
}
