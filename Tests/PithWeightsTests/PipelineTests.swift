import PithCore
import PithModels
import PithTensor
import PithTestSupport
import PithWeights
import Testing

@Suite("Specs and calibration")
struct PipelineTests {
    private func refusal(of spec: String) -> PithError? {
        do { _ = try WeightPipeline(Spec(parsing: spec)) } catch { return error }
        return nil
    }

    @Test(
        "wrong specs are refused with advice",
        arguments: [
            ("gtpq", "did you mean gptq"), ("sparse-gpt:sparsity=0.5", "did you mean sparsegpt"),
            ("zzz", "the methods are rtn, gptq"), ("rtn:bits=9", "2…8"), ("rtn:group=40", "64"),
            ("rtn:groups=64", "bits, group, symmetric"), ("sparsegpt:pattern=3:3", "2:4"),
            ("rtn+gptq", "sparsegpt:pattern=2:4+gptq"), ("wanda:pattern=2:4,block=16x32", "one of them"),
            ("rtn+magnitude", "put magnitude first"),
            ("eora+rtn", "put rtn first"), ("none", "rtn:bits=4"),
        ])
    func refusals(spec: String, advice: String) throws {
        let error = try #require(refusal(of: spec))
        #expect(error.kind == .usage)
        #expect(error.description.contains(advice) && error.description.contains(spec))
    }

    @Test("a pipeline needs what its neediest stage needs")
    func needs() throws {
        func needs(_ spec: String) throws -> CalibrationNeeds { try WeightPipeline(Spec(parsing: spec)).needs }
        #expect(try needs("rtn") == .nothing)
        #expect(try needs("wanda:pattern=2:4+rtn") == .columnNorms)
        #expect(try needs("rtn+svd:rank=4,whiten=false") == .nothing)
        #expect(try needs("rtn+eora") == .hessian)
    }

    @Test("what does not fit is refused")
    func unsuitable() throws {
        let pipeline = try WeightPipeline(Spec(parsing: "gptq"))
        var weight = Tensor(rows: 4, columns: 8)
        var norms = InputStatistics(width: 8, gathering: .columnNorms)
        norms.add(Tensor(rows: 3, columns: 8), pool: ThreadPool(threads: 1))
        for statistics in [nil, norms, InputStatistics(width: 9, gathering: .hessian)] {
            #expect(throws: PithError.self) {
                try pipeline.compress(name: "w", weight: weight, statistics: statistics, seed: 1)
            }
        }
        weight[2, 3] = .nan
        do {
            _ = try WeightPipeline(Spec(parsing: "rtn")).compress(name: "w", weight: weight, statistics: nil, seed: 1)
            Issue.record("a matrix with NaN was compressed")
        } catch { #expect("\(error)" == "w: the weight at row 2, column 3 is not finite") }
        // Too large for scales in half precision.
        weight[2, 3] = 1e30
        #expect(throws: PithError.self) {
            try WeightPipeline(Spec(parsing: "rtn")).compress(name: "w", weight: weight, statistics: nil, seed: 1)
        }
    }

    @Test("XᵀX is exact to double precision, whatever the batches, threads and kernels", arguments: [1, 5, 8, 13, 40])
    func statistics(width: Int) throws {
        var random = SeededGenerator(seed: 9)
        let rows = random.normalTensor([523, width])
        var whole = InputStatistics(width: width, gathering: .hessian)
        whole.add(rows, pool: ThreadPool(threads: 1))
        let hessian = try #require(whole.hessian)
        for i in 0..<width {
            for j in 0..<width {
                let exact = (0..<523).reduce(0.0) { $0 + Double(rows[$1, i]) * Double(rows[$1, j]) }
                #expect(hessian[i, j] == exact)
            }
        }
        var norms = InputStatistics(width: width, gathering: .columnNorms)
        norms.add(rows, pool: ThreadPool(threads: 1))
        #expect(norms.columnSquares == hessian.diagonal && norms.rowCount == 523)
        KernelPath.useEach { _ in
            var parts = InputStatistics(width: width, gathering: .hessian)
            for start in stride(from: 0, to: 523, by: 37) {
                parts.add(rows.rows(start..<min(523, start + 37)), pool: ThreadPool(threads: 3))
                // Looking in between must not change what comes after.
                if start % 5 == 0 { _ = parts.hessian }
            }
            #expect(parts.hessian?.values == hessian.values)
        }
    }
}
