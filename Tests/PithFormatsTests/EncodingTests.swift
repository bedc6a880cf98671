import Foundation
import PithCore
import PithFormats
import PithReaders
import Testing

/// What the `tokenizers` package makes of texts with tokenizers of random parts: `make_encoding_golden.py`.
@Suite struct EncodingTests {
    static let cases = try? JSONReader(JSONValue(contentsOf: TestData.golden("encodings.json"))).array()

    static func ranges(_ reader: JSONReader) throws -> [Range<Int>] {
        try reader.array().map { pair in
            let ends = try pair.array().map { try $0.integer() }
            return ends[0]..<ends[1]
        }
    }

    @Test func agreesWithTheReference() throws {
        let cases = try #require(Self.cases)
        #expect(cases.count > 10)
        for (number, item) in cases.enumerated() {
            let tokenizer = try Tokenizer(json: item.member("tokenizer").value)
            for expected in try item.member("encodings").array() {
                let texts = try expected.member("texts").array().map { try $0.text() }
                let encoding = tokenizer.encoding(texts[0], pair: texts.count > 1 ? texts[1] : nil, .full)
                let ids = try expected.member("ids").array().map { try $0.integer() }
                #expect(encoding.ids == ids, "\(number): \(texts)")
                #expect(try encoding.characterOffsets == Self.ranges(expected.member("offsets")), "\(number): \(texts)")
                #expect(
                    try encoding.types == expected.member("types").array().map { try $0.integer() },
                    "\(number): \(texts)")
                guard let decoded = try expected.optional("decoded")?.text() else { continue }
                #expect(tokenizer.decode(ids).utf8.elementsEqual(decoded.utf8))
            }
        }
    }

    /// Words are cut where the script changes: `make_script_golden.py`.
    @Test func scripts() throws {
        let tokenizer = try Tokenizer(json: [
            "model": ["type": "WordLevel", "vocab": ["[UNK]": 0], "unk_token": "[UNK]"],
            "pre_tokenizer": ["type": "UnicodeScripts"],
        ])
        let cases = try JSONReader(JSONValue(contentsOf: TestData.golden("scripts.json"))).array()
        #expect(cases.count > 100)
        for item in cases {
            let text = try item.member("text").text()
            #expect(
                try tokenizer.encoding(text, .plain).characterOffsets == Self.ranges(item.member("words")), "\(text)")
        }
    }

    /// A text without spaces to cut at is cut where nothing joins, and has the tokens that it has as one word.
    @Test func seamsChangeNothing() throws {
        var vocabulary: JSONObject = ["<unk>": 0]
        for text in ["a", "b", "c", "▁", "é", "ab", "bc", "▁a", "▁ab", "bb", "▁▁", "é▁"] {
            vocabulary[text] = .integer(vocabulary.count)
        }
        let merges: JSONValue = ["b b", "a b", "▁ ab", "b c", "▁ a", "▁ ▁", "é ▁"]
        func tokenizer(_ extra: JSONObject) throws -> Tokenizer {
            var model: JSONObject = [
                "type": "BPE", "unk_token": "<unk>", "fuse_unk": true, "vocab": .object(vocabulary), "merges": merges,
            ]
            for (key, value) in extra.members { model[key] = value }
            return try Tokenizer(json: ["model": .object(model)])
        }
        // Affixes of nothing that is there keep a word in one piece.
        let (cut, whole) = (try tokenizer([:]), try tokenizer(["end_of_word_suffix": "</w>"]))
        var state: UInt64 = 1
        for _ in 0..<300 {
            let text = String(
                (0..<30).map { _ -> Character in
                    state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
                    return Array("aabbc▁▁éx")[Int(state >> 33) % 9]
                })
            // The last character of a word has the suffix, and is unknown for it.
            let (left, right) = (cut.encoding(text + "x", .plain), whole.encoding(text + "x", .plain))
            #expect(left.ids == right.ids && left.offsets == right.offsets, "\(text)")
        }
    }

    /// Bytes and characters say the same, and a text without offsets has the same tokens.
    @Test func offsetsAreOfOneText() throws {
        for item in try #require(Self.cases) {
            let tokenizer = try Tokenizer(json: item.member("tokenizer").value)
            for text in ["Hello é world", "👍🏽 x ﬁ", String(repeating: "ab c ", count: 2000)] {
                let encoding = tokenizer.encoding(text, .written)
                #expect(tokenizer.encode(text, .written) == encoding.ids)
                let scalars = Array(text.unicodeScalars)
                for (bytes, characters) in zip(encoding.offsets, encoding.characterOffsets) where !bytes.isEmpty {
                    let part = String(String.UnicodeScalarView(scalars[characters]))
                    #expect(Array(text.utf8)[bytes].elementsEqual(part.utf8))
                }
                let (tokens, counts) = tokenizer.encodeCountingBytes(text, .written)
                #expect(tokens == encoding.ids)
                if !tokens.isEmpty { #expect(counts.reduce(0, +) == text.utf8.count) }
            }
        }
    }

    @Test func documentsGiveTheSameTokens() throws {
        for item in try #require(Self.cases) {
            let tokenizer = try Tokenizer(json: item.member("tokenizer").value)
            let copy = try Tokenizer(json: tokenizer.document)
            for text in ["Hello, <s> world 12", "naïve  速い\n\n"] {
                #expect(copy.encoding(text, .full) == tokenizer.encoding(text, .full))
            }
        }
    }

    @Test func specialTokensInTextAreTextUnlessAskedFor() throws {
        let tokenizer = try byteTokenizer(added: ["<end>"])
        #expect(tokenizer.encode("a<end>", .written) == [0x61, 256])
        #expect(tokenizer.encode("a<end>", .plain) == Array("a<end>".utf8).map { Int($0) })
    }
}

/// SentencePiece models, written by hand.
@Suite struct SentencePieceTests {
    let folder: TemporaryFolder
    init() throws { folder = try TemporaryFolder() }

    private static func field(_ number: Int, _ bytes: [UInt8]) -> [UInt8] {
        var length = bytes.count
        var result = [UInt8(number << 3 | 2)]
        while length >= 128 {
            result.append(UInt8(length & 127 | 128))
            length >>= 7
        }
        return result + [UInt8(length)] + bytes
    }

    private static func number(_ field: Int, _ value: UInt8) -> [UInt8] {
        let key = field << 3
        return (key < 128 ? [UInt8(key)] : [UInt8(key & 127 | 128), UInt8(key >> 7)]) + [value]
    }

    /// Some pieces with scores and kinds, and the method (1 unigram, 2 bpe).
    static func model(method: UInt8, _ pieces: [(String, Float, UInt8)]) -> [UInt8] {
        var bytes: [UInt8] = []
        for (text, score, kind) in pieces {
            let bits = withUnsafeBytes(of: score.bitPattern.littleEndian, Array.init)
            bytes += field(1, field(1, Array(text.utf8)) + [0x15] + bits + number(3, kind))
        }
        bytes += field(2, number(3, method))
        return bytes + field(3, number(3, 1) + number(4, 1))
    }

    static let pieces: [(String, Float, UInt8)] = [
        ("<unk>", 0, 2), ("<s>", 0, 3), ("</s>", 0, 3), ("\u{2581}", -3, 1), ("a", -4, 1), ("b", -5, 1), ("ab", -6, 1),
        ("\u{2581}a", -2, 1), ("\u{2581}ab", -9, 1), ("[X]", 0, 4),
    ]

    @Test(arguments: [UInt8(1), 2]) func cutsTexts(_ method: UInt8) throws {
        try folder.write(Self.model(method: method, Self.pieces), to: "tokenizer.model")
        let tokenizer = try Tokenizer(folder: folder.path)
        // Unigram: ▁ab costs 9, ▁a and b 7, ▁ and ab 9. Pairs: ▁a is joined first, and then with b.
        #expect(tokenizer.encode(" ab  b ", .plain) == (method == 1 ? [7, 5] : [8]) + [3, 5])
        #expect(tokenizer.encode("a[X]</s>ü", .written) == [7, 9, 2, 3, 0])
        #expect(tokenizer.encode("</s>", .plain).contains(2) == false)
        #expect(tokenizer.decode([7, 5, 3, 5]) == "ab b")
        let copy = try Tokenizer(json: tokenizer.document)
        #expect(copy.encode("ab ba[X] aab", .full) == tokenizer.encode("ab ba[X] aab", .full))
    }

    @Test func damagedModelsAreRefusedOrUsed() throws {
        let whole = Self.model(method: 1, Self.pieces)
        var (mutator, refused) = (Mutator(seed: 7), 0)
        for _ in 0..<300 {
            do {
                try folder.write(mutator.damaged(whole), to: "b.model")
                _ = try Tokenizer(sentencePiece: folder.file("b.model")).encode("ab <s> ü", .full)
            } catch let error as PithError {
                #expect(error.kind == .data)
                refused += 1
            }
        }
        #expect(refused > 30)
    }
}

/// Expressions beside the scanners that are written by hand, and what is refused.
@Suite struct ExpressionTests {
    private static func tokenizer(_ pattern: String, _ behavior: String = "Isolated") throws -> Tokenizer {
        try byteTokenizer(pretokenizers: [
            ["type": "Split", "pattern": ["Regex": .string(pattern)], "behavior": .string(behavior), "invert": false]
        ])
    }

    @Test(
        arguments: [
            "(a", "a)", "[a", "a{2", "*a", "(?P<x>a)", "(?:a*)*", "(?:a|b*)+", "a{5,2}", "a{9999}", "\\q",
            "\\p{Strange}",
            "[[:alpha:]]", "[a&&b]", "(?<=a*)b", "[z-a]", "a\\",
        ])
    func refused(_ pattern: String) {
        #expect(throws: PithError.self) { try Self.tokenizer(pattern) }
    }

    @Test func longRunsTakeLinearTime() throws {
        let pattern = #"[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+"#
        let tokenizer = try Self.tokenizer(pattern)
        for letter in ["a", " ", "\n", "!", "7", "😀"] {
            let text = String(repeating: letter, count: 200_000)
            #expect(tokenizer.encode(text, .plain).count == text.utf8.count)
        }
    }
}
