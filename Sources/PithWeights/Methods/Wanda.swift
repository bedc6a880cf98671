import PithCore
import PithModels
import PithTensor

/// Leaves out, in each row, the weights that matter least to the output: |weight| times the norm of its input.
struct Wanda: PruningCodec {
    static let entry = MethodEntry(
        identifier: "wanda",
        paper: Paper("A Simple and Effective Pruning Approach for Large Language Models", 2023),
        summary: "leave out the weights of least |weight| · ‖input‖ in each row", options: SparsityTarget.schema)

    let target: SparsityTarget

    init(_ options: OptionValues) throws(PithError) { target = try SparsityTarget(options) }

    var needs: CalibrationNeeds { .columnNorms }

    func compress(_ problem: WeightProblem) throws(PithError) -> any StoredLinear {
        let weight = problem.weight
        let scores = wandaScores(weight, columnSquares: try problem.columnSquares())
        let kept =
            switch target {
            case .pattern(let pattern): keeping(pattern, by: scores)
            case .units(let sparsity): leavingOutUnits(SparsityTarget.leftOut(of: weight.count, sparsity), of: scores)
            case .anywhere(let sparsity):
                leavingOut(SparsityTarget.leftOut(of: weight.count, sparsity), ofEachRow: scores)
            }
        return try target.store(weight, keeping: kept)
    }
}

/// |W[i, j]| · ‖X[:, j]‖ for each weight, [rows, columns], in units of about the largest norm.
func wandaScores(_ weight: Tensor, columnSquares: [Double]) -> Tensor {
    let roots = columnSquares.map { $0.squareRoot() }
    let largest = roots.max() ?? 0
    // A power of two changes no digit, and products stay in range.
    let unit = largest > 0 ? 2 * largest.binade : 1
    let norms = roots.map { Float($0 / unit) }
    var scores = weight
    for row in 0..<weight.rows {
        for column in 0..<weight.columns {
            let i = row * weight.columns + column
            scores.values[i] = abs(weight.values[i]) * norms[column]
        }
    }
    return scores
}
