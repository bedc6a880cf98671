import PithCore
import PithModels
import PithTensor

/// Leaves out the weights of least absolute value: the baseline of all pruners.
struct Magnitude: PruningCodec {
    static let entry = MethodEntry(
        identifier: "magnitude",
        paper: Paper("Learning both Weights and Connections for Efficient Neural Networks", 2015),
        summary: "prune the weights of least absolute value", options: SparsityTarget.schema)

    let target: SparsityTarget

    init(_ options: OptionValues) throws(PithError) { target = try SparsityTarget(options) }

    var needs: CalibrationNeeds { .nothing }

    func compress(_ problem: WeightProblem) throws(PithError) -> any StoredLinear {
        let weight = problem.weight
        let scores = Tensor(shape: weight.shape, values: weight.values.map(abs))
        let mask =
            switch target {
            case .pattern(let pattern): keeping(pattern, by: scores)
            case .tiles(let sparsity):
                maskPruningTiles(SparsityTarget.prunedCount(of: weight.count, sparsity), of: scores)
            case .anywhere(let sparsity):
                maskPruning(SparsityTarget.prunedCount(of: weight.count, sparsity), ofMatrix: scores)
            }
        return try target.store(weight, keeping: mask)
    }
}
