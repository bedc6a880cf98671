import PithCore
import PithModels
import PithTensor

/// Rounds column by column and lets the columns not yet rounded make up for the error of each.
struct GPTQ: WeightCodec {
    /// nil: whole numbers.
    static let levels = MethodOption<TableGrid.Levels?>.choice(
        "levels", nil, of: [nil] + TableGrid.Levels.allCases, { $0?.rawValue ?? "uniform" },
        "evenly spaced, or the entries of a table as codebook has them")
    static let scales = ScaleFit.option(.importance)
    static let activationOrder = MethodOption.flag(
        "activationOrder", true, "round the columns with the largest inputs first")
    static let damping = MethodOption.real(
        "damping", 0.01, in: 0...1, "added to the Hessian's diagonal, as a share of its mean")

    static let entry = MethodEntry(
        identifier: "gptq",
        paper: Paper("GPTQ: Accurate Post-Training Quantization for Generative Pre-trained Transformers", 2022),
        summary: "round column by column; later columns make up for the error of earlier ones",
        options: GridOptions.schema + [levels, scales, activationOrder, damping])

    private let grid: any GridForm
    private let activationOrder: Bool
    private let damping: Double

    init(_ options: OptionValues) throws(PithError) {
        let uniform = try GridOptions(options, fit: options[Self.scales])
        if let levels = options[Self.levels] {
            guard !uniform.symmetric else {
                throw .usage("tables have no zero points to leave out", remedy: "leave symmetric out")
            }
            grid = try TableGrid(levels, bits: uniform.bits, group: uniform.group, fit: uniform.fit)
        } else {
            grid = uniform
        }
        activationOrder = options[Self.activationOrder]
        damping = options[Self.damping]
    }

    var needs: CalibrationNeeds { .hessian }
    var roundsToForms: Bool { true }

    func validate(after previous: any WeightCodec) throws(PithError) {
        try validateQuantizer(Self.identifier, after: previous)
        guard grid is GridOptions else {
            throw .usage("tables have no room for a mask", remedy: "levels=uniform behind a pruner")
        }
    }

    func memory(rows: Int, columns: Int) -> Int { ColumnSweep.memory(rows: rows, columns: columns) }

    func compress(_ problem: WeightProblem) throws(PithError) -> any StoredLinear {
        let (weight, mask) = problem.prunedWeight()
        // 1. Fix the grid before any weight moves, with the columns in their original order, so that what is stored
        //    has the same form whatever the order of rounding.
        let hessian = try problem.hessian()
        let grid = try (problem.form ?? grid).fit(
            weight, importance: problem.importance, pool: problem.pool)
        var codes = grid.nearestCodes(weight, pool: problem.pool)
        // 2. Reorder the columns of the weights and of the Hessian.
        let order = activationOrder ? columnsByActivation(hessian) : Array(0..<weight.columns)
        var working = weight.reorderingColumns(order)
        // 3. Round from left to right, each error carried to the right by the Cholesky factor of the inverse Hessian.
        let sweep = try ColumnSweep(hessian: hessian.permuted(order), damping: damping, pool: problem.pool)
        sweep.run(&working, marking: &codes) { row, j, weights, codes in
            let column = order[j]
            // What a pruner left out stays out.
            guard mask?[row * weight.columns + column] ?? true else { return 0 }
            codes[column] = grid.code(row, column, weights[j])
            return grid.weight(row, column, codes[column])
        }
        return try grid.store(codes, mask)
    }
}
