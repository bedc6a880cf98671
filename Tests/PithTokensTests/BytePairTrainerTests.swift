import Foundation
import PithCore
import PithFormats
import PithTokens
import PithTraining
import Testing

@Suite struct BytePairTrainerTests {
    static let golden = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .appendingPathComponent("Golden/trained.json").path

    /// The same numbers and merges as the `tokenizers` package learns from the same sentences.
    @Test func learnsWhatOthersLearn() throws {
        let golden = JSONReader(try JSONValue(contentsOf: Self.golden))
        let texts = try golden.member("texts").array().map { try $0.text() }
        for result in try golden.member("results").array() {
            let json = try BytePairTrainer.train(
                on: texts, vocabularySize: try result.member("size").integer(),
                specialTokens: ["<|endoftext|>", "<|other|>"], minimumCount: try result.member("minimum").integer(),
                quiet: true)
            let model = try JSONReader(json).member("model")
            #expect(try model.member("merges").value == result.member("merges").value)
            #expect(try model.member("vocab").value == result.member("vocab").value)
        }
    }

    @Test func trainedTokenizerRoundTrips() throws {
        let texts = ["The cat sat on the mat. The cat sat.", "<|endoftext|>The mat, the cat: \u{1F600} é\n\n  end"]
        let json = try BytePairTrainer.train(on: texts, vocabularySize: 280, quiet: true)
        let tokenizer = try Tokenizer(json: try JSONValue(parsing: json.prettyText))
        #expect(tokenizer.identifier(of: "<|endoftext|>") == 0)
        #expect(tokenizer.isSpecial(0))
        for text in texts + ["", "never seen: \u{0} \u{10FFFF} 日本"] {
            let tokens = tokenizer.encode(text, .full)
            #expect(tokenizer.decode(tokens) == text)
            #expect(tokens.count <= text.utf8.count)
        }
        #expect(tokenizer.encode(texts[1], .full).first == 0)
        // No part of a special token was learned.
        #expect(tokenizer.identifier(of: "endo") == nil)
    }

    @Test func learnsNoMoreThanThereIs() throws {
        let json = try BytePairTrainer.train(on: ["abab"], vocabularySize: 1000, quiet: true)
        #expect(try Tokenizer(json: json).vocabularySize == 258)
        #expect(try Tokenizer(json: BytePairTrainer.train(on: [], vocabularySize: 257)).vocabularySize == 257)
    }

    @Test func refusesWhatCannotBe() {
        #expect(throws: PithError.self) { try BytePairTrainer.train(on: ["a"], vocabularySize: 256) }
        #expect(throws: PithError.self) { try BytePairTrainer.train(on: ["a"], vocabularySize: .max) }
        #expect(throws: PithError.self) {
            try BytePairTrainer.train(on: ["a"], vocabularySize: 300, specialTokens: ["<a>", "<a>"])
        }
    }
}
