import PithCore
import PithFormats
import PithModels
import PithTensor
import PithTestSupport
import PithWeights
import Testing

@Suite("Matrices stored without loss")
struct LosslessMatrixTests {
    private let pool = ThreadPool(threads: 1)

    private func compress(_ weight: Tensor, _ method: String) throws -> any StoredLinear {
        try WeightPipeline(Spec(parsing: method)).compress(name: "w", weight: weight, statistics: nil, seed: 0)
    }

    /// Normal weights rounded to a type.
    private func weight(_ rows: Int, _ columns: Int, as type: ElementType) throws -> StoredTensor {
        var random = SeededGenerator(seed: UInt64(rows * 1000 + columns))
        return StoredTensor(random.normalTensor([rows, columns], scale: 0.05), as: type)
    }

    @Test(
        "products are those of the dense matrix, bit for bit", arguments: ["dfloat11", "zipnn"],
        [ElementType.float32, .float16, .bfloat16])
    func products(method: String, type: ElementType) throws {
        for (rows, columns) in [(1, 1), (16, 64), (17, 33), (100, 257), (48, 4096), (300, 31)] {
            let stored = try weight(rows, columns, as: type)
            let (dense, weight) = (try DenseOperator(stored), try stored.decoded())
            let lossless = try compress(weight, method)
            #expect(try #require(lossless as? any RowDecodable).decodedWeight().values == weight.values)
            var random = SeededGenerator(seed: 4)
            for inputs in [1, 2, 3, 40] {
                let input = random.normalTensor([inputs, columns])
                #expect(input.multiplied(by: lossless) == input.multiplied(by: dense))
            }
        }
    }

    @Test("weights of two bytes take less than 70 %, and one table serves all blocks")
    func size() throws {
        let stored = try weight(256, 256, as: .bfloat16)
        for method in ["dfloat11", "zipnn"] {
            let lossless = try compress(stored.decoded(), method)
            #expect(lossless.storedBits * 100 < 70 * stored.byteCount * 8)
        }
        // Floats that hold two bytes each are stored as such; where no plane is skewed all stay as they are.
        let wide = try compress(Tensor(shape: [4, 64], values: (0..<256).map { Float($0) }), "dfloat11")
        #expect(wide.storedBits <= 256 * 16 + 8 * 16)
    }

    @Test("odd values come back: zeros of both signs, the smallest and the largest numbers")
    func oddValues() throws {
        let values: [Float] = [0, -0.0, .leastNonzeroMagnitude, -.greatestFiniteMagnitude, 1, -1, 0.1, 65504]
        for repeats in [1, 33] {
            let tensor = Tensor(
                shape: [8, repeats], values: (0..<8 * repeats).map { values[$0 % 8] })
            let decoded = try #require(try compress(tensor, "zipnn") as? any RowDecodable).decodedWeight()
            #expect(decoded.values.map(\.bitPattern) == tensor.values.map(\.bitPattern))
        }
    }

    @Test("a model stored so gives the same logits, embeddings and head included", arguments: GoldenModels.names)
    func model(name: String) throws {
        let source = try ModelSource(GoldenModels.path(name))
        func logits(_ folder: ModelSource) throws -> [Float] {
            let model = try folder.loadModel(layouts: WeightLayouts.catalogue, pool: pool)
            var state = model.makeState()
            return try model.nextLogits([1, 5, 9, 2, 7], state: &state)
        }
        for method in ["dfloat11", "zipnn"] {
            try TestData.withTemporaryFolder { folder in
                let target = joinPath(folder, "a")
                try ModelCompressor(
                    source, plan: RunPlan(parsing: "\(method) embeddings=\(method)"), calibration: nil, pool: pool
                ).run(into: target)
                #expect(try logits(ModelSource(target)).map(\.bitPattern) == logits(source).map(\.bitPattern))
            }
        }
    }

    @Test(
        "a model of one type whose weights fit a narrower one says bit for bit the same",
        arguments: ["dfloat11", "zipnn", "entropy"], [ElementType.float32, .float16, .bfloat16])
    func inputsAreKeptAsBefore(method: String, type: ElementType) throws {
        try TestData.withTemporaryFolder { folder in
            // Weights of three bits, which all types hold.
            let source = joinPath(folder, "source")
            let golden = try ModelSource(GoldenModels.path("grouped-untied"))
            try GoldenModels.copyWithoutWeights("grouped-untied", to: source)
            let tensors = try golden.archive().names.map { name in
                let tensor = try golden.archive().tensor(name).decoded()
                let rounded = tensor.values.map { ($0 * 64).rounded() / 64 }
                return (name: name, tensor: StoredTensor(Tensor(shape: tensor.shape, values: rounded), as: type))
            }
            try SafetensorsWriter.write(tensors, to: joinPath(source, TensorArchive.fileName))
            let target = joinPath(folder, "a")
            try ModelCompressor(
                ModelSource(source), plan: RunPlan(parsing: "\(method) embeddings=\(method)"), calibration: nil,
                pool: pool
            ).run(into: target)
            func logits(_ folder: String) throws -> [Float] {
                let model = try ModelSource(folder).loadModel(layouts: WeightLayouts.catalogue, pool: pool)
                var state = model.makeState()
                return try model.nextLogits([1, 5, 9, 2, 7], state: &state)
            }
            #expect(try logits(target).map(\.bitPattern) == logits(source).map(\.bitPattern))
        }
    }

    @Test("what a damaged block holds is no number, and looking for damage finds it")
    func damage() throws {
        let stored = try weight(64, 96, as: .bfloat16)
        let whole = try compress(stored.decoded(), "dfloat11")
        var parts = whole.stored
        let blocks = try #require(parts.tensors["blocks"])
        parts.tensors["blocks"] = StoredTensor(
            bytes: [UInt8](repeating: 0xFF, count: blocks.byteCount), shape: blocks.shape)
        try whole.verify(pool: pool)
        let damaged = try WeightLayouts.catalogue.open("lossless", parts, shape: [64, 96])
        #expect(throws: PithError.self) { try damaged.verify(pool: pool) }
        #expect(try #require(damaged as? any RowDecodable).decodedWeight().values.contains { $0.isNaN })
    }
}
