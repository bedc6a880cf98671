import Foundation
import PithCore
import PithFormats
import PithModels
import PithTensor
import PithTestSupport
import PithWeights
import Testing

@Suite("Entropy coding of what is stored")
struct EntropyCodedTests {
    private let problem = LayerProblem(outputs: 200, inputs: 512, samples: 40, seed: 3)

    /// Every layout that codes can have, and planes of every number of bits.
    static let specs =
        (2...8).map { "rtn:bits=\($0),symmetric=true" } + [
            "rtn:bits=3", "gptq:bits=3", "codebook", "codebook:bits=3", "ternary", "fp8", "vq",
            "vq:dimension=8,codebooks=2",
            "vq:codebooks=3", "magnitude", "magnitude:pattern=2:4", "magnitude+rtn:bits=3",
            "wanda:pattern=2:4+rtn:bits=4",
            "magnitude:block=16x32,sparsity=0.5+rtn:bits=5",
        ]

    @Test("the layout inside is the one that was coded, in fewer bits", arguments: specs)
    func sameLayout(spec: String) throws {
        let (plain, coded) = (try problem.compress(spec), try problem.compress(spec + "+entropy"))
        let matrix = try #require(coded as? EntropyCoded)
        #expect(matrix.inner.hasSameBytes(as: plain))
        #expect(coded.storedBits < plain.storedBits && coded.memoryBits == plain.storedBits)
        let opened = try #require(try coded.reopened() as? EntropyCoded)
        #expect(opened.inner.hasSameBytes(as: plain))
        #expect(
            problem.inputs.multiplied(by: opened, .narrow) == problem.inputs.multiplied(by: plain, .narrow))
    }

    @Test("codes come near to their entropy", arguments: 2...8)
    func nearEntropy(bits: Int) throws {
        var random = SeededGenerator(seed: 5)
        let weight = random.normalTensor([512, 1024])
        let pipeline = try WeightPipeline(Spec(parsing: "rtn:bits=\(bits),symmetric=true,group=0+entropy"))
        let coded = try pipeline.compress(name: "w", weight: weight, statistics: nil, seed: 1)
        let matrix = try #require(coded as? EntropyCoded)
        // One scale for each row, in the order of rows.
        let scales = try #require(matrix.inner.stored.tensors["scales"]).decoded().values
        var counts: [Int: Int] = [:]
        let decoded = matrix.decodedWeight()
        for row in 0..<weight.rows {
            for column in 0..<weight.columns {
                counts[Int((decoded[row, column] / scales[row]).rounded()), default: 0] += 1
            }
        }
        let total = Double(weight.count)
        let ideal = counts.values.reduce(0.0) { $0 + Double($1) * log2(total / Double($1)) }
        let stored = try #require(matrix.stored.tensors["coded.codes"]).byteCount * 8
        #expect(Double(stored) < 1.02 * ideal, "\(Double(stored) / total) bits, their entropy is \(ideal / total)")
    }

    @Test("sums are coded part by part, and can be made behind it")
    func compositions() throws {
        let repaired = try #require(try problem.compress("rtn:bits=3+eora:rank=4+entropy") as? SumOperator)
        #expect(repaired.base is EntropyCoded && repaired.residual is LowRank)
        let behind = try #require(try problem.compress("rtn:bits=3+entropy+eora:rank=4") as? SumOperator)
        #expect(behind.hasSameBytes(as: repaired) && behind.memoryBits > behind.storedBits)
        for spec in ["zipnn+entropy", "rtn+entropy+entropy", "entropy+rtn"] {
            #expect(throws: PithError.self) { try WeightPipeline(Spec(parsing: spec)) }
        }
    }

    @Test("any changed byte of a coded part is noticed")
    func damage() throws {
        let coded = try problem.compress("rtn:bits=3+entropy")
        let part = try #require(coded.stored.tensors["coded.codes"])
        var (random, noticed) = (SeededGenerator(seed: 2), 0)
        let places = (0..<15).map { $0 } + (0..<200).map { _ in random.index(below: part.byteCount) }
        for place in places {
            var bytes = Array(part.region.bytes)
            bytes[place] ^= 1 << UInt8(random.index(below: 8))
            var parts = coded.stored
            parts.tensors["coded.codes"] = StoredTensor(bytes: bytes, shape: [bytes.count])
            let opened = try? WeightLayouts.catalogue.open("entropy", parts, shape: [200, 512])
            // The last bits of a stream may mean nothing.
            if let opened { #expect(opened.decoded == coded.decoded) } else { noticed += 1 }
        }
        #expect(noticed > places.count * 9 / 10)
    }

    @Test("a model is smaller on disk and says the same, with any number of threads")
    func models() throws {
        try TestData.withTemporaryFolder { folder in
            func compress(_ spec: String, _ name: String) throws -> ModelSource {
                let source = try ModelSource(GoldenModels.path("grouped-untied"))
                let spec = try Spec(parsing: spec)
                try ModelCompressor(
                    source, plan: RunPlan(weights: spec, embeddings: spec), calibration: nil,
                    pool: ThreadPool(threads: 2)
                )
                .run(into: joinPath(folder, name))
                return try ModelSource(joinPath(folder, name))
            }
            let (plain, coded) = (
                try compress("rtn:bits=4,group=0", "a"), try compress("rtn:bits=4,group=0+entropy", "b")
            )
            #expect(try coded.weightByteCount().value < plain.weightByteCount().value)
            func logits(_ model: ModelSource, threads: Int) throws -> [Float] {
                let model = try model.loadModel(layouts: WeightLayouts.catalogue, pool: ThreadPool(threads: threads))
                #expect(model.memoryBits >= model.storedBits)
                var state = model.makeState()
                return try model.nextLogits([1, 5, 9, 2, 7], state: &state)
            }
            let expected = try logits(plain, threads: 1)
            for threads in 1...3 { #expect(try logits(coded, threads: threads) == expected) }
        }
    }
}

extension StoredLinear {
    /// The weights as floats.
    fileprivate var decoded: Tensor? { (self as? any RowDecodable)?.decodedWeight() }
}
