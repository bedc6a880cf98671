import PithCore
import PithModels
import PithTensor

/// Rounds column by column and lets the columns not yet rounded make up for the error of each.
struct GPTQ: WeightCodec {
    static let activationOrder = MethodOption.flag(
        "activationOrder", true, "round the columns with the largest inputs first")
    static let damping = MethodOption.real(
        "damping", 0.01, in: 0...1, "added to the Hessian's diagonal, as a share of its mean")

    static let entry = MethodEntry(
        identifier: "gptq",
        paper: Paper("GPTQ: Accurate Post-Training Quantization for Generative Pre-trained Transformers", 2022),
        summary: "round column by column; later columns make up for the error of earlier ones",
        options: GridOptions.schema + [activationOrder, damping])

    private let grid: GridOptions
    private let activationOrder: Bool
    private let damping: Double

    init(_ options: OptionValues) throws(PithError) {
        grid = try GridOptions(options)
        activationOrder = options[Self.activationOrder]
        damping = options[Self.damping]
    }

    var needs: CalibrationNeeds { .hessian }

    func validate(after previous: any WeightCodec) throws(PithError) {
        try validateQuantizer(Self.identifier, after: previous)
    }

    func memory(rows: Int, columns: Int) -> Int { ColumnSweep.memory(rows: rows, columns: columns) }

    func compress(_ problem: WeightProblem) throws(PithError) -> any StoredLinear {
        let (weight, mask) = problem.prunedWeight()
        // 1. Fix the grid before any weight moves, with the columns in their original order, so that what is stored
        //    has the same form whatever the order of rounding.
        let grid = try QuantizationGrid(weight, grid)
        let levels = grid.allLevels
        var codes = nearestCodes(weight, grid, pool: problem.pool)
        // 2. Reorder the columns of the weights and of the Hessian.
        let hessian = try problem.hessian()
        let order = activationOrder ? columnsByActivation(hessian) : Array(0..<weight.columns)
        var working = weight.reorderingColumns(order)
        // 3. Round from left to right, each error carried to the right by the Cholesky factor of the inverse Hessian.
        let sweep = try ColumnSweep(hessian: hessian.permuted(order), damping: damping, pool: problem.pool)
        sweep.run(&working, marking: &codes) { row, j, weights, codes in
            let column = order[j]
            // What a pruner left out stays out.
            guard mask?[row * weight.columns + column] ?? true else { return 0 }
            let level = levels[row * grid.groups + column / grid.groupSize]
            let code = level.code(weights[j])
            codes[column] = UInt8(saturating: code)
            return level.weight(code)
        }
        return try grid.store(codes, keeping: mask, rows: weight.rows, columns: weight.columns)
    }
}
