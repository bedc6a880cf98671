import Foundation
import Pith
import PithTestSupport
import Testing

@Suite("Distances by code lengths")
struct DistanceTests {
    /// The number of different words: a compressor whose sizes are easily said.
    private struct WordCount: Compressor {
        let name = "words"
        func compressedSize(_ input: [UInt8]) -> ByteCount {
            ByteCount(Set(String(decoding: input, as: UTF8.self).split { $0 == " " || $0 == "\n" }).count)
        }
    }

    private func golden() throws -> (ModelSource, LanguageModel, ModelCodeLength) {
        let (folder, model) = try openGolden("grouped-untied")
        return (folder, model, ModelCodeLength(model, tokenizer: folder.tokenizer, name: "golden"))
    }

    @Test func distancesOfCompressorsFollowTheirFormula() throws {
        let distance = InformationDistance(CompressorCodeLength(WordCount()))
        let pair = try distance.pair("a b c d", "c d e f g")
        #expect(pair == InformationPair(x: 32, y: 40, xGivenY: 16, yGivenX: 24))
        #expect(pair.distance() == 24.0 / 40 && pair.distance(.sum) == 40.0 / 72)
        #expect(try distance.pair("a b", "a b").distance() == 0)
        #expect(try distance.pair("a b", "c d").distance() == 1)
    }

    /// K(y) + K(x | y) is what y, a line break and x take together, less the line break.
    @Test func codeLengthsObeyTheChainRule() throws {
        let (folder, model, code) = try golden()
        let (x, y) = (GoldenModels.text(letters: 15), GoldenModels.text(letters: 12, seed: 3))
        let tokens = { folder.tokenizer.encode($0, .written) }
        let bits = TokenBits(model, beginning: folder.tokenizer.beginning)
        let both = try bits.bits(of: [tokens(y + "\n") + tokens(x)], after: bits.beginning)[0]
        let given = try code.lengths(of: [x], given: y)[0]
        #expect(abs(both.suffix(tokens(x).count).reduce(0, +) - given) < 1e-9)
        #expect(abs(both.prefix(tokens(y).count).reduce(0, +) - (try code.lengths(of: [y])[0])) < 1e-4)
    }

    @Test func lengthsDoNotDependOnCompany() throws {
        let (_, _, code) = try golden()
        let texts = (1...5).map { GoldenModels.text(letters: 4 * $0, seed: UInt64($0)) }
        let alone = try texts.map { try code.lengths(of: [$0], given: "abc")[0] }
        #expect(try code.lengths(of: texts, given: "abc") == alone)
    }

    /// Longer than the context: pieces are read, every token has its bits.
    @Test func longTextsAreReadInPieces() throws {
        let (folder, model, code) = try golden()
        let text = GoldenModels.text(letters: 3 * model.configuration.contextLength)
        let tokens = folder.tokenizer.encode(text, .written)
        let bits = try TokenBits(model, beginning: folder.tokenizer.beginning).bits(of: [tokens], after: [])[0]
        #expect(bits.count == tokens.count && bits.allSatisfy { $0 > 0 && $0.isFinite })
        #expect(try code.lengths(of: [text], given: text)[0] > 0)
    }

    @Test func cachesServeTheirOwnCodeOnly() throws {
        try TestData.withTemporaryFolder { folder in
            let path = joinPath(folder, "cache")
            let (queries, references) = (["a b", "c"], ["a c", "d e f"])
            let cached = InformationDistance(CompressorCodeLength(WordCount()), cachePath: path)
            let first = try cached.distances(of: queries, from: references)
            let written = try Files.text(path)
            #expect(try cached.distances(of: queries, from: references) == first)
            // A length that the cache says is believed.
            let lines = written.split(separator: "\n").map { $0.hasSuffix(" 8.0") ? $0.dropLast(3) + "80.0" : $0 }
            try AtomicFile.write(lines.joined(separator: "\n"), to: path)
            #expect(try cached.distances(of: queries, from: references) != first)
            let (_, _, other) = try golden()
            #expect(throws: PithError.self) {
                try InformationDistance(other, cachePath: path).distances(of: ["a"], from: ["b"])
            }
            try AtomicFile.write("code lengths, compressor words\nx y z\n", to: path)
            #expect(throws: PithError.self) { try cached.distances(of: queries, from: references) }
        }
    }

    @Test func neighboursVote() {
        let labels = ["a", "b", "b", "c"]
        #expect(NeighbourClassifier(neighbours: 1).label([0.1, 0.2, 0.3, 0.4], labels) == "a")
        #expect(NeighbourClassifier(neighbours: 3).label([0.1, 0.2, 0.3, 0.4], labels) == "b")
        #expect(NeighbourClassifier(neighbours: 2).label([0.3, 0.2, 0.9, 0.8], labels) == "b")
        #expect(NeighbourClassifier(neighbours: 9).label([], []) == nil)
    }

    @Test func embeddingsOfTheSameTextAgree() throws {
        let (folder, model, _) = try golden()
        let distance = EmbeddingDistance(model, tokenizer: folder.tokenizer)
        let found = try distance.distances(of: ["abcdefg"], from: ["abcdefg", "zyxwv"])[0]
        #expect(abs(found[0]) < 1e-9 && found[1] > 1e-3 && found[1] <= 2)
        #expect(throws: PithError.self) { try distance.distances(of: [""], from: ["a"]) }
    }

    @Test func commandsAreMeasuredByWhatTheyWrite() throws {
        #expect(try CommandCompressor("cat").compressedSize([1, 2, 3]) == ByteCount(3))
        #expect(throws: PithError.self) { try CommandCompressor("false").compressedSize([1]) }
        #expect(throws: PithError.self) { try CommandCompressor(" ") }
    }

    @Test func labelledTextsAreChecked() throws {
        try TestData.withTemporaryFolder { folder in
            let path = joinPath(folder, "texts.tsv")
            try AtomicFile.write("a\tone\nb\ttwo\tthree\n", to: path)
            #expect(
                try LabelledText.load(path) == [.init(label: "a", text: "one"), .init(label: "b", text: "two\tthree")])
            for wrong in ["", "a one\n", "a\t\n"] {
                try AtomicFile.write(wrong, to: path)
                #expect(throws: PithError.self) { try LabelledText.load(path) }
            }
        }
    }
}
