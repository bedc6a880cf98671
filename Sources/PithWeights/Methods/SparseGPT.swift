import PithCore
import PithModels
import PithTensor

/// Leaves weights out column by column and lets the columns to the right make up for each that is gone.
struct SparseGPT: PruningCodec {
    static let damping = MethodOption.real(
        "damping", 0.01, in: 0...1, "added to the Hessian's diagonal, as a share of its mean")

    static let entry = MethodEntry(
        identifier: "sparsegpt",
        paper: Paper("SparseGPT: Massive Language Models Can Be Accurately Pruned in One-Shot", 2023),
        summary: "prune column by column; later columns make up for what is gone",
        options: SparsityTarget.schema + [damping])

    let target: SparsityTarget
    private let damping: Double

    init(_ options: OptionValues) throws(PithError) {
        target = try SparsityTarget(options)
        damping = options[Self.damping]
    }

    var needs: CalibrationNeeds { .hessian }

    func memory(rows: Int, columns: Int) -> Int { ColumnSweep.memory(rows: rows, columns: columns) }

    func compress(_ problem: WeightProblem) throws(PithError) -> any StoredLinear {
        var weight = problem.weight
        let sweep = try ColumnSweep(hessian: problem.hessian(), damping: damping, pool: problem.pool)
        let mask =
            switch target {
            case .anywhere(let sparsity): prune(&weight, sparsity, sweep)
            case .pattern(let pattern): prune(&weight, pattern, sweep)
            case .tiles(let sparsity): pruneTiles(&weight, sparsity, sweep)
            }
        return try target.store(weight, keeping: mask)
    }

    /// Chooses what to leave out of a whole block of columns when the sweep reaches it.
    private func prune(_ weight: inout Tensor, _ sparsity: Double, _ sweep: ColumnSweep) -> [Bool] {
        let (rows, columns) = (weight.rows, weight.columns)
        var mask = [Bool](repeating: true, count: weight.count)
        sweep.run(&weight, marking: &mask) { block, weights, mask in
            // So many that the whole matrix ends with the exact share.
            let count =
                SparsityTarget.prunedCount(of: rows * block.upperBound, sparsity)
                - SparsityTarget.prunedCount(of: rows * block.lowerBound, sparsity)
            var scores: [Float] = []
            scores.reserveCapacity(rows * block.count)
            for row in 0..<rows {
                for j in block { scores.append(sweep.saliency(weights[row * columns + j], column: j)) }
            }
            for (i, isLeftOut) in smallest(count, of: scores.map(\.orderKey)).enumerated() where isLeftOut {
                mask[i / block.count * columns + block.lowerBound + i % block.count] = false
            }
        } replace: { _, j, weights, mask in
            mask[j] ? weights[j] : 0
        }
        return mask
    }

    /// Chooses which tiles to leave out of a whole block of columns when the sweep reaches it.
    private func pruneTiles(_ weight: inout Tensor, _ sparsity: Double, _ sweep: ColumnSweep) -> [Bool] {
        let (rows, columns) = (weight.rows, weight.columns)
        var (mask, gone) = ([Bool](repeating: true, count: weight.count), 0)
        sweep.run(&weight, marking: &mask) { block, weights, mask in
            let count = SparsityTarget.prunedCount(of: rows * block.upperBound, sparsity) - gone
            gone += TileGrid(rows: rows, columns: block).leaveOut(count) { row, column in
                let saliency = Double(sweep.saliency(weights[row * columns + column], column: column))
                return saliency * saliency
            } _: { row, column in
                mask[row * columns + column] = false
            }
        } replace: { _, j, weights, mask in
            mask[j] ? weights[j] : 0
        }
        return mask
    }

    /// Chooses what to keep of each group of m columns when the sweep reaches it.
    private func prune(_ weight: inout Tensor, _ pattern: SparsityPattern, _ sweep: ColumnSweep) -> [Bool] {
        let columns = weight.columns
        var mask = [Bool](repeating: true, count: weight.count)
        sweep.run(&weight, marking: &mask) { _, j, weights, mask in
            if j % pattern.size == 0 {
                let group = j..<min(columns, j + pattern.size)
                let scores = group.map { sweep.saliency(weights[$0], column: $0) }
                for (k, isKept) in zip(group, keepLargest(pattern.kept, of: scores)) { mask[k] = isKept }
            }
            return mask[j] ? weights[j] : 0
        }
        return mask
    }
}

extension ColumnSweep {
    /// How much the output suffers if the weight of a column is left out and the columns to the right make up for
    /// it: the root of w² / U[j, j]².
    func saliency(_ weight: Float, column: Int) -> Float {
        let pivot = factor.values[column * factor.columns + column]
        return abs(weight) / pivot
    }
}
