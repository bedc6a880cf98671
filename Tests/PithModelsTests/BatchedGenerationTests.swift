import PithCore
import PithModels
import PithTensor
import Testing

@Suite("Several sequences at once")
struct BatchedGenerationTests {
    private typealias End = BatchedGeneration.End
    private let model: LanguageModel

    init() throws { model = try openRandomModel("grouped-untied") }

    private func options(_ seed: UInt64, temperature: Float = 1) throws -> SamplingOptions {
        try SamplingOptions(temperature: temperature, minP: 0, seed: seed)
    }

    private func prompt(_ length: Int, _ seed: Int) -> [Int] { (0..<length).map { ($0 * 17 + seed * 5 + 3) % 61 } }

    /// What each sequence wrote, and how it ended.
    private struct Texts {
        var tokens: [BatchedGeneration.SequenceID: [Int]] = [:]
        var ends: [BatchedGeneration.SequenceID: BatchedGeneration.End] = [:]

        mutating func take(_ outputs: [BatchedGeneration.Output]) {
            for output in outputs {
                if let token = output.token { tokens[output.sequence, default: []].append(token) }
                if let end = output.end { ends[output.sequence] = end }
            }
        }
    }

    @Test(arguments: [1, 4, 256])
    func companyChangesNothing(promptChunk: Int) throws {
        var (batch, texts) = (BatchedGeneration(model, promptChunk: promptChunk), Texts())
        var expected: [BatchedGeneration.SequenceID: [Int]] = [:]
        func join(_ seed: Int) throws {
            let prompt = prompt(1 + seed * 5 % 23, seed)
            let id = try batch.add(prompt, options: try options(UInt64(seed)), maximumCount: 12)
            var alone = try GeneratedTokens(
                model, after: prompt, options: try options(UInt64(seed)), maximumCount: 12)
            expected[id] = try alone.rest()
        }
        for seed in 0..<3 { try join(seed) }
        for step in 0..<400 where !batch.isEmpty {
            if step == 2 || step == 5 { for seed in 0..<2 { try join(10 * step + seed) } }
            texts.take(try batch.step())
        }
        #expect(batch.isEmpty && expected.count == 7)
        for (id, tokens) in expected { #expect(texts.tokens[id] ?? [] == tokens) }
    }

    @Test func alonePromptByPromptLikeTheForwardPass() throws {
        // Greedy, by hand: the tokens that the logits of the whole text so far say.
        let start = prompt(9, 1)
        var history = start
        for _ in 0..<10 {
            var state = model.makeState()
            let logits = try model.nextLogits(history, state: &state)
            guard let best = logits.max(), let token = logits.firstIndex(of: best) else { break }
            if model.configuration.eosTokens.contains(token) { break }
            history.append(token)
        }
        var written = try GeneratedTokens(
            model, after: start, options: try options(0, temperature: 0), maximumCount: 10)
        #expect(try start + written.rest() == history)
    }

    @Test func sequencesEndAndLeave() throws {
        var (batch, texts) = (BatchedGeneration(model), Texts())
        let short = try batch.add([5], options: try options(1), maximumCount: 2)
        let cancelled = try batch.add(prompt(4, 2), options: try options(2))
        let nothing = try batch.add([7], options: try options(3), maximumCount: 0)
        let long = try batch.add(prompt(60, 4), options: try options(4))
        #expect(batch.count == 3)
        texts.take(try batch.step())
        #expect(texts.tokens[cancelled]?.count == 1)
        #expect(batch.storedBits > 0)
        batch.remove(cancelled)
        batch.remove(nothing)
        for _ in 0..<200 where !batch.isEmpty { texts.take(try batch.step()) }
        #expect(batch.isEmpty && batch.storedBits == 0)
        #expect(texts.tokens[cancelled]?.count == 1 && texts.ends[cancelled] == nil)
        #expect(texts.tokens[nothing] == nil)
        if texts.ends[short] == .maximumCount { #expect(texts.tokens[short]?.count == 2) }
        // The last token that is written is behind the context, which holds 64.
        if texts.ends[long] == .contextLength { #expect(texts.tokens[long]?.count == 5) }
        #expect(Set([texts.ends[short], texts.ends[long]]).isSubset(of: [.maximumCount, .contextLength, .endOfText]))
        #expect(try batch.step().isEmpty)
    }

    @Test func aLongPromptDoesNotHoldUpOthers() throws {
        var batch = BatchedGeneration(model, promptChunk: 8)
        let running = try batch.add([5], options: try options(1))
        _ = try batch.step()
        let waiting = try batch.add(prompt(40, 2), options: try options(2))
        for step in 1...5 {
            let outputs = try batch.step()
            // 40 tokens are read in five steps of 8.
            #expect(outputs.contains { $0.sequence == waiting } == (step == 5))
            if outputs.contains(where: { $0.sequence == running && $0.end != nil }) { return }
            #expect(outputs.contains { $0.sequence == running })
        }
    }

    @Test func wrongPromptsAreRefused() throws {
        var batch = BatchedGeneration(model)
        for prompt in [[], [61], [-1], Array(repeating: 3, count: 65)] {
            #expect(throws: PithError.self) { try batch.add(prompt, options: try SamplingOptions()) }
        }
        #expect(batch.isEmpty)
    }

    @Test func aWorkspaceServesManyPasses() throws {
        let workspace = ForwardWorkspace()
        for name in ["grouped-untied", "head-dim", "llama3-rope"] {
            let model = try openRandomModel(name)
            for length in [3, 20, 1] {
                var (state, other) = (model.makeState(), model.makeState())
                let tokens = prompt(length, 1)
                #expect(
                    try model.nextLogits(tokens, state: &state, workspace: workspace)
                        == model.nextLogits(tokens, state: &other))
            }
        }
    }
}
