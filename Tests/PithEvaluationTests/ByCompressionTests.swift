import Foundation
import Pith
import PithTestSupport
import Testing

@Suite("Evaluation by compression")
struct ByCompressionTests {
    @Test(
        arguments: [
            ("2023-05-news.txt", "2023-05"), ("a_2021.txt", "2021"), ("news-2020-12-31.txt", "2020-12-31"),
            ("x2019_07.md", "2019-07"), ("2022-13.txt", "2022"),
        ])
    func namesCarryDates(name: String, date: String) { #expect(DatedText.date(in: name) == date) }

    @Test func whatIsNoDateIsRefused() throws {
        for name in ["essay.txt", "120234.txt", "1850-01.txt"] { #expect(DatedText.date(in: name) == nil) }
        #expect(throws: PithError.self) { try DatedEvaluation(cutoff: "soon") }
        #expect(throws: PithError.self) { try DatedEvaluation(windows: [1]) }
        #expect(try DatedText(date: "2023-05", text: "").isAfter("2023-05"))
        #expect(try !DatedText(date: "2023-04-30", text: "").isAfter("2023-05"))
        #expect(throws: PithError.self) { try DatedText(date: "2023", text: "").isAfter("2023-05") }
    }

    @Test func filesAndLinesAreRead() throws {
        try TestData.withTemporaryFolder { folder in
            try AtomicFile.write("later", to: joinPath(folder, "2023-05.txt"))
            try AtomicFile.write(
                "{\"date\": \"2021-01-02\", \"text\": \"sooner\"}\n", to: joinPath(folder, "more.jsonl"))
            #expect(
                try DatedText.load([folder]) == [
                    DatedText(date: "2021-01-02", text: "sooner"), DatedText(date: "2023-05", text: "later"),
                ])
            try AtomicFile.write("{\"date\": \"may\", \"text\": \"x\"}\n", to: joinPath(folder, "wrong.jsonl"))
            #expect(throws: PithError.self) { try DatedText.load([folder]) }
        }
    }

    /// The rates are those of the evaluator, and the sides of a cutoff are made of all their texts.
    @Test func ratesAreThoseOfTheRuler() throws {
        let (folder, model) = try openGolden("grouped-untied")
        let texts = (0..<4).map {
            DatedText(date: "202\($0)-01", text: GoldenModels.text(letters: 150, seed: UInt64($0 + 1)))
        }
        let evaluation = try DatedEvaluation(windows: [20, 50], period: .year, cutoff: "2022-01")
        var other = model
        other.scaleFinalNorm(by: 0.5)
        let report = try evaluation.run(
            EvaluatedModel(model, tokenizer: folder.tokenizer),
            reference: EvaluatedModel(other, tokenizer: folder.tokenizer), on: texts)
        #expect(report.periods.map(\.name) == ["2020", "2021", "2022", "2023"])
        func evaluator(_ texts: [DatedText], _ window: Int) throws -> Estimate {
            let text = try EvaluationText(
                documents: texts.map(\.text), name: "", tokenizer: folder.tokenizer,
                configuration: folder.configuration, windowLength: window)
            return try Evaluator().measure(model, against: [], on: text)[0].bitsPerByte
        }
        for (side, range) in zip(report.sides, [0..<2, 2..<4]) {
            for (index, window) in [20, 50].enumerated() {
                let expected = try evaluator(Array(texts[range]), window)
                #expect(abs(side.bitsPerByte[index].value - expected.value) < 1e-9)
                #expect(abs(side.bitsPerByte[index].standardError - expected.standardError) < 1e-9)
            }
        }
        #expect(
            abs(report.gap[0].value - (report.sides[1].bitsPerByte[0].value - report.sides[0].bitsPerByte[0].value))
                < 1e-12)
        let divergence = try #require(report.periods[0].divergence)
        #expect(divergence.value > 0 && divergence.value < 1)
        #expect(throws: PithError.self) {
            try DatedEvaluation(windows: [1 << 20]).run(
                EvaluatedModel(model, tokenizer: folder.tokenizer), on: texts)
        }
    }

    @Test func divergencesFollowTheirDefinition() {
        #expect(JensenShannon.divergence([1, 2, 3], [1, 2, 3]) == 0)
        #expect(abs(JensenShannon.divergence([0, -1000], [-1000, 0]) - 1) < 1e-12)
        // p = (1/2, 1/2), q = (1, 0): ½ (½ log2(⅔) + ½ log2 2) + ½ log2(4/3)
        let expected = 0.5 * (0.5 * log2(2.0 / 3) + 0.5) + 0.5 * log2(4.0 / 3)
        #expect(abs(JensenShannon.divergence([0, 0], [0, -1000]) - expected) < 1e-12)
    }
}
