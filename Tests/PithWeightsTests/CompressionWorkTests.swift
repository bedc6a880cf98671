import Foundation
import PithCore
import PithFormats
import PithModels
import PithTensor
import PithTestSupport
import PithWeights
import Testing

@Suite("Work on a model that is written as it comes")
struct CompressionWorkTests {
    private let calibration = CalibrationText(name: "letters", text: GoldenModels.text(letters: 1200))

    private func compressor(
        _ spec: String = "gptq:bits=4 embeddings=rtn:bits=8", model: String = "grouped-untied", seed: UInt64 = 7,
        tokens: Int = 1000, threads: Int = 2, singleFileLimit: Int = 64 << 20
    ) throws -> ModelCompressor {
        var compressor = try ModelCompressor(
            ModelSource(model.contains("/") ? model : GoldenModels.path(model)), plan: RunPlan(parsing: spec),
            seed: seed,
            calibration: calibration, calibrationTokenCount: tokens, pool: ThreadPool(threads: threads))
        compressor.singleFileLimit = singleFileLimit
        return compressor
    }

    private func bytes(_ folder: String) throws -> [String: [UInt8]] {
        Dictionary(
            uniqueKeysWithValues: try Files.names(in: folder).map { ($0, try Files.bytes(joinPath(folder, $0))) })
    }

    /// A request to stop that is there from the beginning: one layer is done at a time.
    private var raised: StopRequest {
        let stop = StopRequest()
        stop.raise()
        return stop
    }

    @Test(arguments: ["grouped-untied", "mixtral", "gpt2", "rwkv7", "gemma3"], [0, 64 << 20])
    func workThatWasStoppedGivesTheSameBytes(model: String, limit: Int) throws {
        try TestData.withTemporaryFolder { folder in
            let (whole, parts) = (joinPath(folder, "whole"), joinPath(folder, "parts"))
            try compressor(model: model, singleFileLimit: limit).run(into: whole)
            var runs = 0
            // Other threads each time.
            while try !compressor(model: model, threads: runs % 3 + 1, singleFileLimit: limit)
                .run(into: parts, isResumed: runs > 0, stop: raised)
            {
                runs += 1
                #expect(!Files.exists(parts))
                // Each run must come further.
                try #require(runs < 20)
            }
            let layers = try ModelSource(GoldenModels.path(model)).description.layers.count
            #expect(runs == layers - 1)
            #expect(try bytes(whole) == bytes(parts))
            #expect(try Files.names(in: folder) == ["parts", "whole"])
        }
    }

    /// What the end of a program at any moment leaves undone, behind the first of two layers.
    private static let missing = [
        ["hidden-states.safetensors"],
        ["hidden-states.safetensors", "part-1.json"],
        ["hidden-states.safetensors", "part-1.json", "model/model-00002-of-00003.safetensors"],
        ["part-0.json"],
        ["hidden-states.safetensors", "part-0.json", "part-1.json", "inputs.json", "model"],
    ]

    @Test(arguments: missing)
    func workGoesOnWhateverItsEndLeftUndone(names: [String]) throws {
        try TestData.withTemporaryFolder { folder in
            let (whole, parts) = (joinPath(folder, "whole"), joinPath(folder, "parts"))
            try compressor().run(into: whole)
            #expect(try !compressor().run(into: parts, stop: raised))
            for name in names { try Files.remove(joinPath(parts + ".part", name)) }
            try compressor().run(into: parts, isResumed: true)
            #expect(try bytes(parts) == bytes(whole))
        }
    }

    /// The same while parts are put together in one file: once that is there parts may be gone.
    @Test func workGoesOnWhenPartsAreGone() throws {
        try TestData.withTemporaryFolder { folder in
            let (whole, parts) = (joinPath(folder, "whole"), joinPath(folder, "parts"))
            try compressor().run(into: whole)
            #expect(try !compressor().run(into: parts, stop: raised))
            let model = joinPath(parts + ".part", "model")
            try Files.copy(joinPath(whole, TensorArchive.fileName), to: joinPath(model, TensorArchive.fileName))
            try Files.remove(joinPath(model, "model-00001-of-00003.safetensors"))
            try compressor().run(into: parts, isResumed: true)
            #expect(try bytes(parts) == bytes(whole))
        }
    }

    @Test func otherInputsAreRefused() throws {
        try TestData.withTemporaryFolder { folder in
            let model = joinPath(folder, "model")
            try Files.makeFolder(model)
            for name in try Files.names(in: GoldenModels.path("grouped-untied")) {
                try Files.copy(joinPath(GoldenModels.path("grouped-untied"), name), to: joinPath(model, name))
            }
            let target = joinPath(folder, "out")
            #expect(try !compressor(model: model).run(into: target, stop: raised))
            func refusal(_ compressor: ModelCompressor, isResumed: Bool = true) throws -> String {
                let error = #expect(throws: PithError.self) {
                    try compressor.run(into: target, isResumed: isResumed, stop: raised)
                }
                return "\(error?.description ?? "")"
            }
            #expect(try refusal(compressor(model: model), isResumed: false).contains("--resume"))
            #expect(try refusal(compressor("gptq:bits=3", model: model)).contains("weights is"))
            #expect(try refusal(compressor("gptq:bits=4", model: model)).contains("embeddings is"))
            #expect(try refusal(compressor(model: model, seed: 8)).contains("seed is"))
            #expect(try refusal(compressor(model: model, tokens: 900)).contains("calibrationTokens is"))
            var other = try compressor(model: model)
            other = try ModelCompressor(
                other.source, plan: other.plan, seed: 7,
                calibration: CalibrationText(name: "letters", text: GoldenModels.text(letters: 1201)),
                calibrationTokenCount: 1000, pool: ThreadPool(threads: 1))
            #expect(try refusal(other).contains("calibration is"))
            // Another model, with other weights alone.
            let weights = joinPath(model, TensorArchive.fileName)
            var damaged = try Files.bytes(weights)
            damaged[damaged.count - 1] ^= 1
            try AtomicFile.write(damaged, to: weights)
            #expect(try refusal(compressor(model: model)).contains("\(TensorArchive.fileName) is"))
            damaged[damaged.count - 1] ^= 1
            try AtomicFile.write(damaged, to: weights)
            // What was refused has changed nothing.
            #expect(try compressor(model: model).run(into: target, isResumed: true))
            let error = #expect(throws: PithError.self) {
                try compressor(model: model).run(into: joinPath(folder, "none"), isResumed: true)
            }
            #expect(error?.description.contains("no work") == true)
        }
    }

    @Test func damagedWorkIsRefusedAndKept() throws {
        try TestData.withTemporaryFolder { folder in
            let target = joinPath(folder, "out")
            let work = target + ".part"
            #expect(try !compressor().run(into: target, stop: raised))
            let files = [
                "inputs.json", "part-1.json", "hidden-states.safetensors", "model/model-00002-of-00003.safetensors",
            ]
            for name in files {
                let path = joinPath(work, name)
                let original = try Files.bytes(path)
                for cut in [0, 1, original.count / 2] {
                    try AtomicFile.write(original.prefix(cut), to: path)
                    #expect(throws: PithError.self, "\(name)") { try compressor().run(into: target, isResumed: true) }
                    #expect(try Files.bytes(path).count == cut)
                }
                try AtomicFile.write(original, to: path)
            }
            #expect(try compressor().run(into: target, isResumed: true))
        }
    }

    @Test(arguments: ["grouped-untied", "mixtral", "qwen2-moe"])
    func aLimitOfMemoryChangesNoByte(model: String) throws {
        try TestData.withTemporaryFolder { folder in
            try compressor(model: model).run(into: joinPath(folder, "free"))
            var limited = try compressor(model: model)
            limited.memoryLimit = ByteCount(1)
            let error = #expect(throws: PithError.self) { try limited.run(into: joinPath(folder, "a")) }
            #expect(error?.description.contains("needs at least") == true)
            #expect(try Files.names(in: folder) == ["free"])
            // Layers run once for each group of their matrices, one sequence at a time.
            var (low, high) = (0, 1 << 40)
            while high - low > 1 {
                limited.memoryLimit = ByteCount((low + high) / 2)
                if (try? limited.makePlan(isTimed: false)) == nil {
                    low = (low + high) / 2
                } else {
                    high = (low + high) / 2
                }
            }
            limited.memoryLimit = ByteCount(high)
            let schedule = try limited.makePlan(isTimed: false).schedule
            #expect(schedule.gathers[0].count > 1 && schedule.batchSize == 1)
            try limited.run(into: joinPath(folder, "limited"))
            #expect(try bytes(joinPath(folder, "limited")) == bytes(joinPath(folder, "free")))
        }
    }

    @Test(arguments: ["gptq:bits=4", "rtn:bits=3,group=0", "svd:rank=4", "sparsegpt:pattern=2:4+gptq:bits=4", "zipnn"])
    func aPlanForeseesTheBytes(spec: String) throws {
        try TestData.withTemporaryFolder { folder in
            let model = joinPath(folder, "model")
            try Files.makeFolder(model)
            // Larger than the pieces that are looked at.
            try GoldenModels.writeRandomModel(tokenizer: "tiny-gpt2", to: model) {
                ($0.hiddenSize, $0.intermediateSize, $0.headCount, $0.layerCount) = (192, 1344, 3, 2)
            }
            let compressor = try compressor(spec, model: model)
            let plan = try compressor.makePlan()
            #expect(try Files.names(in: folder) == ["model"])
            #expect(plan.kinds.count == 7 && plan.kinds.allSatisfy { $0.count == 2 })
            #expect(try #require(plan.seconds) > 0 && plan.peakMemory > plan.resultBytes)
            try compressor.run(into: joinPath(folder, "out"))
            let real = Double(try ModelSource(joinPath(folder, "out")).byteCount().value)
            #expect(abs(Double(plan.resultBytes.value) / real - 1) < 0.02, "\(plan.resultBytes) for \(real)")
        }
    }

    @Test(.enabled(if: TestData.has("smollm2-135m-instruct.gguf"), "needs smollm2-135m-instruct.gguf"))
    func aGGUFFileBecomesAFolder() throws {
        let path = try #require(TestData.path("smollm2-135m-instruct.gguf"))
        try TestData.withTemporaryFolder { folder in
            let (source, pool) = (try ModelSource(path), ThreadPool())
            let target = joinPath(folder, "out")
            try ModelCompressor(
                source, plan: RunPlan(parsing: "rtn:bits=8 embeddings=rtn:bits=8"), calibration: nil, pool: pool
            ).run(into: target)
            let compressed = try ModelSource(target)
            #expect(compressed.tokenizer.encode("One two", .plain) == source.tokenizer.encode("One two", .plain))
            #expect(compressed.endTokens == source.endTokens)
            func logits(_ source: ModelSource) throws -> [Float] {
                let model = try source.loadModel(layouts: WeightLayouts.catalogue, pool: pool)
                var state = model.makeState()
                return try model.nextLogits(source.tokenizer.encode("The capital of France is", .plain), state: &state)
            }
            let (before, after) = (try logits(source), try logits(compressed))
            let (best, second) = (
                before.indices.max { before[$0] < before[$1] }, after.indices.max { after[$0] < after[$1] }
            )
            let distance = zip(before, after).reduce(0.0) { $0 + Double($1.0 - $1.1) * Double($1.0 - $1.1) }
            let size = before.reduce(0.0) { $0 + Double($1) * Double($1) }
            #expect(
                best == second && distance > 0 && (distance / size).squareRoot() < 0.15,
                "\((distance / size).squareRoot())")
        }
    }
}
