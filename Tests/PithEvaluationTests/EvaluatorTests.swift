import Foundation
import Pith
import PithTestSupport
import Synchronization
import Testing

func openGolden(_ name: String, threads: Int = 2) throws -> (folder: ModelSource, model: LanguageModel) {
    let folder = try ModelSource(GoldenModels.path(name))
    return (folder, try folder.loadModel(pool: ThreadPool(threads: threads)))
}

@Suite("The evaluator")
struct EvaluatorTests {
    private func text(_ folder: ModelSource, letters: Int = 500, window: Int = 40) throws -> EvaluationText {
        try EvaluationText(
            GoldenModels.text(letters: letters), name: "letters", tokenizer: folder.tokenizer,
            configuration: folder.configuration, windowLength: window)
    }

    @Test func aModelDoesNotDivergeFromItself() throws {
        let (folder, model) = try openGolden("grouped-untied")
        let results = try Evaluator().measure(model, against: [model], on: try text(folder))
        #expect(results[0] == results[1])
        #expect(results[0].klDivergence == Estimate(0, standardError: 0))
        #expect(results[0].top1Agreement == Estimate(1, standardError: 0))
    }

    /// Everything again, in double precision and without any of the evaluator's parts.
    @Test func figuresFollowTheirDefinitions() throws {
        let (folder, reference) = try openGolden("grouped-untied")
        var candidate = reference
        candidate.scaleFinalNorm(by: 0.9)
        let letters = GoldenModels.text(letters: 90)
        let text = try EvaluationText(
            letters, name: "", tokenizer: folder.tokenizer, configuration: folder.configuration, windowLength: 31)
        let measured = try Evaluator().measure(reference, against: [candidate], on: text)[1]

        let tokens = folder.tokenizer.encode(letters, .written)
        var (divergence, surprise, agreements) = (0.0, 0.0, 0.0)
        for start in stride(from: 0, to: tokens.count, by: 30) {
            let window = [1] + tokens[start..<min(start + 30, tokens.count)]
            let p = try logProbabilities(reference, window)
            let q = try logProbabilities(candidate, window)
            for position in 1..<window.count {
                let (p, q) = (p[position - 1], q[position - 1])
                divergence += zip(p, q).reduce(0) { $0 + exponential($1.0) * ($1.0 - $1.1) }
                surprise -= q[window[position]]
                agreements += p.firstIndex(of: p.max()!) == q.firstIndex(of: q.max()!) ? 1 : 0
            }
        }
        #expect(text.tokenCount == 90 && text.byteCount == 90)
        #expect(abs(measured.klDivergence.value - divergence / 90) < 1e-5)
        #expect(abs(measured.perplexity.value / exponential(surprise / 90) - 1) < 1e-5)
        #expect(abs(measured.bitsPerByte.value - surprise / 90 / naturalLogarithm(2)) < 1e-5)
        #expect(abs(measured.top1Agreement.value - agreements / 90) < 1e-12)
        #expect(measured.klDivergence.value > 0.001)
    }

    private func logProbabilities(_ model: LanguageModel, _ tokens: [Int]) throws -> [[Double]] {
        var states = [model.makeState()]
        let hidden = try model.hiddenStates([tokens], states: &states)
        let logits = try model.logits(of: hidden, rows: 0..<tokens.count)
        return (0..<tokens.count).map { row in
            let values = logits.rows(row..<row + 1).values.map { Double($0) }
            let total = naturalLogarithm(values.reduce(0) { $0 + exponential($1) })
            return values.map { $0 - total }
        }
    }

    @Test(arguments: [(1, 1), (3, 2), (100, 3)])
    func figuresDependNeitherOnTheBatchNorOnThreads(batch: Int, threads: Int) throws {
        let (folder, reference) = try openGolden("head-dim", threads: 2)
        let (_, model) = try openGolden("head-dim", threads: threads)
        var candidate = model
        candidate.scaleFinalNorm(by: 0.8)
        var same = reference
        same.scaleFinalNorm(by: 0.8)
        let text = try text(folder)
        let expected = try Evaluator(batchSize: 4).measure(reference, against: [same], on: text)
        #expect(try Evaluator(batchSize: batch).measure(model, against: [candidate], on: text) == expected)
    }

    @Test func textsThatAreTooShortAreRefused() throws {
        let (folder, _) = try openGolden("head-dim")
        #expect(throws: PithError.self) { try text(folder, letters: 0) }
        #expect(throws: PithError.self) { try text(folder, window: 1) }
    }
}

@Suite("Comparisons")
struct ComparisonTests {
    /// Every folder whose speed is asked for, in order; the model as it came is fast, all others slow.
    private final class Asked: Sendable {
        let folders = Mutex<[String]>([])
    }

    private func run(
        _ specs: [String], cache: CacheType = .float16, in folder: String
    ) throws -> (rows: [ComparisonRow], asked: [String]) {
        let (source, _) = try openGolden("grouped-untied")
        let text = try EvaluationText(
            GoldenModels.text(letters: 200), name: "letters", tokenizer: source.tokenizer,
            configuration: source.configuration, windowLength: 40)
        let asked = Asked()
        var base = RunPlan()
        base.cache = try Spec(parsing: cache.rawValue)
        let comparison = try Comparison(
            source, plans: specs.map { try RunPlan(parsing: $0) }, base: base, text: text,
            calibration: CalibrationText(name: "others", text: GoldenModels.text(letters: 600, seed: 2)),
            pool: ThreadPool(threads: 2)
        ) { (path, _) throws(PithError) in
            let count = asked.folders.withLock {
                $0.append(path)
                return $0.count
            }
            return SpeedSample(
                prefillTokensPerSecond: Double(count), decodeTokensPerSecond: 1, peakMemoryBytes: ByteCount(count))
        }
        return (try comparison.run(in: folder, quiet: true), asked.folders.withLock { $0 })
    }

    @Test("what loses nothing does not diverge, however keys and values are kept", arguments: CacheType.allCases)
    func lossless(cache: CacheType) throws {
        try TestData.withTemporaryFolder { folder in
            for row in try run(["dfloat11", "zipnn", "entropy"], cache: cache, in: folder).rows {
                #expect(row.measurement.klDivergence == Estimate(0, standardError: 0), "\(row.plan)")
            }
        }
    }

    @Test("rows may differ in how they are run, and are measured against the model as it came")
    func plansOfRuns() throws {
        try TestData.withTemporaryFolder { folder in
            let (rows, asked) = try run(["cache=f32", "rtn:bits=8 cache=bf16", "cache=f16"], in: folder)
            // The last is what all have unless they say otherwise.
            #expect(rows.map(\.plan.description) == ["none", "cache=f32", "weights=rtn:bits=8 cache=bf16"])
            #expect(rows[1].bytes == rows[0].bytes && rows[2].bytes != rows[0].bytes)
            #expect(rows[1].measurement.klDivergence.value > 0)
            #expect(asked.count == 3 * Comparison.speedRounds)
            #expect(throws: PithError.self) { try run(["cache=nothing"], in: folder) }
        }
        // What is stored alike is written once.
        try TestData.withTemporaryFolder { folder in
            let (rows, _) = try run(["rtn:bits=4", "rtn:bits=4 cache=f32"], in: folder)
            #expect(
                rows[1].bytes == rows[2].bytes && rows[1].measurement.klDivergence != rows[2].measurement.klDivergence)
            #expect(try Files.names(in: folder) == ["1"])
        }
    }

    @Test("speeds are measured in turns, equal layouts as one")
    func turns() throws {
        try TestData.withTemporaryFolder { folder in
            let (rows, asked) = try run(["rtn:bits=4", "gptq:bits=4", "rtn:bits=3", "rtn:bits=4+entropy"], in: folder)
            let kinds = [rows[0], rows[1], rows[3], rows[4]]
            #expect(rows[1].speed == rows[2].speed)
            #expect(asked.count == Comparison.speedRounds * kinds.count)
            for round in 0..<Comparison.speedRounds {
                #expect(asked[round * 4..<round * 4 + 4].elementsEqual(asked[..<4]))
            }
            // The first row's samples are 1, 5, 9, 13 and 17.
            #expect(rows[0].speed.prefill == Quartiles([1, 5, 9, 13, 17]) && rows[0].speed.prefill.median == 9)
            #expect(rows[0].speed.prefill.lower == 5 && rows[0].speed.prefill.spread == 4)
            #expect(rows[0].speed.peakMemoryBytes == ByteCount(17))
        }
    }
}

@Suite("Tables and pages")
struct PresentationTests {
    private let rows: [ComparisonRow] = ["none", "rtn:bits=4", "a<b&c"].enumerated().map { index, name in
        ComparisonRow(
            plan: name == "none" ? RunPlan() : RunPlan(weights: Spec(stages: [.init(name: name)])),
            bitsPerWeight: BitsPerWeight(16 / Double(index + 1)), bytes: ByteCount(1000),
            measurement: Measurement(
                klDivergence: Estimate(Double(index) * 0.1, standardError: 0.01),
                top1Agreement: Estimate(0.9, standardError: 0.01), bitsPerByte: Estimate(1.5, standardError: 0.1),
                perplexity: Estimate(12, standardError: .nan)),
            speed: SpeedMeasurement(
                [SpeedSample(prefillTokensPerSecond: 100, decodeTokensPerSecond: 10, peakMemoryBytes: ByteCount(5000))]
            ),
            compressionSeconds: 1)
    }

    @Test func rowsHaveTheNamesThatProgramsRead() throws {
        let object = JSONReader(rows[1].json)
        for key in ["bitsPerWeight", "klDivergence", "klDivergenceError", "bitsPerByte", "perplexity", "top1Agreement"]
        {
            _ = try object.member(key).real()
        }
        for key in ["prefillTokensPerSecond", "decodeTokensPerSecond"] {
            _ = try object.member(key).real()
            #expect(try object.member("\(key)Quartiles").array().count == 2)
        }
        #expect(try object.member("spec").text() == "rtn:bits=4")
        #expect(try object.member("bytes").integer() == 1000)
        #expect(try object.member("peakMemoryBytes").integer() == 5000)
        // JSON knows no nan.
        #expect(try object.optional("perplexityError") == nil)
        _ = try JSONValue(parsing: rows[1].json.prettyText)
    }

    @Test func pagesNameEveryRowAndEscapeIt() {
        let page = ReportPage(title: "x", notes: ["a > b"], rows: rows)
        for document in [page.html, page.picture] {
            #expect(document.contains("rtn:bits=4") && document.contains("a&lt;b&amp;c") && !document.contains("a<b"))
            for tag in ["svg", "text", "circle", "title", "style"] {
                let opened = document.components(separatedBy: "<\(tag)").count
                #expect(opened == document.components(separatedBy: "</\(tag)>").count, "\(tag)")
            }
        }
        #expect(page.html.contains("prefers-color-scheme: dark") && page.html.contains("a &gt; b"))
    }

    @Test func columnsAreAligned() {
        let text = TextTable(header: ["name", "n"], rows: [["a", "1"], ["bcdefg", "100"]]).text
        #expect(text == "name      n\n──────  ───\na         1\nbcdefg  100")
    }
}
