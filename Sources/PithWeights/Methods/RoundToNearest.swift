import PithCore
import PithModels
import PithTensor

/// Rounds every weight to the nearest level of its group: the baseline of all quantizers.
struct RoundToNearest: WeightCodec {
    static let entry = MethodEntry(
        identifier: "rtn", paper: nil, summary: "round each weight to the nearest level of its group",
        options: GridOptions.schema)

    private let options: GridOptions

    init(_ options: OptionValues) throws(PithError) { self.options = try GridOptions(options) }

    var needs: CalibrationNeeds { .nothing }

    func validate(after previous: any WeightCodec) throws(PithError) {
        try validateQuantizer(Self.identifier, after: previous)
    }

    func compress(_ problem: WeightProblem) throws(PithError) -> any StoredLinear {
        let (weight, mask) = problem.prunedWeight()
        return try roundedToNearest(weight, keeping: mask, options, pool: problem.pool)
    }
}

/// A matrix with each weight, or each that is kept, at the nearest level of its group.
func roundedToNearest(
    _ weight: Tensor, keeping mask: [Bool]? = nil, _ options: GridOptions, pool: ThreadPool
) throws(PithError) -> any StoredLinear {
    let grid = try QuantizationGrid(weight, options)
    return try grid.store(
        nearestCodes(weight, grid, pool: pool), keeping: mask, rows: weight.rows, columns: weight.columns)
}

/// The codes of the nearest levels, one byte each, [rows, columns].
func nearestCodes(_ weight: Tensor, _ grid: QuantizationGrid, pool: ThreadPool) -> [UInt8] {
    let columns = weight.columns
    let levels = grid.allLevels
    return mapRows(of: weight, pool: pool) { row, weights, codes in
        for group in 0..<grid.groups {
            let levels = levels[row * grid.groups + group]
            for column in group * grid.groupSize..<min(columns, (group + 1) * grid.groupSize) {
                codes[column] = UInt8(saturating: levels.code(weights[column]))
            }
        }
    }
}
