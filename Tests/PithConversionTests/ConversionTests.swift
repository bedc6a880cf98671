import PithConversion
import PithCore
import PithFormats
import PithModels
import PithTensor
import PithTestSupport
import PithWeights
import Testing

private let pool = ThreadPool(threads: 2)

/// Converts a model; the report says what became of it.
private func convert(_ source: ModelSource, to spec: String, _ target: String) throws -> ConversionReport {
    try ModelConverter(source, to: FormatCatalogue.format(spec), pool: pool).run(to: target)
}

@Suite struct ConversionTests {
    /// Families that GGUF files have names for, and what must be changed in the configuration of the tiny model for that
    /// such files have keys for every switch.
    static let ggufNames = [
        "grouped-untied": [:], "multi-query-tied": [:], "head-dim": [:], "llama3-rope": [:], "llama-biases": [:],
        "qwen2": [:], "qwen3": [:], "yarn-rope": [:], "phi3": [:], "gpt2": [:], "gpt-neox": [:], "bert": [:],
        "gemma2": ["query_pre_attn_scalar": 10], "mixtral": ["sliding_window": JSONValue.null],
        "gemma3": [
            "query_pre_attn_scalar": 10,
            "layer_types": ["sliding_attention", "sliding_attention", "sliding_attention", "sliding_attention"],
        ],
    ]

    /// The tiny model of that name with a changed configuration.
    private static func changed(_ name: String, in folder: String) throws -> ModelSource {
        let copy = joinPath(folder, "source")
        try GoldenModels.copyWithoutWeights(name, to: copy)
        try Files.copy(joinPath(GoldenModels.path(name), "model.safetensors"), to: joinPath(copy, "model.safetensors"))
        let path = joinPath(copy, "config.json")
        var object = try JSONReader(JSONValue(contentsOf: path)).object()
        for (key, value) in try #require(ggufNames[name]) { object[key] = value }
        try Files.remove(path)
        try JSONValue.object(object).write(to: path)
        return try ModelSource(copy)
    }

    @Test(arguments: ["gemma2", "gemma3", "mixtral", "qwen3-moe"])
    func switchesWithoutAKeyAreRefused(name: String) throws {
        try TestData.withTemporaryFolder { folder in
            let error = #expect(throws: PithError.self) {
                _ = try convert(ModelSource(GoldenModels.path(name)), to: "gguf", joinPath(folder, "model.gguf"))
            }
            #expect(error?.description.contains("no words for") == true)
            let left = try Files.names(in: folder)
            #expect(left.isEmpty)
        }
    }

    @Test(arguments: ggufNames.keys.sorted())
    func foldersBecomeGGUFFilesAndFoldersAgain(name: String) throws {
        try TestData.withTemporaryFolder { folder in
            let source = try Self.changed(name, in: folder)
            let (file, back) = (joinPath(folder, "model.gguf"), joinPath(folder, "back"))
            #expect(try convert(source, to: "gguf", file).isExact)
            #expect(try convert(ModelSource(file), to: "hf", back).isExact)
            let text = GoldenModels.text(letters: 40)
            for path in [file, back] {
                let copy = try ModelSource(path)
                #expect(copy.tokenizer.encode(text, .full) == source.tokenizer.encode(text, .full))
                #expect(try Self.logits(of: copy, text) == Self.logits(of: source, text), "\(path)")
            }
        }
    }

    private static func logits(of source: ModelSource, _ text: String) throws -> [Float] {
        let model = try source.loadModel(layouts: WeightLayouts.catalogue, pool: pool, allowingEncoders: true)
        var states = [model.makeState()]
        let hidden = try model.hiddenStates([Array(source.tokenizer.encode(text, .full).prefix(12))], states: &states)
        if source.description.output == nil { return hidden.values }
        return try model.logits(of: hidden, rows: 0..<hidden.rows).values
    }

    /// Such files have an exponential of Mamba's rates, which cannot be taken back to the last bit.
    @Test(arguments: ["mamba", "mamba-biases"])
    func ratesOfMambaBecomeNearlyThemselvesAgain(name: String) throws {
        try TestData.withTemporaryFolder { folder in
            let (source, file) = (try ModelSource(GoldenModels.path(name)), joinPath(folder, "model.gguf"))
            let report = try convert(source, to: "gguf", file)
            #expect(report.largestError.value < 1e-6 && report.largestError.parameter.hasSuffix("A_log"))
            let text = GoldenModels.text(letters: 40)
            let (before, after) = (try Self.logits(of: source, text), try Self.logits(of: ModelSource(file), text))
            #expect(zip(before, after).allSatisfy { abs($0 - $1) < 1e-4 })
        }
    }

    @Test(.enabled(if: TestData.has("all-MiniLM-L6-v2/model.safetensors"), "needs all-MiniLM-L6-v2"))
    func sentencesHaveTheSameVectorsInAFile() throws {
        try TestData.withTemporaryFolder { folder in
            let source = try ModelSource(#require(TestData.path("all-MiniLM-L6-v2")))
            let file = joinPath(folder, "model.gguf")
            #expect(try convert(source, to: "gguf", file).isExact)
            let texts = ["A cat sits on the mat.", "Ein Kätzchen, naïve; 東京!", "unbelievably long-winded words"]
            let vectors = try [source, ModelSource(file)].map { source in
                try TextEncoder(
                    source, source.loadModel(layouts: WeightLayouts.catalogue, pool: pool, allowingEncoders: true)
                ).encode(texts)
            }
            #expect(vectors[0].values == vectors[1].values && vectors[0].tokenCounts == vectors[1].tokenCounts)
        }
    }

    @Test func familiesWithoutAPlaceAreRefusedByName() throws {
        let error = #expect(throws: PithError.self) {
            _ = try ModelConverter(
                ModelSource(GoldenModels.path("rwkv7")), to: FormatCatalogue.format("gguf"), pool: pool)
        }
        #expect(error?.description.contains("--to hf") == true)
    }

    @Test func elementsKeepTheirTypeUnlessTheyAreToldOtherwise() throws {
        try TestData.withTemporaryFolder { folder in
            let source = try ModelSource(GoldenModels.path("grouped-untied"))
            let half = try convert(source, to: "hf:F16", joinPath(folder, "half"))
            #expect(!half.isExact && half.relativeError < 1e-3 && half.roundedCount == 0)
            #expect(
                try convert(ModelSource(joinPath(folder, "half")), to: "gguf", joinPath(folder, "half.gguf")).isExact)
            #expect(try convert(source, to: "hf", joinPath(folder, "same")).isExact)
        }
    }

    @Test(arguments: GGUFType.allCases.filter { $0.form != nil })
    func blocksAreRoundedAndKeptFromThenOn(type: GGUFType) throws {
        try TestData.withTemporaryFolder { folder in
            try GoldenModels.writeRandomModel(tokenizer: "tiny-llama3", to: folder) { c in
                (c.hiddenSize, c.intermediateSize, c.headCount, c.keyValueHeadCount) = (256, 512, 4, 2)
                c.headDimension = 64
            }
            let source = try ModelSource(folder)
            let (file, again) = (joinPath(folder, "model.gguf"), joinPath(folder, "again.gguf"))
            let report = try convert(source, to: "gguf:\(type.name)", file)
            #expect(report.roundedCount == 8 && report.forms["blocks of \(type.name)"] != nil)
            let bits = Double(type.form?.bits ?? 0)
            // A grid of that many bits over normal weights errs by no more.
            #expect(report.relativeError < 1.4 / bits.exponential2, "\(report.relativeError)")
            #expect(try convert(ModelSource(file), to: "gguf", again).isExact)
            let stored = joinPath(folder, "stored")
            #expect(try convert(ModelSource(file), to: "pith", stored).isExact)
            #expect(try convert(ModelSource(stored), to: "gguf", joinPath(folder, "third.gguf")).isExact)
        }
    }

    @Test func importanceDecidesWhichErrorsCount() throws {
        var random = SeededGenerator(seed: 5)
        let weight = random.normalTensor([8, 64])
        let importance = (0..<64).map { Float($0 % 4 == 0 ? 100 : 1) }
        for type in [GGUFType.q40, .q41, .iq4NL] {
            let form = try #require(BlockGrid(type))
            func error(_ importance: [Float]?) throws -> Double {
                let matrix = try form.nearest(weight, importance: importance, pool: pool).denseWeight(pool: pool)
                return (0..<weight.count).reduce(0) { sum, i in
                    let difference = Double(matrix.values[i] - weight.values[i])
                    return sum + difference * difference * (i % 64 % 4 == 0 ? 100 : 1)
                }
            }
            #expect(try error(importance) < error(nil), "\(type.name)")
        }
    }

    @Test func vectorCodesHaveNoRoomInOtherFormats() throws {
        try TestData.withTemporaryFolder { folder in
            let source = joinPath(folder, "model")
            try Files.makeFolder(source)
            try GoldenModels.writeRandomModel(tokenizer: "tiny-llama3", to: source) { c in
                (c.hiddenSize, c.intermediateSize) = (64, 96)
                c.headDimension = 32
            }
            let compressed = joinPath(folder, "vectors")
            try ModelCompressor(
                ModelSource(source), plan: RunPlan(parsing: "vq"),
                calibration: CalibrationText(name: "letters", text: GoldenModels.text(letters: 600)), pool: pool
            ).run(into: compressed)
            for spec in ["gguf", "gptq", "awq", "mlx", "compressed-tensors"] {
                let error = #expect(throws: PithError.self) {
                    _ = try ModelConverter(ModelSource(compressed), to: FormatCatalogue.format(spec), pool: pool)
                }
                #expect(error?.description.contains("which \(spec) has no place for") == true)
            }
            #expect(try convert(ModelSource(compressed), to: "hf:F32", joinPath(folder, "floats")).isExact)
        }
    }

    @Test func nothingIsLeftWhereWritingFails() throws {
        try TestData.withTemporaryFolder { folder in
            let source = try ModelSource(GoldenModels.path("dynamic-rope"))
            #expect(throws: PithError.self) { _ = try convert(source, to: "gguf", joinPath(folder, "model.gguf")) }
            #expect(try Files.names(in: folder).isEmpty)
        }
    }

    @Test func formatsAreReadWithAndWithoutNames() throws {
        #expect(throws: Never.self) { try FormatCatalogue.format("gguf:Q4_K,tables=Q8_0") }
        #expect(throws: Never.self) { try FormatCatalogue.format("gptq:4,group=64") }
        #expect(throws: PithError.self) { try FormatCatalogue.format("gguf:Q9") }
        #expect(throws: PithError.self) { try FormatCatalogue.format("onnx") }
    }
}

extension Double {
    /// Two to this power, of small whole numbers.
    fileprivate var exponential2: Double { Double(sign: .plus, exponent: Int(self), significand: 1) }
}
