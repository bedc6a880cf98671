import PithCore
import PithFormats
import PithModels
import PithTensor
import PithTestSupport
import PithTraining
import PithWeights
import Testing

@Suite("Learning goes on from models that are there")
struct ContinuationTests {
    private let pool = ThreadPool(threads: 2)
    private let tokens: [Int32] = (0..<400).map { (i: Int) -> Int32 in
        let square = i * i
        return Int32((7 * square + 3 * i) % 61)
    }

    private func trainer(
        _ name: String, adapters: Spec? = nil, _ overrides: [String] = [], threads: Int = 2
    ) throws -> Trainer {
        let (source, model) = try goldenModel(name)
        let pool = ThreadPool(threads: threads)
        let base = try TrainingBase(source, model, adapters: adapters, pool: pool)
        let usual = [
            "sequenceLength=12", "batchSize=4", "steps=8", "warmupSteps=0", "learningRate=0.003", "outputType=float32",
        ]
        let settings = try base.settings.overridden(by: usual + overrides, contextLength: base.contextLength)
        return try Trainer(base, settings, tokens: tokens, pool: pool)
    }

    @Test("every family learns on, and stopped and resumed it ends in the same bits", arguments: GoldenModels.names)
    func families(name: String) throws {
        try TestData.withTemporaryFolder { folder in
            let straight = try trainer(name)
            let before = try straight.bitsPerByte(of: tokens, byteCount: tokens.count)
            #expect(try straight.run())
            let after = try straight.bitsPerByte(of: tokens, byteCount: tokens.count)
            #expect(after < before)

            let path = joinPath(folder, "checkpoint.safetensors")
            let stopped = try trainer(name)
            #expect(try !stopped.run(checkpoint: path) { if $0.step == 3 { stopped.stopRequest.raise() } })
            let resumed = try trainer(name)
            try resumed.resume(from: path)
            #expect(try resumed.run())
            #expect(resumed.weightValues.map(\.bitPattern) == straight.weightValues.map(\.bitPattern))

            // What is written is a model of the same family, and predicts the same.
            let out = joinPath(folder, "model")
            try straight.exportModel(to: out)
            let again = try ModelSource(out)
            let model = try again.loadModel(layouts: WeightLayouts.catalogue, pool: pool)
            let learner = DecoderLearner(continuing: model, pool: pool)
            // Weights of norms that are stored as one less lose their last bits.
            #expect(zip(learner.weights, straight.weightValues).allSatisfy { abs($0 - $1) <= 1e-7 })
        }
    }

    @Test(
        "layers that run twice, and any number of threads, give the same bits",
        arguments: ["grouped-untied", "qwen2-moe", "mamba", "rwkv7"])
    func recomputation(name: String) throws {
        let spec = try Spec(parsing: "lora:rank=2+norms+soft:count=2")
        for adapters in [nil, spec] {
            let runs = try [("recompute=false", 1), ("recompute=true", 3)].map { setting, threads in
                let trainer = try trainer(name, adapters: adapters, [setting, "steps=3"], threads: threads)
                #expect(try trainer.run())
                return trainer.weightValues.map(\.bitPattern)
            }
            #expect(runs[0] == runs[1])
        }
    }

    @Test("a checkpoint of another base, other adapters or other settings is refused by name")
    func refusals() throws {
        try TestData.withTemporaryFolder { folder in
            let path = joinPath(folder, "checkpoint.safetensors")
            let lora = try Spec(parsing: "lora:rank=2")
            let begun = try trainer("qwen2", adapters: lora)
            begun.takeStep()
            try begun.saveCheckpoint(to: path)
            for (other, word) in try [
                (trainer("qwen3", adapters: lora), "base model"),
                (trainer("qwen2", adapters: Spec(parsing: "lora:rank=3")), "adapters"),
                (trainer("qwen2", adapters: lora, ["steps=9"]), "steps is 9, not 8"),
            ] {
                let error = #expect(throws: PithError.self) { try other.resume(from: path) }
                #expect(error?.message.contains(word) == true, "\(String(describing: error))")
            }
        }
    }

    @Test("compressed models learn on: all weights, decoded, and adapters beside what is stored")
    func compressed() throws {
        let (source, plain) = try goldenModel("grouped-untied")
        var model = plain
        for id in model.description.layers.indices.flatMap({ model.description.matrices(ofLayer: $0) }) {
            let shape = model.description[id].shape
            model[matrix: id] = try LayerProblem(outputs: shape[0], inputs: shape[1], samples: 100, seed: 3)
                .compress("rtn:bits=4")
        }
        for adapters in [nil, try Spec(parsing: "lora:rank=2")] {
            let base = try TrainingBase(source, model, adapters: adapters, pool: pool)
            let settings = try base.settings.overridden(
                by: ["sequenceLength=12", "steps=8", "learningRate=0.01"], contextLength: base.contextLength)
            let trainer = try Trainer(base, settings, tokens: tokens, pool: pool)
            let before = try trainer.bitsPerByte(of: tokens, byteCount: tokens.count)
            #expect(try trainer.run())
            #expect(try trainer.bitsPerByte(of: tokens, byteCount: tokens.count) < before)
        }
    }

    @Test("a limit of memory has layers run twice, or refuses")
    func memoryLimit() throws {
        let (source, model) = try goldenModel("grouped-untied")
        let base = try TrainingBase(source, model, pool: pool)
        let usual = base.settings
        var twice = usual
        twice.recompute = true
        let (more, less) = (base.memory(usual, threads: 2), base.memory(twice, threads: 2))
        #expect(less.value < more.value)
        #expect(try !base.settings(usual, within: more, threads: 2).recompute)
        #expect(try base.settings(usual, within: less, threads: 2).recompute)
        let error = #expect(throws: PithError.self) {
            try base.settings(usual, within: ByteCount(less.value - 1), threads: 2)
        }
        #expect(error?.message.contains("limit") == true)
    }
}
