import PithCore
import PithModels
import PithTensor

/// Rounds every weight to the nearest entry of a table that all groups of the matrix share.
struct Codebook: WeightCodec {
    static let levels = MethodOption.choice(
        "levels", TableGrid.Levels.learned,
        "the table: of the matrix itself, normal quantiles, or floats of 4 bits (E2M1)")
    static let bits = MethodOption.integer("bits", 4, in: 2...8, "bits of a code; nf4 and fp4 have 4")
    static let scales = ScaleFit.option(.range)

    static let entry = MethodEntry(
        identifier: "codebook", paper: Paper("QLoRA: Efficient Finetuning of Quantized LLMs", 2023),
        summary: "round each weight to the nearest entry of a table, given or learned by k-means",
        options: [levels, bits, GridOptions.group, scales])

    private let grid: TableGrid

    init(_ options: OptionValues) throws(PithError) {
        grid = try TableGrid(
            options[Self.levels], bits: options[Self.bits],
            group: GridOptions.checkedGroup(options, GridOptions.group), fit: options[Self.scales])
    }

    var needs: CalibrationNeeds { grid.fit.needs }

    func compress(_ problem: WeightProblem) throws(PithError) -> any StoredLinear {
        try roundedToNearest(problem.weight, grid, importance: problem.importance, pool: problem.pool)
    }
}
