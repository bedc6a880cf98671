import Foundation
import PithConversion
import PithCore
import PithFormats
import PithModels
import PithTensor
import PithTestSupport
import PithWeights
import Testing

/// The folders of `Tests/Golden/checkpoints`, which other programs' packages packed.
private enum Checkpoints {
    static let folder = joinPath(GoldenModels.folder, "../checkpoints")
    static let names = [
        "gptq-4", "gptq-3", "gptq-8-rows", "gptq-4-reordered", "awq", "packed-4", "packed-3-zeros", "integers",
        "floats",
        "bitmask", "mlx-4", "mlx-3", "mlx-8",
    ]
    static let pool = ThreadPool(threads: 2)

    static func open(_ name: String) throws -> ModelSource { try ModelSource(joinPath(folder, name)) }

    static func matrix(_ module: String, of source: ModelSource) throws -> any LinearOperator {
        let model = try source.loadModel(layouts: WeightLayouts.catalogue, pool: pool)
        let name = "model.layers.0.\(module).weight"
        let index = try #require(source.description.parameters.firstIndex { $0.name == name })
        return model[matrix: ParameterID(index)]
    }
}

@Suite struct CheckpointTests {
    @Test(arguments: Checkpoints.names)
    func matricesStandForWhatTheirPackagesSay(name: String) throws {
        let source = try Checkpoints.open(name)
        let expected = try SafetensorsFile(joinPath(source.path, "expected.safetensors"))
        for module in ["self_attn.k_proj", "mlp.down_proj"] {
            let wanted = try #require(expected[module]).decoded()
            let found = try Checkpoints.matrix(module, of: source).denseWeight(pool: Checkpoints.pool)
            #expect(found.shape == wanted.shape)
            // MLX multiplies and adds in one step; everything else is exact.
            let tolerance: Float = name.hasPrefix("mlx") ? 1e-6 : 0
            #expect(zip(found.values, wanted.values).allSatisfy { abs($0 - $1) <= tolerance }, "\(module)")
        }
    }

    @Test(arguments: Checkpoints.names)
    func productsAreThoseOfTheDecodedMatrix(name: String) throws {
        let source = try Checkpoints.open(name)
        let matrix = try Checkpoints.matrix("mlp.down_proj", of: source)
        let weight = matrix.denseWeight(pool: Checkpoints.pool)
        var random = SeededGenerator(seed: 3)
        for rows in [1, 2, 5] {
            let input = random.normalTensor([rows, matrix.inputCount])
            let product = input.multiplied(by: matrix)
            for row in 0..<rows {
                for output in 0..<matrix.outputCount {
                    let sum = (0..<matrix.inputCount).reduce(0.0) {
                        $0 + Double(input[row, $1]) * Double(weight[output, $1])
                    }
                    #expect(abs(Double(product[row, output]) - sum) < 1e-4)
                }
            }
        }
    }

    @Test(arguments: Checkpoints.names)
    func goIntoPithsFolderAndBackWithoutALoss(name: String) throws {
        try TestData.withTemporaryFolder { folder in
            let source = try Checkpoints.open(name)
            let stored = joinPath(folder, "stored")
            let report = try ModelConverter(source, to: FormatCatalogue.format("pith"), pool: Checkpoints.pool)
                .run(to: stored)
            #expect(report.isExact && report.roundedCount == 0)
            let spec = try #require(Self.formats[name])
            let back = joinPath(folder, "back")
            let second = try ModelConverter(
                ModelSource(stored), to: FormatCatalogue.format(spec), pool: Checkpoints.pool
            )
            .run(to: back)
            #expect(second.isExact, "\(second.largestError)")
            #expect(try ModelSource(back).isCheckpoint)
        }
    }

    /// The format in which each folder is written again.
    private static let formats = [
        "gptq-4": "gptq:bits=4,group=32", "gptq-3": "gptq:bits=3,group=32", "gptq-8-rows": "gptq:bits=8,group=0",
        "gptq-4-reordered": "gptq:bits=4,group=32", "awq": "awq:group=32",
        "packed-4": "compressed-tensors:bits=4,group=32",
        "packed-3-zeros": "compressed-tensors:bits=3,group=32,symmetric=false",
        "integers": "compressed-tensors:format=int-quantized,group=0",
        "floats": "compressed-tensors:format=float-quantized,group=0",
        "bitmask": "compressed-tensors:format=sparse-bitmask", "mlx-4": "mlx:bits=4,group=32",
        "mlx-3": "mlx:bits=3,group=32", "mlx-8": "mlx:bits=8,group=64",
    ]

    @Test(arguments: ["gptq-4", "awq", "packed-4", "packed-3-zeros", "integers"])
    func areGGUFFilesWithoutALoss(name: String) throws {
        try TestData.withTemporaryFolder { folder in
            let target = joinPath(folder, "model.gguf")
            let report = try ModelConverter(
                Checkpoints.open(name), to: FormatCatalogue.format("gguf"), pool: Checkpoints.pool
            )
            .run(to: target)
            #expect(report.isExact, "\(report.largestError)")
        }
    }

    @Test func whatHasNoRoomIsRefusedByName() throws {
        try TestData.withTemporaryFolder { folder in
            let source = try Checkpoints.open("floats")
            let error = #expect(throws: PithError.self) {
                _ = try ModelConverter(source, to: FormatCatalogue.format("gptq:bits=4"), pool: Checkpoints.pool)
            }
            #expect(error?.description.contains("compressed-tensors:format=float-quantized") == false)
            #expect(error?.description.contains("hf") == true)
            let other = #expect(throws: PithError.self) {
                let grids = try Checkpoints.open("gptq-4")
                _ = try ModelConverter(grids, to: FormatCatalogue.format("gptq:bits=8"), pool: Checkpoints.pool)
            }
            #expect(other?.description.contains("gptq:bits=4,group=32") == true)
            #expect(try Files.names(in: folder).isEmpty)
        }
    }

    @Test func unknownQuantisationIsNamed() throws {
        try TestData.withTemporaryFolder { folder in
            try Files.copy(
                joinPath(Checkpoints.folder, "gptq-4/model.safetensors"), to: joinPath(folder, "model.safetensors"))
            try Files.copy(
                joinPath(Checkpoints.folder, "gptq-4/tokenizer.json"), to: joinPath(folder, "tokenizer.json"))
            let text = try Files.text(joinPath(Checkpoints.folder, "gptq-4/config.json"))
            try AtomicFile.write(
                text.replacing("\"gptq\"", with: "\"bitsandbytes\""), to: joinPath(folder, "config.json"))
            let error = #expect(throws: PithError.self) {
                _ = try ModelSource(folder).loadModel(layouts: WeightLayouts.catalogue, pool: Checkpoints.pool)
            }
            #expect(error?.description.contains("gptq, awq, compressed-tensors, mlx") == true)
        }
    }
}
