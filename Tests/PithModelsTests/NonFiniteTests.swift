import PithCore
import PithFormats
import PithModels
import PithTensor
import PithTestSupport
import Testing

/// A model with a value that is no finite number says so, and where it began.
@Suite("Values that are no finite numbers")
struct NonFiniteTests {
    private static let values: [Float] = [.nan, .infinity, -.infinity]

    /// A golden model, its tensors changed.
    private func model(
        _ name: String = "grouped-untied", changing change: (inout [String: Tensor]) -> Void
    ) throws -> LanguageModel {
        let source = GoldenModels.path(name)
        let archive = try TensorArchive(folder: source)
        var tensors: [String: Tensor] = [:]
        for name in archive.names { tensors[name] = try archive.tensor(name).decoded() }
        change(&tensors)
        return try TestData.withTemporaryFolder { folder in
            for name in ["config.json", "tokenizer.json"] {
                try Files.copy(joinPath(source, name), to: joinPath(folder, name))
            }
            try SafetensorsWriter.write(
                tensors.sorted { $0.key < $1.key }.map { ($0.key, StoredTensor($0.value)) },
                to: joinPath(folder, TensorArchive.fileName))
            return try ModelSource(folder).loadModel(
                layouts: LayoutCatalogue([DenseOperator.self]), pool: ThreadPool(threads: 2))
        }
    }

    private static let weights = [
        "model.layers.0.input_layernorm.weight", "model.layers.1.post_attention_layernorm.weight",
        "model.layers.0.self_attn.q_proj.weight", "model.layers.1.self_attn.k_proj.weight",
        "model.layers.0.self_attn.v_proj.weight", "model.layers.0.self_attn.o_proj.weight",
        "model.layers.1.mlp.gate_proj.weight", "model.layers.0.mlp.up_proj.weight",
        "model.layers.1.mlp.down_proj.weight", "model.norm.weight",
    ]

    @Test(arguments: weights, [CacheType.float16, .float32])
    func theWeightIsNamed(name: String, cache: CacheType) throws {
        for value in Self.values {
            var model = try model { $0[name]?.values[3] = value }
            model.cache = PlainCache(cache)
            var states = [model.makeState()]
            let error = #expect(throws: PithError.self, "\(name) \(value)") {
                try model.hiddenStates([[5, 6, 7]], states: &states)
            }
            #expect("\(error.map { "\($0)" } ?? "")".contains(name), "\(value)")
            #expect(error?.place?.hasPrefix("token 1: ") == true)
        }
    }

    @Test func theTokenIsNamed() throws {
        let model = try model { $0["model.embed_tokens.weight"]?.values[24 * 7 + 2] = .nan }
        var states = [model.makeState(), model.makeState()]
        let error = #expect(throws: PithError.self) {
            try model.hiddenStates([[5, 6], [6, 5, 7, 6]], states: &states)
        }
        #expect(error?.place?.hasPrefix("sequence 2, token 3: ") == true)
        #expect(error?.message.contains("[7, 2]") == true)
    }

    @Test func theLogitIsNamed() throws {
        let model = try model { $0["lm_head.weight"]?.values[24 * 9] = .infinity }
        var states = [model.makeState()]
        let hidden = try model.hiddenStates([[5, 6]], states: &states)
        let error = #expect(throws: PithError.self) {
            try model.logits(of: hidden, rows: 0..<2) { "row number \($0)" }
        }
        #expect(error?.place == "row number 0" && error?.message.contains("token 9") == true)
        #expect(error?.message.contains("lm_head.weight holds inf at [9, 0]") == true)
    }

    /// A cap does not make it finite.
    @Test func logitsThatAreCappedAreNamedToo() throws {
        let model = try model("gemma2") { $0["model.embed_tokens.weight"]?.values[24 * 9] = .infinity }
        var states = [model.makeState()]
        let hidden = try model.hiddenStates([[5, 6]], states: &states)
        let error = #expect(throws: PithError.self) { try model.logits(of: hidden, rows: 0..<2) }
        #expect(error?.message.contains("token 9") == true)
    }

    /// Neither greedily nor by chance.
    @Test(arguments: [Float(0), 1]) func generationSaysWhatHappened(temperature: Float) throws {
        let model = try model { $0["lm_head.weight"]?.values[24 * 9] = .nan }
        let options = try SamplingOptions(temperature: temperature)
        #expect(throws: PithError.self) { try GeneratedTokens(model, after: [5], options: options) }
        var batch = BatchedGeneration(model)
        for prompt in [[5], [6, 7]] { _ = try batch.add(prompt, options: options, maximumCount: 2) }
        let error = #expect(throws: PithError.self) { try batch.step() }
        #expect(error?.place == "text 1, token 1")
    }

    /// What goes wrong later is not taken for the end of the text.
    @Test func laterTokensSayWhatHappened() throws {
        let plain = try model { _ in }
        let options = try SamplingOptions(temperature: 0)
        var generated = try GeneratedTokens(plain, after: [5], options: options, maximumCount: 8)
        let tokens = try generated.rest()
        let place = try #require(tokens.indices.first { !([5] + tokens[..<$0]).contains(tokens[$0]) })
        let broken = try model { $0["model.embed_tokens.weight"]?.values[24 * tokens[place]] = .nan }
        generated = try GeneratedTokens(broken, after: [5], options: options, maximumCount: 8)
        for token in tokens[...place] { #expect(try generated.next() == token) }
        let error = #expect(throws: PithError.self) { try generated.next() }
        #expect(error?.place?.hasPrefix("token \(place + 2): ") == true)
    }

    @Test func smallPenaltiesStayFinite() throws {
        var sampler = Sampler(try SamplingOptions(temperature: 1, minP: 0, repetitionPenalty: .leastNonzeroMagnitude))
        let token = sampler.next([0, 1, -1], after: [0, 1, 2])
        #expect((0..<3).contains(token))
    }

    @Test func endsOfGenerationSettingsEndTexts() throws {
        let source = GoldenModels.path("grouped-untied")
        try TestData.withTemporaryFolder { folder in
            for name in ["config.json", "tokenizer.json", "model.safetensors"] {
                try Files.copy(joinPath(source, name), to: joinPath(folder, name))
            }
            try AtomicFile.write(#"{"eos_token_id": [2, 9]}"#, to: joinPath(folder, GenerationSettings.fileName))
            let opened = try ModelSource(folder)
            #expect(opened.endTokens == [2, 9] && opened.configuration.eosTokens == [2])
            let model = try opened.loadModel(
                layouts: LayoutCatalogue([DenseOperator.self]), pool: ThreadPool(threads: 1))
            #expect(model.endTokens == [2, 9])
        }
    }
}
