import PithCore
import PithFormats
import PithModels
import PithTensor
import PithTestSupport
import Testing

@Suite("States in the place of a cache")
struct RecurrentStateTests {
    private let tokens = (0..<37).map { ($0 * 17 + 5) % 61 }

    private func logits(_ model: LanguageModel) throws -> [Float] {
        var state = model.makeState()
        return try model.nextLogits(tokens, state: &state)
    }

    @Test(arguments: GoldenModels.recurrentNames) func stateDoesNotGrow(name: String) throws {
        let model = try openRandomModel(name)
        var state = model.makeState()
        let bits = state.storedBits
        #expect(state.caches.isEmpty && bits == model.description.states.reduce(0) { $0 + $1.reduce(32, *) })
        _ = try model.nextLogits(tokens, state: &state)
        #expect(state.storedBits == bits && state.position == tokens.count)
    }

    @Test(arguments: GoldenModels.recurrentNames) func copiesGoOnByThemselves(name: String) throws {
        let model = try openRandomModel(name)
        var state = model.makeState()
        _ = try model.nextLogits(Array(tokens[..<10]), state: &state)
        var fork = state
        let expected = try model.nextLogits(Array(tokens[10...]), state: &state)
        _ = try model.nextLogits([7, 7, 7], state: &state)
        #expect(try model.nextLogits(Array(tokens[10...]), state: &fork) == expected)
    }

    @Test(arguments: GoldenModels.recurrentNames) func savingAndRestoring(name: String) throws {
        let model = try openRandomModel(name)
        var state = model.makeState()
        _ = try model.nextLogits(Array(tokens[..<10]), state: &state)
        let saved = state.stored
        let expected = try model.nextLogits([tokens[10]], state: &state)
        var other = model.makeState()
        try other.restore(saved)
        #expect(other.position == 10 && other.storedBits == state.storedBits)
        #expect(try model.nextLogits([tokens[10]], state: &other) == expected)
        for (key, value) in saved where key != "position" {
            #expect(throws: PithError.self, "\(key)") { try other.restore(saved.filter { $0.key != key }) }
            var wrong = saved
            wrong[key] = StoredTensor(Tensor(shape: [value.count + 1]))
            #expect(throws: PithError.self, "\(key)") { try other.restore(wrong) }
            wrong[key] = StoredTensor(try value.decoded(), as: .float16)
            #expect(throws: PithError.self, "\(key)") { try other.restore(wrong) }
        }
    }

    @Test(arguments: GoldenModels.recurrentNames) func forgettingAllOrNothing(name: String) throws {
        let model = try openRandomModel(name)
        var state = model.makeState()
        let expected = try model.nextLogits(Array(tokens[..<10]), state: &state)
        let error = #expect(throws: PithError.self) { try state.truncate(to: 9) }
        #expect(error?.kind == .usage && state.position == 10)
        try state.truncate(to: 10)
        let next = try model.nextLogits([3], state: &state)
        try state.truncate(to: 0)
        #expect(state.position == 0)
        #expect(try model.nextLogits(Array(tokens[..<10]), state: &state) == expected)
        #expect(try model.nextLogits([3], state: &state) == next)
    }

    @Test(arguments: GoldenModels.recurrentNames) func anyCompanyThreadsAndPath(name: String) throws {
        let model = try openRandomModel(name)
        let expected = try logits(model)
        for threads in [1, 3] { #expect(try logits(try openRandomModel(name, threads: threads)) == expected) }
        for path in KernelPath.allCases where path.isAvailable {
            #expect(try path.use { try logits(model) } == expected, "\(path)")
        }
        let sequences = [tokens, Array(tokens[3..<11]), [7]]
        var states = sequences.map { _ in model.makeState() }
        let together = try model.hiddenStates(sequences, states: &states)
        var row = 0
        for (index, sequence) in sequences.enumerated() {
            var alone = [model.makeState()]
            let hidden = try model.hiddenStates([sequence], states: &alone)
            #expect(together.rows(row..<row + sequence.count) == hidden)
            #expect(states[index].recurrent == alone[0].recurrent)
            row += sequence.count
        }
    }

    /// Texts that come and go, as they are written one by one.
    @Test(arguments: ["mamba", "rwkv7"]) func severalTexts(name: String) throws {
        var model = try openRandomModel(name)
        model.endTokens = []
        let options = try SamplingOptions(temperature: 0)
        let prompts = [[5], Array(tokens[..<20]), [9, 8, 7]]
        var batch = BatchedGeneration(model, promptChunk: 6)
        var written: [BatchedGeneration.SequenceID: [Int]] = [:]
        let ids = try prompts.map { try batch.add($0, options: options, maximumCount: 12) }
        while !batch.isEmpty {
            for output in try batch.step() { written[output.sequence, default: []] += output.token.map { [$0] } ?? [] }
        }
        for (id, prompt) in zip(ids, prompts) {
            var alone = try GeneratedTokens(model, after: prompt, options: options, maximumCount: 12)
            #expect(try written[id] == alone.rest())
        }
    }

    /// What a recurrence would hide is named, also when the state had read tokens before.
    @Test(arguments: [
        ("mamba", "backbone.layers.1.mixer.A_log"), ("mamba", "backbone.layers.0.mixer.conv1d.weight"),
        ("mamba", "backbone.layers.0.mixer.dt_proj.weight"), ("rwkv4", "blocks.1.att.time_decay"),
        ("rwkv4", "blocks.0.att.time_first"), ("rwkv5.2", "blocks.0.att.time_mix_k"),
        ("rwkv6", "blocks.1.att.time_decay_w2.weight"), ("rwkv7", "blocks.1.att.a2.weight"),
        ("rwkv7", "blocks.0.ffn.key.weight"),
    ]) func theWeightIsNamed(name: String, weight: String) throws {
        for value in [Float.nan, .infinity] {
            var model = try openRandomModel(name)
            var states = [model.makeState()]
            _ = try model.hiddenStates([[4, 9]], states: &states)
            let index = try #require(model.description.parameters.firstIndex { $0.name == weight })
            let (id, spec) = (ParameterID(index), model.description.parameters[index])
            if spec.kind == .vector {
                model[vector: id][3] = value
            } else {
                var tensor = try #require(model[matrix: id] as? DenseOperator).weight.decoded()
                tensor.values[3] = value
                model[matrix: id] = try DenseOperator(StoredTensor(tensor))
            }
            let error = #expect(throws: PithError.self) { try model.hiddenStates([[5, 6, 7]], states: &states) }
            #expect(error?.place?.hasPrefix("token 3: ") == true, "\(value): \(error?.place ?? "")")
            #expect(error.map { "\($0)" }?.contains(weight) == true)
        }
    }

    @Test(
        arguments: [
            ("rwkv_version", "3"), ("rwkv_version", nil), ("head_size", 7), ("head_size", nil),
            ("decay_low_rank_dim", nil), ("hidden_size", 0), ("num_hidden_layers", 100000),
        ] as [(String, JSONValue?)]
    ) func keysOfRWKVAreRefusedByName(key: String, value: JSONValue?) throws {
        try expectRefusal("rwkv7", key, value)
    }

    @Test(
        arguments: [
            ("hidden_act", "relu"), ("state_size", 0), ("state_size", 257), ("conv_kernel", 1), ("expand", 0),
            ("time_step_rank", "large"), ("vocab_size", nil), ("hidden_size", nil),
        ] as [(String, JSONValue?)]
    ) func keysOfMambaAreRefusedByName(key: String, value: JSONValue?) throws {
        try expectRefusal("mamba-biases", key, value)
    }

    private func expectRefusal(_ name: String, _ key: String, _ value: JSONValue?) throws {
        guard case .object(var keys) = try JSONValue(contentsOf: joinPath(GoldenModels.path(name), "config.json"))
        else {
            return
        }
        keys[key] = value
        if key == "expand" { keys["intermediate_size"] = nil }
        let error = #expect(throws: PithError.self) { try Architectures.open(JSONReader(.object(keys))) }
        #expect(error.map { "\($0)" }?.contains(key) == true)
    }
}
