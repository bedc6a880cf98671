import PithCore
import PithModels
import PithTensor

/// Leaves out, in each row, the weights that matter least to the output: |weight| times the norm of its input.
struct Wanda: PruningCodec {
    static let entry = MethodEntry(
        identifier: "wanda",
        paper: Paper("A Simple and Effective Pruning Approach for Large Language Models", 2023),
        summary: "prune the weights of least |weight| · ‖input‖ in each row", options: SparsityTarget.schema)

    let target: SparsityTarget

    init(_ options: OptionValues) throws(PithError) { target = try SparsityTarget(options) }

    var needs: CalibrationNeeds { .columnNorms }

    func compress(_ problem: WeightProblem) throws(PithError) -> any StoredLinear {
        let weight = problem.weight
        let scores = wandaScores(weight, columnSquares: try problem.columnSquares())
        let mask =
            switch target {
            case .pattern(let pattern): keeping(pattern, by: scores)
            case .tiles(let sparsity):
                maskPruningTiles(SparsityTarget.prunedCount(of: weight.count, sparsity), of: scores)
            case .anywhere(let sparsity):
                maskPruning(SparsityTarget.prunedCount(of: weight.count, sparsity), ofEachRow: scores)
            }
        return try target.store(weight, keeping: mask)
    }
}

/// |W[i, j]| · ‖X[:, j]‖ for each weight, [rows, columns], in units of about the largest norm.
func wandaScores(_ weight: Tensor, columnSquares: [Double]) -> Tensor {
    let roots = columnSquares.map { $0.squareRoot() }
    let largest = roots.max() ?? 0
    // A power of two changes no digit, and products stay in range.
    let scale = largest > 0 ? 2 * largest.binade : 1
    let norms = roots.map { Float($0 / scale) }
    var scores = weight
    for row in 0..<weight.rows {
        for column in 0..<weight.columns {
            let i = row * weight.columns + column
            scores.values[i] = abs(weight.values[i]) * norms[column]
        }
    }
    return scores
}
