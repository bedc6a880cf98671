import PithCore
import PithFormats
import PithModels
import PithTensor
import PithTestSupport
import Testing

/// What the reference implementation computed; made by `Tests/Golden/make_logits_golden.py`.
struct Golden {
    let tokens: [Int]
    let rows: [Int]
    let logits: [[Double]]
    let greedy: [Int]

    init(_ path: String) throws {
        let json = JSONReader(try JSONValue(contentsOf: path))
        tokens = try json.member("tokens").array().map { try $0.integer() }
        rows = try json.member("rows").array().map { try $0.integer() }
        logits = try json.member("logits").array().map { try $0.array().map { try $0.real() } }
        greedy = try json.optional("greedy")?.array().map { try $0.integer() } ?? []
    }
}

func openModel(_ path: String, threads: Int = 2) throws -> LanguageModel {
    try ModelSource(path).loadModel(layouts: LayoutCatalogue([DenseOperator.self]), pool: ThreadPool(threads: threads))
}

func openRandomModel(_ name: String, threads: Int = 2) throws -> LanguageModel {
    try openModel(GoldenModels.path(name), threads: threads)
}

@Suite("Agreement with the reference implementation")
struct ReferenceTests {
    private func check(_ model: LanguageModel, _ golden: Golden) throws {
        var model = model
        model.cache = PlainCache(.float32)
        var states = [model.makeState()]
        let hidden = try model.hiddenStates([golden.tokens], states: &states)
        for (row, expected) in zip(golden.rows, golden.logits) {
            let logits = try model.logits(of: hidden, rows: row..<row + 1).values
            #expect(logits.count == expected.count)
            let worst = zip(logits, expected).map { abs(Double($0) - $1) }.max() ?? .infinity
            #expect(worst < 1e-3, "row \(row)")
        }
    }

    @Test(arguments: GoldenModels.names)
    func randomConfigurations(name: String) throws {
        try check(try openRandomModel(name), try Golden(joinPath(GoldenModels.path(name), "golden.json")))
    }

    /// At temperature 0 the token behind each beginning of the text is the one that the reference finds likeliest.
    @Test(arguments: GoldenModels.steadyNames)
    func theLikeliestTokens(name: String) throws {
        var model = try openRandomModel(name)
        model.cache = PlainCache(.float32)
        model.endTokens = []
        let golden = try Golden(joinPath(GoldenModels.path(name), "golden.json"))
        for (row, logits) in zip(golden.rows, golden.logits) {
            let best = try #require(logits.indices.max { logits[$0] < logits[$1] })
            let second = logits.indices.filter { $0 != best }.map { logits[$0] }.max() ?? -.infinity
            // What agreement within 0.001 leaves open is not asked.
            guard logits[best] - second > 0.002 else { continue }
            var written = try GeneratedTokens(
                model, after: Array(golden.tokens[...row]), options: SamplingOptions(temperature: 0), maximumCount: 1)
            #expect(try written.rest() == [best], "row \(row)")
        }
    }

    /// A text is written by the tokens that would be found one by one.
    @Test(arguments: GoldenModels.steadyNames)
    func textsOfLikeliestTokens(name: String) throws {
        var model = try openRandomModel(name)
        model.endTokens = []
        var tokens = try Array(Golden(joinPath(GoldenModels.path(name), "golden.json")).tokens.prefix(20))
        var written = try GeneratedTokens(
            model, after: tokens, options: SamplingOptions(temperature: 0), maximumCount: 30)
        for token in try written.rest() {
            var state = model.makeState()
            let logits = try model.nextLogits(tokens, state: &state)
            #expect(token == logits.indices.max { logits[$0] < logits[$1] })
            tokens.append(token)
        }
        #expect(tokens.count == 50)
    }

    @Test(.enabled(if: TestData.has("tinystories-656k-hf"), "needs tinystories-656k-hf"))
    func aTrainedModel() throws {
        var model = try openModel(try #require(TestData.path("tinystories-656k-hf")))
        model.cache = PlainCache(.float32)
        let golden = try Golden(joinPath(GoldenModels.folder, "tinystories-656k.json"))
        try check(model, golden)
        var written = try GeneratedTokens(
            model, after: Array(golden.tokens.prefix(20)), options: SamplingOptions(temperature: 0), maximumCount: 60)
        #expect(try Array(golden.tokens.prefix(20)) + written.rest() == golden.greedy.filter { $0 != 2 })
    }
}

@Suite("The same bits whatever the company")
struct InvarianceTests {
    private let tokens = (0..<37).map { ($0 * 17 + 5) % 61 }

    private func logits(_ model: LanguageModel, _ pieces: [[Int]]) throws -> [Float] {
        var state = model.makeState()
        var last: [Float] = []
        for piece in pieces { last = try model.nextLogits(piece, state: &state) }
        return last
    }

    @Test(arguments: GoldenModels.steadyNames)
    func tokenByTokenOrAtOnce(name: String) throws {
        let model = try openRandomModel(name)
        let atOnce = try logits(model, [tokens])
        #expect(try logits(model, tokens.map { [$0] }) == atOnce)
        #expect(try logits(model, [Array(tokens[..<13]), Array(tokens[13...])]) == atOnce)
    }

    @Test(arguments: [1, 2, 5])
    func anyNumberOfThreads(threads: Int) throws {
        let one = try logits(try openRandomModel("grouped-untied", threads: 1), [tokens])
        #expect(try logits(try openRandomModel("grouped-untied", threads: threads), [tokens]) == one)
    }

    @Test func severalSequencesTogether() throws {
        let model = try openRandomModel("grouped-untied")
        let sequences = [tokens, Array(tokens[3..<11]), [7]]
        var states = sequences.map { _ in model.makeState() }
        let together = try model.hiddenStates(sequences, states: &states)
        var row = 0
        for sequence in sequences {
            var alone = [model.makeState()]
            let hidden = try model.hiddenStates([sequence], states: &alone)
            #expect(together.rows(row..<row + sequence.count) == hidden)
            row += sequence.count
        }
    }

    @Test(arguments: KernelPath.allCases.filter(\.isAvailable))
    func anyKernelPath(path: KernelPath) throws {
        let model = try openRandomModel("grouped-untied")
        let best = try logits(model, [tokens])
        #expect(try path.use { try logits(model, [tokens]) } == best)
    }

    @Test func forgettingAndRestoring() throws {
        let model = try openRandomModel("head-dim")
        var state = model.makeState()
        _ = try model.nextLogits(Array(tokens[..<10]), state: &state)
        let saved = state.stored
        let expected = try model.nextLogits([tokens[10]], state: &state)
        try state.truncate(to: 10)
        #expect(state.position == 10)
        #expect(try model.nextLogits([tokens[10]], state: &state) == expected)
        var other = model.makeState()
        try other.restore(saved)
        let bytes = saved.filter { $0.value.type.floating != nil }.reduce(0) { $0 + $1.value.byteCount }
        #expect(other.position == 10 && other.storedBits == 8 * bytes)
        #expect(try model.nextLogits([tokens[10]], state: &other) == expected)
        #expect(throws: PithError.self) { try other.caches[0].restore([:], position: 0) }
        #expect(throws: PithError.self) { try other.restore(saved.filter { $0.key != "position" }) }
        var short = saved
        short["position"] = saved["0.keys"]
        #expect(throws: PithError.self) { try other.restore(short) }
    }

    @Test func wrongTokensAreRefused() throws {
        let model = try openRandomModel("head-dim")
        var state = model.makeState()
        for tokens in [[], [61], [-1], Array(repeating: 3, count: 65)] {
            #expect(throws: PithError.self) { try model.nextLogits(tokens, state: &state) }
        }
        #expect(state.position == 0)
    }

    @Test func observersSeeEverySiteOfEveryLayer() throws {
        final class Recorder: ActivationObserver {
            var seen: [ActivationSite: Int] = [:]
            var layers: [ActivationSite: Set<Int>] = [:]
            func observe(
                _ site: ActivationSite, layer: Int, _ activations: UnsafePointer<Float>, rows: Int, width: Int
            ) {
                seen[site, default: 0] += rows * width
                layers[site, default: []].insert(layer)
            }
        }
        let model = try openRandomModel("grouped-untied")
        let recorder = Recorder()
        var states = [model.makeState()]
        let hidden = try model.hiddenStates([tokens], states: &states, observer: recorder)
        _ = try model.logits(of: hidden, rows: 0..<2, observer: recorder)
        for site in [ActivationSite.residual, .queries, .keys, .values] { #expect(recorder.layers[site] == [0, 1]) }
        var used: [ParameterID] = []
        for site in recorder.seen.keys {
            if case .input(let matrices) = site { used += matrices }
            if case .normalized(let norm) = site { used.append(norm) }
        }
        for (index, spec) in model.description.parameters.enumerated() where spec.kind != .table {
            #expect(used.filter { $0.index == index }.count == 1, "\(spec.name)")
        }
        #expect(recorder.seen[.keys] == 2 * 37 * 12)
        #expect(recorder.seen[.normalized(by: try #require(model.description.output).norm.weight)] == 37 * 24)
        #expect(recorder.seen[.logits] == 2 * 61)
    }
}
