import PithCore
import PithFormats
import PithModels
import PithTensor
import PithTestSupport
import Testing

private func openEncoder(_ name: String, threads: Int = 2) throws -> (ModelSource, LanguageModel) {
    let source = try ModelSource(GoldenModels.path(name))
    let model = try source.loadModel(
        layouts: LayoutCatalogue([DenseOperator.self]), pool: ThreadPool(threads: threads), allowingEncoders: true)
    return (source, model)
}

@Suite("Encoders agree with the reference implementation")
struct EncoderReferenceTests {
    @Test(arguments: GoldenModels.encoders)
    func lastHiddenStates(name: String) throws {
        var (_, model) = try openEncoder(name)
        model.cache = PlainCache(.float32)
        let json = JSONReader(try JSONValue(contentsOf: joinPath(GoldenModels.path(name), "golden.json")))
        let tokens = try json.member("tokens").array().map { try $0.integer() }
        let rows = try json.member("rows").array().map { try $0.integer() }
        let expected = try json.member("states").array().map { try $0.array().map { try $0.real() } }
        var states = [model.makeState()]
        let hidden = try model.hiddenStates([tokens], states: &states)
        #expect(rows.count > 10 && hidden.rows == tokens.count)
        for (row, expected) in zip(rows, expected) {
            #expect(expected.count == hidden.columns)
            let worst = zip(hidden.rows(row..<row + 1).values, expected).map { abs(Double($0) - $1) }.max() ?? .infinity
            #expect(worst < 1e-3, "row \(row)")
        }
    }

    /// Vectors that `sentence-transformers` made of the folder: all poolings side by side, a dense layer, length 1.
    @Test(arguments: [nil, "query"])
    func sentences(prompt: String?) throws {
        let (source, model) = try openEncoder("sentences")
        let json = JSONReader(try JSONValue(contentsOf: joinPath(source.path, "golden.json")))
        let texts = try json.member("sentences").array().map { try $0.text() }
        let expected = try json.member(prompt ?? "none").array().map { try $0.array().map { try $0.real() } }
        let vectors = try TextEncoder(source, model).encode(texts, prompt: prompt)
        #expect(vectors.values.shape == [texts.count, 10])
        // The last sentence has 62 tokens, of 32 that are read.
        #expect(vectors.truncatedCount == 1 && vectors.tokenCounts.last == 32)
        for (row, expected) in expected.enumerated() {
            let worst = zip(vectors.values.rows(row..<row + 1).values, expected).map { abs(Double($0) - $1) }.max()
            #expect(try #require(worst) < 1e-4, "text \(row)")
        }
    }
}

@Suite("Text encoders")
struct TextEncoderTests {
    private let texts = (0..<41).map { GoldenModels.text(letters: $0 * 7 % 29, seed: UInt64($0)) }

    @Test func theSameBitsWhateverTheCompany() throws {
        let (source, model) = try openEncoder("sentences", threads: 1)
        let encoder = try TextEncoder(source, model)
        let together = try encoder.encode(texts).values
        for threads in [2, 5] {
            let (source, model) = try openEncoder("sentences", threads: threads)
            #expect(try TextEncoder(source, model).encode(texts).values == together)
        }
        for (index, text) in texts.enumerated() where index % 5 == 0 {
            #expect(try encoder.encode([text]).values == together.rows(index..<index + 1), "text \(index)")
        }
    }

    @Test(arguments: KernelPath.allCases.filter(\.isAvailable))
    func anyKernelPath(path: KernelPath) throws {
        let (source, model) = try openEncoder("sentences")
        let best = try TextEncoder(source, model).encode(texts).values
        #expect(try path.use { try TextEncoder(source, model).encode(texts).values } == best)
    }

    /// What comes later changes what was before: attention sees both ways.
    @Test func laterTokensAreSeen() throws {
        let (_, model) = try openEncoder("bert")
        func first(_ tokens: [Int]) throws -> Tensor {
            var states = [model.makeState()]
            return try model.hiddenStates([tokens], states: &states).rows(0..<1)
        }
        #expect(try first([1, 2, 3, 4]) != first([1, 2, 3, 5]))
    }

    @Test func thereAreNoLogits() throws {
        let source = try ModelSource(GoldenModels.path("bert"))
        let error = #expect(throws: PithError.self) {
            try source.loadModel(layouts: LayoutCatalogue([DenseOperator.self]), pool: ThreadPool(threads: 1))
        }
        #expect("\(try #require(error))".contains("is an encoder"))
        let (_, model) = try openEncoder("bert")
        var state = model.makeState()
        #expect(throws: PithError.self) { try model.nextLogits([1, 2], state: &state) }
    }

    @Test func withoutModulesTheMeanIsTaken() throws {
        let (source, model) = try openEncoder("bert")
        let encoder = try TextEncoder(source, model)
        #expect(encoder.modules.isAssumed && encoder.modules.poolings == [.mean] && !encoder.modules.isNormalized)
        #expect(encoder.maximumLength == source.configuration.contextLength)
        let vector = try encoder.encode(["abc"]).values
        var exact = model
        exact.cache = PlainCache(.float32)
        var states = [exact.makeState()]
        let hidden = try exact.hiddenStates([[0, 1, 2]], states: &states)
        for i in 0..<hidden.columns {
            let mean = (0..<3).reduce(0.0) { $0 + Double(hidden[$1, i]) } / 3
            #expect(vector[0, i] == Float(mean))
        }
        let error = #expect(throws: PithError.self) { try encoder.encode(["a", ""]) }
        #expect("\(try #require(error))".contains("text 2"))
        #expect(throws: PithError.self) { try encoder.encode(["a"], prompt: "query") }
        #expect(try encoder.encode([]).values.shape == [0, hidden.columns])
    }

    /// Names with the prefix of a model with a head, and the oldest names of norms; the head is not read.
    @Test func namesOfOtherWriters() throws {
        let source = try ModelSource(GoldenModels.path("bert-masked"))
        let names = source.description.parameters.indices.map { source.storedName(of: ParameterID($0)) }
        #expect(names.contains("bert.encoder.layer.2.output.dense.weight"))
        let unused = source.unusedNames
        #expect(unused.contains("cls.predictions.bias") && Set(names).isDisjoint(with: unused))
        #expect(Set(try source.archive().names) == Set(names + unused))
        try TestData.withTemporaryFolder { folder in
            try GoldenModels.copyWithoutWeights("bert", to: joinPath(folder, "old"))
            let plain = try ModelSource(GoldenModels.path("bert")).archive()
            let renamed = try plain.names.map { name in
                let old = name.hasSuffix("LayerNorm.weight") ? name.dropLast(6) + "gamma" : name[...]
                let older = old.hasSuffix("LayerNorm.bias") ? old.dropLast(4) + "beta" : old
                return (name: "bert." + older, tensor: try plain.tensor(name))
            }
            try SafetensorsWriter.write(renamed, to: joinPath(folder, "old/\(TensorArchive.fileName)"))
            let old = try ModelSource(joinPath(folder, "old"))
            let model = try old.loadModel(
                layouts: LayoutCatalogue([DenseOperator.self]), pool: ThreadPool(threads: 1), allowingEncoders: true)
            let (source, other) = try openEncoder("bert")
            #expect(
                try TextEncoder(old, model).encode(["abcd"]).values
                    == TextEncoder(source, other).encode(["abcd"]).values)
        }
    }

    @Test(
        arguments: [
            ("position_embedding_type", "relative_key"), ("hidden_act", "tanh"), ("is_decoder", true),
            ("layer_norm_eps", -1.0), ("type_vocab_size", 0), ("num_attention_heads", 5),
            ("architectures", ["BertForSequenceClassification"]),
        ] as [(String, JSONValue)])
    func otherKindsAreRefused(key: String, value: JSONValue) throws {
        let json = try JSONValue(contentsOf: joinPath(GoldenModels.path("bert"), ModelConfiguration.fileName))
        guard case .object(var object) = json else { return }
        object[key] = value
        let error = #expect(throws: PithError.self) { try Architectures.open(JSONReader(.object(object))) }
        let text = "\(try #require(error))"
        #expect(text.contains(key) || text.contains("hidden_size"))
    }
}

@Suite("modules.json")
struct SentenceModulesTests {
    private static let transformer: JSONValue = ["idx": 0, "name": "0", "path": "", "type": "x.models.Transformer"]
    private static let pooling: JSONValue = ["idx": 1, "name": "1", "path": "p", "type": "x.models.Pooling"]
    private static let normalize: JSONValue = ["idx": 2, "name": "2", "path": "n", "type": "x.models.Normalize"]

    private func read(_ files: [String: JSONValue], hiddenSize: Int = 4) throws -> SentenceModules {
        try TestData.withTemporaryFolder { folder in
            try Files.makeFolder(joinPath(folder, "p"))
            for (name, json) in files { try json.write(to: joinPath(folder, name)) }
            return try SentenceModules(folder: folder, hiddenSize: hiddenSize)
        }
    }

    @Test(
        arguments: [
            (["pooling_mode_cls_token": true], [.first]), (["pooling_mode_mean_tokens": true], [.mean]),
            (
                ["pooling_mode_lasttoken": true, "pooling_mode_max_tokens": true, "pooling_mode_cls_token": false],
                [.max, .last]
            ),
            (["pooling_mode": "weightedmean"], [.weightedMean]), (["pooling_mode": ["mean", "cls"]], [.mean, .first]),
        ] as [(JSONValue, [Pooling])])
    func poolings(config: JSONValue, expected: [Pooling]) throws {
        let modules = try read(["modules.json": [Self.transformer, Self.pooling], "p/config.json": config])
        #expect(modules.poolings == expected && modules.width == 4 * expected.count && !modules.isNormalized)
    }

    private static let mean: JSONValue = ["word_embedding_dimension": 4, "pooling_mode_mean_tokens": true]
    private static let whole: JSONValue = [transformer, pooling, normalize]

    private static func changed(_ module: JSONValue, _ key: String, _ value: JSONValue) -> JSONValue {
        guard case .object(var object) = module else { return .null }
        object[key] = value
        return .object(object)
    }

    private static let broken: [(String, [String: JSONValue])] = [
        ("modules.json", ["modules.json": 3]), ("modules.json", ["modules.json": [1]]),
        ("no Pooling", ["modules.json": []]), ("no Pooling", ["modules.json": [transformer]]),
        ("[0].type", ["modules.json": [pooling, transformer]]),
        ("[1].type", ["modules.json": [transformer, normalize]]),
        ("[2].type", ["modules.json": [transformer, pooling, changed(normalize, "type", "x.models.LSTM")]]),
        ("[0].path", ["modules.json": [changed(transformer, "path", "0_Transformer"), pooling]]),
        ("[1].path", ["modules.json": [transformer, changed(pooling, "path", "../p")]]),
        ("[1].path", ["modules.json": [transformer, changed(pooling, "path", ".p")]]),
        ("[1].path", ["modules.json": [transformer, changed(pooling, "path", "p/q")]]),
        ("[1]", ["modules.json": [transformer, ["path": "p"]]]),
        ("too many", ["modules.json": .array([transformer, pooling] + Array(repeating: normalize, count: 40))]),
        ("p/config.json", ["p/config.json": []]), ("no pooling", ["p/config.json": ["pooling_mode_cls_token": false]]),
        ("pooling_mode_cls_token", ["p/config.json": ["pooling_mode_cls_token": 1]]),
        ("pooling_mode_best_tokens", ["p/config.json": ["pooling_mode_best_tokens": true]]),
        ("'best'", ["p/config.json": ["pooling_mode": "best"]]),
        ("too many", ["p/config.json": ["pooling_mode": .array(Array(repeating: "cls", count: 1000))]]),
        ("word_embedding_dimension", ["p/config.json": ["word_embedding_dimension": 5, "pooling_mode": "cls"]]),
        ("max_seq_length", ["sentence_bert_config.json": ["max_seq_length": 0]]),
        ("do_lower_case", ["sentence_bert_config.json": ["do_lower_case": "no"]]),
        ("prompts.q", ["config_sentence_transformers.json": ["prompts": ["q": 1]]]),
        ("default_prompt_name", ["config_sentence_transformers.json": ["default_prompt_name": "q"]]),
    ]

    @Test(arguments: broken)
    func garbageIsRefused(named: String, changes: [String: JSONValue]) throws {
        var files: [String: JSONValue] = ["modules.json": Self.whole, "p/config.json": Self.mean]
        #expect(try read(files).isNormalized)
        for (name, json) in changes { files[name] = json }
        let error = #expect(throws: PithError.self) { try read(files) }
        #expect("\(try #require(error))".contains(named))
    }

    @Test(
        arguments: [
            ("in_features", ["in_features": 5]), ("out_features", ["out_features": 0]),
            ("activation_function", ["activation_function": "torch.nn.ReLU"]), ("linear.bias", ["out_features": 11]),
        ] as [(String, [String: JSONValue])])
    func brokenDenseModules(named: String, changes: [String: JSONValue]) throws {
        let source = GoldenModels.path("sentences")
        try TestData.withTemporaryFolder { folder in
            for part in ["1_Pooling", "2_Dense"] { try Files.makeFolder(joinPath(folder, part)) }
            for name in ["modules.json", "1_Pooling/config.json", "2_Dense/model.safetensors"] {
                try Files.copy(joinPath(source, name), to: joinPath(folder, name))
            }
            guard case .object(var object) = try JSONValue(contentsOf: joinPath(source, "2_Dense/config.json")) else {
                return
            }
            for (key, value) in changes { object[key] = value }
            try JSONValue.object(object).write(to: joinPath(folder, "2_Dense/config.json"))
            let error = #expect(throws: PithError.self) { try SentenceModules(folder: folder, hiddenSize: 16) }
            #expect("\(try #require(error))".contains(named))
        }
    }

    /// What is done behind the model goes with it.
    @Test func modulesAreCompanions() throws {
        let companions = try ModelSource(GoldenModels.path("sentences")).companions()
        for name in ["modules.json", "1_Pooling/config.json", "2_Dense/model.safetensors", "2_Dense/config.json"] {
            #expect(companions.files.contains(name))
        }
        #expect(companions.leftOut.isEmpty)
    }
}
