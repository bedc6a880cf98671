import PithCore
import PithFormats
import Testing

/// A byte-level tokenizer with a token for each byte and a normaliser before it.
func byteTokenizer(
    normalizer: JSONValue = nil, pretokenizers: [JSONValue] = [], post: JSONValue = nil, added: [String] = []
) throws -> Tokenizer {
    var vocabulary = JSONObject()
    for (number, scalar) in ByteAlphabet.scalars.enumerated() { vocabulary[String(scalar)] = .integer(number) }
    let byteLevel: JSONValue = ["type": "ByteLevel", "add_prefix_space": false, "use_regex": false]
    return try Tokenizer(json: [
        "added_tokens": .array(
            added.enumerated().map { ["id": .integer(256 + $0), "content": .string($1), "special": true] }),
        "normalizer": normalizer, "post_processor": post,
        "pre_tokenizer": ["type": "Sequence", "pretokenizers": .array(pretokenizers + [byteLevel])],
        "decoder": byteLevel, "model": ["type": "BPE", "vocab": .object(vocabulary), "merges": []],
    ])
}

@Suite("Unicode's normalisation forms") struct NormalizationTests {
    private func normalized(_ text: String, _ form: String) throws -> [Unicode.Scalar] {
        let tokenizer = try byteTokenizer(normalizer: ["type": .string(form)])
        return Array(tokenizer.decode(tokenizer.encode(text, .written)).unicodeScalars)
    }

    @Test(
        arguments: [
            // Half-width kana and compatibility jamo are composed with what follows them.
            ("NFKC", "\u{FF76}\u{FF9E}", "\u{30AC}"), ("NFKC", "\u{314E}\u{314F}\u{3134}", "\u{D558}\u{1102}"),
            ("NFKC", "\u{32D6}\u{FF9E}", "\u{30AE}"), ("NFKC", "\u{FF21}\u{301}", "\u{C1}"),
            ("NFKC", "\u{FB01}", "fi"), ("NFKC", "\u{FEFB}", "\u{644}\u{627}"), ("NFKC", "\u{2460}", "1"),
            ("NFKD", "\u{FF76}\u{FF9E}", "\u{30AB}\u{3099}"),
            // Marks in the order of their classes, those of one class as they came.
            ("NFD", "\u{F73}\u{F73}", "\u{F71}\u{F71}\u{F72}\u{F72}"),
            ("NFC", "\u{F73}\u{F73}", "\u{F71}\u{F71}\u{F72}\u{F72}"),
            ("NFC", "a\u{323}\u{307}", "\u{1EA1}\u{307}"), ("NFC", "a\u{307}\u{323}", "\u{1EA1}\u{307}"),
            ("NFD", "\u{1E69}", "s\u{323}\u{307}"), ("NFC", "s\u{307}\u{323}", "\u{1E69}"),
            // Blocked by a mark of the same class, and not by one of another.
            ("NFC", "a\u{300}\u{301}", "\u{E0}\u{301}"), ("NFC", "a\u{5AE}\u{300}", "\u{E0}\u{5AE}"),
            // What must not be composed again.
            ("NFC", "\u{958}", "\u{915}\u{93C}"), ("NFC", "\u{212B}", "\u{C5}"), ("NFC", "\u{344}", "\u{308}\u{301}"),
            // Hangul by arithmetic, and letters after a syllable that is complete.
            ("NFD", "\u{D55C}", "\u{1112}\u{1161}\u{11AB}"), ("NFC", "\u{1112}\u{1161}\u{11AB}", "\u{D55C}"),
            ("NFC", "\u{D55C}\u{11AB}", "\u{D55C}\u{11AB}"), ("NFC", "\u{D558}\u{11AB}", "\u{D55C}"),
            // Two that begin a character each, and are one together.
            ("NFC", "\u{9C7}\u{9BE}", "\u{9CB}"), ("NFC", "\u{11131}\u{11127}", "\u{1112E}"),
            ("NFC", "e\u{301}e\u{301} e", "\u{E9}\u{E9} e"), ("NFC", "\u{301}", "\u{301}"), ("NFC", "", ""),
        ] as [(String, String, String)])
    func followsTheStandard(form: String, text: String, expected: String) throws {
        #expect(try normalized(text, form) == Array(expected.unicodeScalars), "\(form)")
    }

    /// Each form is its own, whatever was before, for every character with a decomposition.
    @Test func formsAreStable() throws {
        let scalars = (UInt32(0xA0)..<0x3400).compactMap(Unicode.Scalar.init)
        let text = String(String.UnicodeScalarView(scalars))
        for form in ["NFC", "NFD", "NFKC", "NFKD"] {
            let once = try normalized(text, form)
            #expect(try normalized(String(String.UnicodeScalarView(once)), form) == once, "\(form)")
        }
        let composed = try normalized(text, "NFC")
        #expect(try normalized(String(String.UnicodeScalarView(try normalized(text, "NFD"))), "NFC") == composed)
    }
}

@Suite("Bytes of tokens") struct ByteCountTests {
    private static let texts = [
        "", "plain", "na\u{EF}ve e\u{301}", "\u{FB01}ne \u{FF76}\u{FF9E} \u{1F600}", "  spaces  ", "A\u{130}B",
        "a,b,,c",
        "<end>x<end>", ",", " ", "\u{301}",
    ]

    @Test(
        arguments: [
            nil, ["type": "NFKC"], ["type": "NFD"], ["type": "Lowercase"], ["type": "Prepend", "prepend": "__"],
            ["type": "Replace", "pattern": ["String": "a"], "content": ""],
            ["type": "Strip", "strip_left": true, "strip_right": true],
            [
                "type": "Sequence",
                "normalizers": [
                    ["type": "Replace", "pattern": ["String": " "], "content": "\u{2581}"], ["type": "NFKC"],
                ],
            ],
        ] as [JSONValue])
    func areThoseOfTheText(normalizer: JSONValue) throws {
        let comma: JSONValue = [
            "type": "Split", "pattern": ["String": ","], "behavior": "Removed", "invert": false,
        ]
        for pretokenizers in [[], [comma]] {
            let tokenizer = try byteTokenizer(
                normalizer: normalizer, pretokenizers: pretokenizers, added: ["<end>"])
            for text in Self.texts {
                let (tokens, counts) = tokenizer.encodeCountingBytes(text, .written)
                #expect(tokens == tokenizer.encode(text, .written))
                #expect(counts.count == tokens.count && counts.allSatisfy { $0 >= 0 })
                #expect(tokens.isEmpty || counts.reduce(0, +) == text.utf8.count, "\(text)")
            }
        }
    }

    @Test(arguments: ["tiny-gpt2", "tiny-llama3", "tiny-qwen2", "tiny-llama2", "tiny-metaspace"])
    func areThoseOfTheTextInEveryKind(name: String) throws {
        let tokenizer = try TokenizerTests.tinyTokenizer(name)
        for text in Self.texts + ["\u{4E00}\u{4E8C} \u{4E09}", "<tool>a <wide> b"] {
            let (tokens, counts) = tokenizer.encodeCountingBytes(text, .written)
            #expect(tokens == tokenizer.encode(text, .written))
            #expect(tokens.isEmpty || counts.reduce(0, +) == text.utf8.count, "\(name): \(text)")
        }
    }

    /// Each unknown character is one token, or a run of them one, with all its bytes.
    @Test(arguments: [false, true]) func countWhatIsUnknown(isFused: Bool) throws {
        let tokenizer = try Tokenizer(json: [
            "model": [
                "type": "BPE", "vocab": ["?": 0, "a": 1, "b": 2, "ab": 3], "merges": ["a b"], "unk_token": "?",
                "fuse_unk": .bool(isFused),
            ]
        ])
        let (tokens, counts) = tokenizer.encodeCountingBytes("ab\u{E9}\u{4E00}a")
        #expect(tokens == (isFused ? [3, 0, 1] : [3, 0, 0, 1]))
        #expect(counts == (isFused ? [2, 5, 1] : [2, 2, 3, 1]))
    }

    /// What has no token at all is taken for the end, as the reference does, and counts for the last token.
    @Test func countWhatIsLeftOut() throws {
        let tokenizer = try Tokenizer(json: ["model": ["type": "BPE", "vocab": ["a": 0, "b": 1], "merges": []]])
        let (tokens, counts) = tokenizer.encodeCountingBytes("\u{E9}ab\u{4E00}")
        #expect(tokens == [0, 1] && counts == [2, 5])
    }
}
