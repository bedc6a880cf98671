import PithCore
import PithModels
import PithTensor

/// Rounds column by column and lets the columns not yet rounded make up for the error of each.
struct GPTQ: WeightCodec {
    static let entry = MethodEntry(
        identifier: "gptq",
        paper: Paper("GPTQ: Accurate Post-Training Quantization for Generative Pre-trained Transformers", 2022),
        summary: "round column by column; later columns make up for the error of earlier ones",
        options: GridOptions.schema + [
            .flag("order", true, "round the columns with the largest inputs first"),
            .real("damping", 0.01, in: 0...1, "added to the Hessian's diagonal, as a share of its mean"),
        ])

    private let grid: GridOptions
    private let order: Bool
    private let damping: Double

    init(_ options: OptionValues) throws(PithError) {
        grid = try GridOptions(options)
        order = options.flag("order")
        damping = options.real("damping")
    }

    var needs: CalibrationNeeds { .hessian }

    func validate(after previous: any WeightCodec) throws(PithError) {
        try validateQuantizer(Self.identifier, after: previous)
    }

    func compress(_ problem: WeightProblem) throws(PithError) -> any StoredLinear {
        if let pruned = problem.current as? PatternSparse {
            // After a pruner the kept weights alone get codes, as a smaller matrix; the others stay zero.
            let places = pruned.selection.places
            return try pruned.replacingValues { (kept) throws(PithError) in
                try quantize(pruned.decodedWeight(), storing: kept, at: places, problem)
            }
        }
        return try quantize(problem.weight, storing: problem.weight, at: nil, problem)
    }

    /// Codes for the weights of `stored`, which stand in `weight` where `places` tells: for each weight of a row its
    /// column in `stored`, or −1 for one that stays zero. Without places the two are the same matrix.
    private func quantize(
        _ weight: Tensor, storing stored: Tensor, at places: [Int32]?, _ problem: WeightProblem
    ) throws(PithError) -> GroupedCodes {
        // 1. Fix the grid before any weight moves, with the columns in their original order, so that what is stored
        //    has the same form whatever the order of rounding.
        let grid = try QuantizationGrid(stored, grid)
        let levels = grid.allLevels
        var codes = nearestCodes(stored, grid, pool: problem.pool)
        // 2. Reorder the columns of the weights and of the Hessian.
        let hessian = try problem.hessian()
        let order = order ? columnsByActivation(hessian) : Array(0..<weight.columns)
        var working = weight.reorderingColumns(order)
        // 3. Round from left to right, each error carried to the right by the Cholesky factor of the inverse Hessian.
        let sweep = try ColumnSweep(hessian: hessian.permuted(order), damping: damping, pool: problem.pool)
        codes.withUnsafeMutableBufferPointer { codes in
            sweep.run(&working) { row, j, weights in
                let place = places.map { Int($0[row * weight.columns + order[j]]) } ?? order[j]
                guard place >= 0 else { return 0 }
                let level = levels[row * grid.groups + place / grid.groupSize]
                let code = level.code(weights[j])
                codes[row * stored.columns + place] = UInt8(code)
                return level.weight(code)
            }
        }
        return try grid.store(codes, rows: stored.rows, columns: stored.columns)
    }
}
