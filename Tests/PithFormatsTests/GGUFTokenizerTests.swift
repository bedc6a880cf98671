import Foundation
import PithCore
import PithFormats
import PithReaders
import Testing

/// Tokenizers that GGUF files hold.
@Suite struct GGUFTokenizerTests {
    let folder: TemporaryFolder
    init() throws { folder = try TemporaryFolder() }

    /// A metadata of a file that was written and read again.
    func metadata(_ pairs: [(String, GGUFHeadWriter.Value)]) throws -> [String: GGUFValue] {
        try folder.write(GGUFHeadWriter(pairs.map { ("tokenizer." + $0, $1) }).bytes, to: "a.gguf")
        return try GGUFFile(path: folder.file("a.gguf")).metadata
    }

    /// Byte pairs: bytes, two merges, a control token and one of a user.
    static func bytePairs(pre: String = "gpt-2") -> [(String, GGUFHeadWriter.Value)] {
        let printable = (33...126).map { String(Unicode.Scalar(UInt8($0))) }
        let tokens = printable + ["Ġ", "ab", "abc", "<|im_end|>", "  x"]
        let types = [Int32](repeating: 1, count: tokens.count - 2) + [3, 4]
        return [
            ("ggml.model", .text("gpt2")), ("ggml.pre", .text(pre)), ("ggml.tokens", .texts(tokens)),
            ("ggml.token_type", .integers(types)), ("ggml.merges", .texts(["a b", "ab c"])),
            ("ggml.bos_token_id", .unsigned(0)), ("ggml.eos_token_id", .unsigned(97)),
            ("ggml.add_bos_token", .flag(true)), ("chat_template", .text("{{ x }}")),
        ]
    }

    @Test func bytePairs() throws {
        let metadata = try metadata(Self.bytePairs())
        let tokenizer = try Tokenizer(gguf: metadata)
        #expect(tokenizer.encode("abc ab<|im_end|>  xc", .full) == [0, 96, 94, 95, 97, 98, 66])
        #expect(tokenizer.decode([96, 94, 95, 97, 98, 66], skippingSpecialTokens: true) == "abc ab  xc")
        let settings = try GGUFTokenizerSettings(metadata)
        #expect(settings.chatTemplate == "{{ x }}" && settings.beginningToken == 0 && settings.addsBeginning)
        #expect(settings.endTokens(tokenizer) == [97])
    }

    @Test func wordPiecesAreWrittenAndReadAgain() throws {
        let tokenizer = try TokenizerTests.tinyTokenizer("tiny-wordpiece")
        var roles = GGUFTokenizerRoles(vocabularySize: tokenizer.vocabularySize)
        roles.unknown = tokenizer.identifier(of: "[UNK]")
        // Without the document, which files have besides.
        let keys = try tokenizer.ggufKeys(roles).filter { $0.key != "tokenizer.huggingface.json" }
        let copy = try Tokenizer(gguf: Dictionary(uniqueKeysWithValues: keys.map { ($0.key, $0.value) }))
        for expectation in try Expectation.all("tiny-wordpiece") {
            // The keys have no word for tokens that must stand alone, nor for the longest word that is known.
            guard let text = expectation.text, !text.contains("<mask>"),
                text.split(separator: " ").allSatisfy({ $0.count <= 100 })
            else { continue }
            #expect(copy.encode(text, .full) == tokenizer.encode(text, .full), "\(text)")
        }
        #expect(throws: PithError.self) {
            try TokenizerTests.tinyTokenizer("tiny-wordpiece-cased").ggufKeys(GGUFTokenizerRoles(vocabularySize: 10))
        }
    }

    @Test func unknownKindsAreRefusedByName() throws {
        for (pairs, name) in [(Self.bytePairs(pre: "strange"), "strange"), ([("ggml.model", .text("t5"))], "t5")] {
            let metadata = try metadata(pairs + [("ggml.x", .flag(true))])
            do {
                _ = try Tokenizer(gguf: metadata)
                Issue.record("\(name) was taken")
            } catch { #expect(error.description.contains(name) || error.message.contains("array")) }
        }
    }

    /// Pieces with scores: bytes, characters, and joins of which the higher score comes first.
    static func scored(addsSpace: Bool) -> [(String, GGUFHeadWriter.Value)] {
        let bytes = (0..<256).map { byte in
            let digits = String(byte, radix: 16, uppercase: true)
            return "<0x" + (digits.count < 2 ? "0" : "") + digits + ">"
        }
        let pieces = ["\u{2581}", "a", "b", "c", "ab", "bc", "\u{2581}ab", "cc"]
        return [
            ("ggml.model", .text("llama")), ("ggml.tokens", .texts(["<unk>", "<s>", "</s>"] + bytes + pieces)),
            ("ggml.scores", .reals([Float](repeating: 0, count: 259) + [-9, -9, -9, -9, -2, -1, -3, -4])),
            (
                "ggml.token_type",
                .integers([2, 3, 3] + [Int32](repeating: 6, count: 256) + [Int32](repeating: 1, count: 8))
            ),
            ("ggml.add_space_prefix", .flag(addsSpace)),
        ]
    }

    @Test func scoredPieces() throws {
        let plain = try Tokenizer(gguf: try metadata(Self.scored(addsSpace: false)))
        // "bc" is joined before "ab"; "ccc" from the left; what is no piece becomes bytes.
        #expect(plain.encode("abc", .written) == [260, 264])
        #expect(plain.encode("ccc ab", .written) == [266, 262, 265])
        #expect(plain.encode("é</s>", .full) == [1, 3 + 0xC3, 3 + 0xA9, 2])
        #expect(plain.decode([260, 264, 265, 3 + 0xC3, 3 + 0xA9]) == "abc abé")
        #expect(plain.encodeCountingBytes("ab é").byteCounts == [2, 1, 2, 0])
        let spaced = try Tokenizer(gguf: try metadata(Self.scored(addsSpace: true)))
        #expect(spaced.encode("ab", .full) == [1, 265])
        #expect(spaced.decode([265, 260]) == "aba")
    }

    @Test func damaged() throws {
        for (seed, pairs) in [(UInt64(1), Self.bytePairs()), (2, Self.scored(addsSpace: true))] {
            let whole = GGUFHeadWriter(pairs.map { ("tokenizer." + $0, $1) }).bytes
            var (mutator, refused) = (Mutator(seed: seed), 0)
            for _ in 0..<400 {
                do {
                    try folder.write(mutator.damaged(whole), to: "b.gguf")
                    let tokenizer = try Tokenizer(gguf: GGUFFile(path: folder.file("b.gguf")))
                    let tokens = tokenizer.encode("abc  x é\u{2581} cc<s>" + String(repeating: "ab", count: 40), .full)
                    #expect(tokens.allSatisfy { (0..<tokenizer.vocabularySize).contains($0) })
                    _ = tokenizer.decode(tokens)
                } catch let error as PithError {
                    #expect(error.kind == .data)
                    refused += 1
                }
            }
            #expect(refused > 50)
        }
    }

    /// What llama.cpp makes of its own test texts.
    @Test(
        .enabled(if: TestData.has("llamacpp-vocab")),
        arguments: ["bert-bge", "deepseek-coder", "falcon", "gpt-2", "llama-spm", "phi-3"])
    func vectorsOfLlamaCpp(_ name: String) throws {
        let base = TestData.path("llamacpp-vocab") + "/ggml-vocab-\(name).gguf"
        let tokenizer = try Tokenizer(gguf: GGUFFile(path: base))
        let texts = try Files.text(base + ".inp").components(separatedBy: "\n__ggml_vocab_test__\n")
        let expected = try Files.text(base + ".out").components(separatedBy: "\n")
            .map { $0.split(separator: " ").compactMap { Int($0) } }
        #expect(texts.count > 40 && expected.count >= texts.count)
        for (text, tokens) in zip(texts, expected) {
            #expect(tokenizer.encode(text, .written) == tokens, "\(text.debugDescription)")
        }
    }
}
