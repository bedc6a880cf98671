import Foundation
import Pith
import PithTestSupport
import PithTokens
import Testing

@Suite struct TokensSpanTests {
    @Test(arguments: SpanTokenizer.Signal.allCases, SpanTokenizer.Constraint.allCases)
    func cutsAnyText(signal: SpanTokenizer.Signal, constraint: SpanTokenizer.Constraint) throws {
        var settings = SpanTokenizer.Settings()
        (settings.signal, settings.constraint, settings.isQuiet) = (signal, constraint, true)
        let json = try SpanTokenizer.train(on: [TokenSamples.prose], vocabularySize: 300, settings: settings)
        let tokenizer = try Tokenizer(json: try JSONValue(parsing: json.compactText))
        #expect(tokenizer.vocabularySize <= 300 && tokenizer.identifier(of: "<|endoftext|>") == 0)
        for text in [TokenSamples.prose, "", "é\u{1F600} <|endoftext|> unseen \u{0}"] {
            let tokens = tokenizer.encode(text, .full)
            #expect(tokenizer.decode(tokens) == text)
            #expect(tokens.count <= text.utf8.count)
        }
        #expect(3 * tokenizer.encode(TokenSamples.prose, .full).count < 2 * TokenSamples.prose.utf8.count)
    }

    /// Falling information and a threshold, each seen alone on figures that are given.
    @Test func spansFollowTheConstraint() {
        let text = Array(" abcdef".utf8)
        let information = [4, 3, 2, 1, 5, 1, 3].map { $0 * BitCost.bit }
        var settings = SpanTokenizer.Settings()
        settings.threshold = 2
        func spans(_ constraint: SpanTokenizer.Constraint) -> [Range<Int>] {
            settings.constraint = constraint
            return SpanCounts.spans(of: 0..<7, in: text, information, settings)
        }
        #expect(spans(.falling) == [0..<4, 4..<6, 6..<7])
        #expect(spans(.threshold) == [0..<2, 2..<4, 4..<6, 6..<7])
        #expect(spans(.either) == [0..<4, 4..<6, 6..<7])
    }

    @Test func mergesFillTheVocabulary() throws {
        var settings = SpanTokenizer.Settings()
        (settings.spanShare, settings.isQuiet) = (0.3, true)
        let json = try SpanTokenizer.train(on: [TokenSamples.prose], vocabularySize: 320, settings: settings)
        #expect(try Tokenizer(json: json).vocabularySize == 320)
        settings.spanShare = 2
        #expect(throws: PithError.self) {
            try SpanTokenizer.train(on: ["a"], vocabularySize: 320, settings: settings)
        }
        #expect(throws: PithError.self) { try SpanTokenizer.train(on: ["a"], vocabularySize: 200) }
    }

    @Test func longestMatchIsChecked() throws {
        func tokenizer(_ extra: [String], bytes: ClosedRange<UInt8> = 0...255, level: Bool = true) throws -> Tokenizer {
            let tokens = bytes.map { [$0] } + extra.map { Array($0.utf8) }
            var json = LongestMatchVocabulary.document(tokens, specialTokens: [], cutsWords: false)
            if !level, case .object(var object) = json {
                object["pre_tokenizer"] = .null
                json = .object(object)
            }
            return try Tokenizer(json: json)
        }
        let abc = try tokenizer(["ab", "abcd", "bc"])
        #expect(abc.encode("abcab", .full).map { abc.token($0) } == ["ab", "c", "ab"])
        #expect(abc.encode("abcdbc", .full).map { abc.token($0) } == ["abcd", "bc"])
        #expect(throws: PithError.self) { try tokenizer([], bytes: 0...254) }
        #expect(throws: PithError.self) { try tokenizer([], level: false) }
        #expect(throws: PithError.self) { try tokenizer([String(repeating: "a", count: 5000)]) }
    }

    @Test func costsAreLogarithms() {
        for share: UInt32 in [1, 2, 3, 1000, 65535, 1 << 20, 12_345_678, 1 << 24] {
            let bits = Double(BitCost.of(share)) / Double(BitCost.bit)
            #expect(abs(bits - (24 - log2(Double(share)))) < 0.001)
        }
        #expect(abs(BitCost.entropy([UInt32](repeating: 1 << 16, count: 256)) - 8 * BitCost.bit) < 2)
    }

    /// Known figures: a tokenizer of bytes cuts everywhere, and uses evenly what occurs evenly.
    @Test func measuresKnownTokenizers() throws {
        let bytes = (UInt8.min...UInt8.max).map { [$0] }
        let tokenizer = try Tokenizer(
            json: LongestMatchVocabulary.document(bytes, specialTokens: [], cutsWords: false))
        let measures = try TokenizerMeasures(tokenizer, on: ["abcdabcdabcdabcd"])
        #expect(measures.bytesPerToken == 1)
        #expect(abs(measures.renyiEfficiency - 2.0 / 8) < 1e-12)
        #expect(measures.boundaryRecall == 1 && measures.boundaryPrecision < 0.5 && measures.wordCount >= 150)
        #expect(throws: PithError.self) { try TokenizerMeasures(tokenizer, on: []) }
        // One that has all parts of the listed words cuts nearly all of them right.
        let parts = Set(
            Morphemes.words.flatMap { $0.split(separator: "|").enumerated().map { ($0 == 0 ? " " : "") + $1 } })
        let morphemes = try Tokenizer(
            json: LongestMatchVocabulary.document(
                bytes + parts.sorted().map { Array($0.utf8) }.filter { $0.count > 1 }, specialTokens: [],
                cutsWords: true))
        #expect(try TokenizerMeasures(morphemes, on: ["a"]).boundaryF1 > 0.8)
    }

    @Test func listHasNoWordTwice() {
        let words = Morphemes.words.map { Morphemes.parse($0).bytes }
        #expect(Morphemes.words.allSatisfy { !Morphemes.parse($0).boundaries.isEmpty })
        #expect(Set(words).count == words.count)
    }
}
