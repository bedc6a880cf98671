import PithCore
import PithFormats
import PithModels
import PithTensor
import PithTestSupport
import PithTraining
import PithWeights
import Testing

/// A golden model as it is stored, run in floats.
func goldenModel(_ name: String) throws -> (source: ModelSource, model: LanguageModel) {
    let source = try ModelSource(GoldenModels.path(name))
    var model = try source.loadModel(layouts: WeightLayouts.catalogue, pool: ThreadPool(threads: 2))
    (model.cache, model.precision) = (PlainCache(.float32), .float)
    return (source, model)
}

/// What the engine that runs needs for each token of a text but the first, in nats.
func runningLosses(_ tokens: [Int32], _ model: LanguageModel) throws -> [Double] {
    var states = [model.makeState()]
    let hidden = try model.hiddenStates([tokens.dropLast().map { Int($0) }], states: &states)
    let logits = try model.logits(of: hidden, rows: 0..<hidden.rows)
    return (0..<logits.rows).map { row in
        let values = logits.rows(row..<row + 1).values.map { Double($0) }
        let largest = values.max() ?? 0
        let total = values.reduce(0) { $0 + exponential($1 - largest) }
        return naturalLogarithm(total) + largest - values[Int(tokens[row + 1])]
    }
}

@Suite("Adapters")
struct AdapterTests {
    private let pool = ThreadPool(threads: 2)
    private let sequences: [[Int32]] = [
        (0..<14).map { Int32(($0 * 17 + 5) % 61) }, (0..<14).map { Int32(($0 * 7 + 2) % 61) },
    ]

    @Test(
        "of every family they learn, are written and read, and run beside the stored model as they learned",
        arguments: GoldenModels.steadyNames)
    func learnWriteRun(name: String) throws {
        var (_, model) = try goldenModel(name)
        let spec = try Spec(parsing: "lora:rank=3,alpha=6+norms+soft:count=2")
        let learner = try DecoderLearner(adapting: model, by: spec, seed: 1, pool: pool)
        let before = try learner.meanLoss(of: sequences)
        for _ in 0..<10 {
            _ = try learner.computeGradient(of: sequences)
            learner.update(rate: 0.01)
        }
        let learned = try learner.losses(of: sequences)
        #expect(try learner.meanLoss(of: sequences) < before - 0.05)
        let written = try #require(learner.adapter)
        try TestData.withTemporaryFolder { folder in
            try written.write(to: folder, for: model.description, base: name)
            let read = try Adapter(folder: folder, for: model.description)
            #expect(read.weightCount == written.weightCount)
            try model.apply(read)
        }
        for (sequence, losses) in zip(sequences, learned) {
            for (running, learned) in zip(try runningLosses(sequence, model), losses) {
                #expect(abs(running - learned) < 2e-3 * max(1, learned), "\(running) is not \(learned)")
            }
        }
    }

    @Test("their gradients are slopes", arguments: ["grouped-untied", "gpt2", "mixtral", "gemma2", "mamba", "rwkv7"])
    func gradients(name: String) throws {
        let model = try goldenModel(name).model
        let spec = try Spec(parsing: "lora:rank=2+norms+soft:count=2")
        let learner = try DecoderLearner(adapting: model, by: spec, seed: 1, pool: pool)
        var generator = SeededGenerator(seed: 3)
        // Away from the zeros of the start.
        for entry in learner.parameters {
            for i in entry.offset..<entry.offset + entry.count { learner.weights[i] += 0.1 * generator.normal() }
        }
        try learner.expectSlopes(of: sequences, step: 4e-3, &generator)
    }

    /// For each layout a matrix of a shape that is stored in it, made by the methods of the catalogue.
    private func layouts(of shape: [Int]) -> [String: any StoredLinear] {
        let problem = LayerProblem(outputs: shape[0], inputs: shape[1], samples: 200, seed: 2)
        let methods = WeightCatalogue.all.map { $0.entry }
        let single = methods.flatMap { method in
            [method.identifier]
                + method.options.flatMap { option -> [String] in
                    switch option.domain {
                    case .choice(let words): words.map { "\(method.identifier):\(option.name)=\($0)" }
                    case .flag: ["true", "false"].map { "\(method.identifier):\(option.name)=\($0)" }
                    case .integer(let range):
                        [range.lowerBound, range.lowerBound + 2].map { "\(method.identifier):\(option.name)=\($0)" }
                    default: []
                    }
                }
        }
        let pairs = methods.flatMap { a in methods.map { b in "\(a.identifier)+\(b.identifier)" } }
        var found: [String: any StoredLinear] = [:]
        for spec in single + pairs {
            guard let matrix = try? problem.compress(spec) else { continue }
            found[type(of: matrix).layout] = found[type(of: matrix).layout] ?? matrix
        }
        found[DenseOperator.layout] = found[DenseOperator.layout] ?? (try? DenseOperator(StoredTensor(problem.weight)))
        return found
    }

    @Test("through every stored layout flow the gradients that flow through its values")
    func storedLayouts() throws {
        let base = try goldenModel("grouped-untied").model
        let id = base.description.matrices(ofLayer: 0)[4]
        var found = layouts(of: base.description[id].shape)
        for sample in try samples(base.description[id].shape) { found[type(of: sample).layout] = sample }
        // Blocks need longer rows, and have a test of their own.
        let missing = WeightLayouts.catalogue.names.filter { found[$0] == nil && $0 != BlockCodes.layout }
        #expect(missing.isEmpty, "a layout that nothing makes")
        for matrix in found.values {
            try expectGradients(through: matrix, at: id, of: base, "\(type(of: matrix).layout)")
        }
    }

    @Test("and those of GGUF's blocks", arguments: GGUFSample.blockTypes)
    func blockLayouts(type: GGUFType) throws {
        try TestData.withTemporaryFolder { folder in
            try GoldenModels.writeRandomModel(tokenizer: "tiny-gpt2", to: folder) { $0.hiddenSize = 256 }
            let base = try ModelSource(folder).loadModel(layouts: WeightLayouts.catalogue, pool: pool)
            let id = base.description.matrices(ofLayer: 0)[4]
            let shape = base.description[id].shape
            var generator = SeededGenerator(seed: UInt64(type.rawValue))
            let blocks = GGUFSample.randomBlocks(type, count: shape[0] * shape[1] / type.blockLength, &generator)
            let matrix = try BlockCodes(
                type, StoredTensor(bytes: blocks, shape: [shape[0], blocks.count / shape[0]]), columns: shape[1],
                pool: pool)
            try expectGradients(through: matrix, at: id, of: base, type.name)
        }
    }

    /// Holds what is learned through a stored matrix to what is learned through its values.
    private func expectGradients(
        through matrix: any LinearOperator, at id: ParameterID, of base: LanguageModel, _ name: String
    ) throws {
        let learned = try [matrix, DenseOperator(StoredTensor(decoded(matrix)))].map {
            var model = base
            model[matrix: id] = $0
            let learner = try DecoderLearner(
                adapting: model, by: Spec(parsing: "lora:rank=2+soft:count=1"), seed: 1, pool: pool)
            let loss = try learner.computeGradient(of: sequences)
            return (loss, Array(learner.gradient))
        }
        #expect(abs(learned[0].0 - learned[1].0) < 1e-4, "\(name)")
        let scale = learned[1].1.map(abs).max() ?? 0
        #expect(scale > 0)
        #expect(zip(learned[0].1, learned[1].1).allSatisfy { abs($0 - $1) < 1e-3 * scale }, "\(name)")
    }

    /// The values of a matrix, by its products with unit vectors.
    private func decoded(_ matrix: any LinearOperator) -> Tensor {
        var units = Tensor(rows: matrix.inputCount, columns: matrix.inputCount)
        for i in 0..<matrix.inputCount { units[i, i] = 1 }
        return units.multiplied(by: matrix, .float).transposed
    }

    /// Layouts that the methods make of larger matrices only, or of factors.
    private func samples(_ shape: [Int]) throws -> [any StoredLinear] {
        var generator = SeededGenerator(seed: 6)
        let (rows, columns) = (shape[0], shape[1])
        let left = try DenseOperator(StoredTensor(generator.normalTensor([rows, 3], scale: 0.2)))
        let right = try DenseOperator(StoredTensor(generator.normalTensor([3, columns], scale: 0.2)))
        // Of tiles of 16 rows the first is kept.
        let codes = (0..<rows * columns).map { _ in UInt8(generator.index(below: 16)) }
        let scales = [Float](repeating: 0.05, count: rows * ((columns + 31) / 32))
        let tiles = try TileCodes(
            codes: codes, keeping: codes.indices.map { $0 / columns < 16 }, scales: scales, zeros: nil, rows: rows,
            columns: columns, bits: 4, groupSize: 32)
        return [
            try ProductOperator(left: left, right: right), tiles, try words(rows, columns, &generator),
            try ReorderedColumns(tiles, order: (0..<columns).reversed()),
        ]
    }

    /// Codes as MLX has them.
    private func words(
        _ rows: Int, _ columns: Int, _ generator: inout SeededGenerator
    ) throws -> WordCodes {
        let words = (0..<rows * ((4 * columns + 31) / 32)).map { _ in UInt32(truncatingIfNeeded: generator.next()) }
        let parts = StoredParts(
            tensors: [
                "words": StoredTensor(
                    type: .uint32, shape: [rows, words.count / rows], region: ByteRegion(copying: words)),
                "scales": StoredTensor(generator.normalTensor([rows, 1], scale: 0.02), as: .float16),
                "biases": StoredTensor(generator.normalTensor([rows, 1], scale: 0.2), as: .float16),
            ], parameters: ["bits": 4, "groupSize": 32])
        return try WordCodes(parts, shape: [rows, columns], layouts: WeightLayouts.catalogue)
    }

    @Test("merged they are the weights that the model had with them beside it")
    func merge() throws {
        try TestData.withTemporaryFolder { folder in
            var (source, model) = try goldenModel("qwen2")
            let learner = try DecoderLearner(
                adapting: model, by: Spec(parsing: "lora:rank=2,targets=q_proj|down_proj+norms"), seed: 1, pool: pool)
            for _ in 0..<4 {
                _ = try learner.computeGradient(of: sequences)
                learner.update(rate: 0.01)
            }
            try model.apply(try #require(learner.adapter))
            try source.export(model, to: folder, weightsAs: .float32)
            let merged = try ModelSource(folder).loadModel(layouts: WeightLayouts.catalogue, pool: pool)
            var plain = merged
            (plain.cache, plain.precision) = (PlainCache(.float32), .float)
            let (beside, inside) = (try runningLosses(sequences[0], model), try runningLosses(sequences[0], plain))
            #expect(zip(beside, inside).allSatisfy { abs($0 - $1) < 1e-4 })
        }
    }

    @Test("a model with vectors in front reads, forgets and goes on like any other")
    func promptStates() throws {
        var model = try goldenModel("grouped-untied").model
        var adapter = Adapter()
        var generator = SeededGenerator(seed: 2)
        adapter.prompt = generator.normalTensor([3, model.description.streamWidth])
        let plain = try runningLosses(sequences[0], model)
        try model.apply(adapter)
        #expect(throws: PithError.self) { try model.apply(adapter) }
        let whole = try runningLosses(sequences[0], model)
        #expect(zip(plain, whole).contains { abs($0 - $1) > 1e-3 })
        var state = model.makeState()
        #expect(state.position == 0)
        let tokens = sequences[0].map { Int($0) }
        _ = try model.nextLogits(Array(tokens[..<9]), state: &state)
        try state.truncate(to: 4)
        let cut = try model.nextLogits(Array(tokens[4..<9]), state: &state)
        var anew = model.makeState()
        #expect(try model.nextLogits(Array(tokens[..<9]), state: &anew) == cut)
        // The vectors take their part of the context.
        var full = model.makeState()
        let length = model.configuration.contextLength
        #expect(throws: PithError.self) {
            try model.nextLogits([Int](repeating: 1, count: length - 2), state: &full)
        }
    }

    @Test("what does not fit the model is refused by name")
    func refusals() throws {
        let description = try goldenModel("gpt2").model.description
        for (spec, word) in [
            ("lora:targets=nonsense", "nonsense"), ("lora+lora", "twice"), ("soft+soft", "twice"), ("none", "adapter"),
            ("lorra", "lorra"), ("lora:rank=0", "rank"),
        ] {
            let error = #expect(throws: PithError.self) {
                try DecoderLearner(
                    adapting: goldenModel("qwen2").model, by: Spec(parsing: spec), seed: 1, pool: pool)
            }
            #expect(
                error?.description.contains(word) == true || spec.contains("+"), "\(spec): \(String(describing: error))"
            )
        }
        try TestData.withTemporaryFolder { folder in
            let other = try goldenModel("grouped-untied").model
            let learner = try DecoderLearner(adapting: other, by: Spec(parsing: "lora"), seed: 1, pool: pool)
            try #require(learner.adapter).write(to: folder, for: other.description, base: "x")
            // Of another shape, or cut off, or of another kind.
            #expect(throws: PithError.self) { try Adapter(folder: folder, for: description) }
            let path = joinPath(folder, "adapter_model.safetensors")
            try AtomicFile.write(Array(try Files.bytes(path).dropLast(5)), to: path)
            #expect(throws: PithError.self) { try Adapter(folder: folder, for: other.description) }
            try AtomicFile.write(#"{"peft_type": "IA3"}"#, to: joinPath(folder, "adapter_config.json"))
            #expect(throws: PithError.self) { try Adapter(folder: folder, for: other.description) }
        }
    }
}
