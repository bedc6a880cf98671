import Pith
import PithCore
import PithEvaluation
import PithModels
import PithTensor
import PithTestSupport
import Testing

@Suite("Rank correlation") struct RankCorrelationTests {
    /// What `scipy.stats` finds.
    @Test func knownValues() {
        let (a, b): ([Double], [Double]) = ([1, 2, 2, 3, 5, 5, 5, 0.5], [2, 1, 4, 4, 6, 3, 9, -1])
        #expect(RankCorrelation.ranks(of: a) == [2, 3.5, 3.5, 5, 7, 7, 7, 1])
        #expect(RankCorrelation.ranks(of: b) == [3, 2, 5.5, 5.5, 7, 4, 8, 1])
        #expect(abs(RankCorrelation.spearman(a, b) - 0.7841896995149691) < 1e-12)
        #expect(abs(RankCorrelation.spearman([1, 2, 3, 4, 5], [5, 6, 7, 8, 7]) - 0.8207826816681233) < 1e-12)
        #expect(abs(RankCorrelation.spearman([1, 2, 3], [9, 4, -1]) + 1) < 1e-12)
        #expect(RankCorrelation.spearman([1, 1, 1], [1, 2, 3]).isNaN)
    }

    /// Of pairs drawn from two normal variables with correlation r, ρ deviates by about (1 − r²) / √n.
    @Test func errorsOfDraws() {
        var random = SeededGenerator(seed: 4)
        let pairs = (0..<400).map { _ in (Double(random.normal()), Double(random.normal())) }
        let (a, b) = (pairs.map(\.0), pairs.map { 0.8 * $0.0 + 0.6 * $0.1 })
        let estimate = RankCorrelation.spearman(a, b, resamples: 400, seed: 1)
        #expect(estimate.value == RankCorrelation.spearman(a, b))
        #expect((0.012...0.030).contains(estimate.standardError))
        #expect(estimate == RankCorrelation.spearman(a, b, resamples: 400, seed: 1))
        #expect(estimate != RankCorrelation.spearman(a, b, resamples: 400, seed: 2))
    }
}

@Suite("Semantic similarity") struct SemanticSimilarityTests {
    @Test func linesOfTheBenchmark() throws {
        let lines = """
            g\ts\t2012\t1\t2.500\tA "girl" is.\tA boy, is.
            g\ts\t2012\t2\t0\ta\tb\tlicence\t

            g\ts\t2012\t3\t5\tc\td
            """
        let pairs = try SemanticSimilarity.pairs(in: lines)
        #expect(pairs.map(\.score) == [2.5, 0, 5])
        #expect(pairs[0] == .init(first: "A \"girl\" is.", second: "A boy, is.", score: 2.5))
    }

    @Test(
        arguments: [
            ("too few", ""), ("line 1", "a\tb"), ("line 2", "g\ts\t2\t1\t1\ta\tb\ng\ts\t2\t1\t5.1\ta\tb"),
            ("'x'", "g\ts\t2\t1\tx\ta\tb"), ("'nan'", "g\ts\t2\t1\tnan\ta\tb"),
        ])
    func brokenLines(named: String, text: String) throws {
        let error = #expect(throws: PithError.self) { try SemanticSimilarity.pairs(in: text) }
        #expect("\(try #require(error))".contains(named))
    }

    @Test func unknownTasks() {
        #expect(throws: PithError.self) { try EvaluationTasks.named("sts") }
        #expect(throws: PithError.self) { try EvaluationTasks.named("stsb").init(folder: "/nowhere") }
    }

    private func report(_ path: String, _ data: String) throws -> TaskReport {
        let source = try ModelSource(path)
        let model = try source.loadModel(pool: ThreadPool(threads: 2), allowingEncoders: true)
        return try SemanticSimilarity(folder: data).measure(model, from: source, quiet: true)
    }

    /// A model that knows nothing still finds equal sentences alike.
    @Test func aTinyModel() throws {
        try TestData.withTemporaryFolder { folder in
            let lines = (0..<12).map { index in
                let one = GoldenModels.text(letters: 9, seed: UInt64(index))
                let other = GoldenModels.text(letters: 8, seed: UInt64(index + 50))
                return index < 4 ? "g\ts\t2\t1\t5\t\(one)\t\(one)" : "g\ts\t2\t1\t1\t\(one)\t\(other)"
            }
            try AtomicFile.write(lines.joined(separator: "\n"), to: joinPath(folder, "sts-test.csv"))
            let report = try report(GoldenModels.path("bert"), folder)
            // Equal sentences share the highest rank.
            let rho = try #require(report.figures.first).estimate.value
            #expect(report.items.count == 12 && rho > 0.8 && rho <= 1)
            #expect(report.notes.contains { $0.contains("mean of hidden states") })
        }
    }

    /// MiniLM's published figure is 82.03.
    @Test(.enabled(if: ["stsb", "all-MiniLM-L6-v2"].allSatisfy(TestData.has), "needs stsb and all-MiniLM-L6-v2"))
    func aPublishedFigure() throws {
        let report = try report(
            try #require(TestData.path("all-MiniLM-L6-v2")), try #require(TestData.path("stsb")))
        let rho = try #require(report.figures.first).estimate
        #expect(report.items.count == 1379)
        #expect(abs(rho.value - 0.8203) < 0.001)
        #expect((0.005...0.02).contains(rho.standardError))
    }
}
