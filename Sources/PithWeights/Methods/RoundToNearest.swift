import PithCore
import PithModels
import PithTensor

/// Rounds every weight to the nearest level of its group: the baseline of all quantizers.
struct RoundToNearest: WeightCodec {
    static let scales = ScaleFit.option(.range)

    static let entry = MethodEntry(
        identifier: "rtn", paper: nil, summary: "round each weight to the nearest level of its group",
        options: GridOptions.schema + [scales])

    private let grid: GridOptions

    init(_ options: OptionValues) throws(PithError) { grid = try GridOptions(options, fit: options[Self.scales]) }

    var needs: CalibrationNeeds { grid.fit.needs }
    var roundsToForms: Bool { true }

    func validate(after previous: any WeightCodec) throws(PithError) {
        try validateQuantizer(Self.identifier, after: previous)
    }

    func compress(_ problem: WeightProblem) throws(PithError) -> any StoredLinear {
        let (weight, mask) = problem.prunedWeight()
        return try roundedToNearest(
            weight, keeping: mask, problem.form ?? grid, importance: problem.importance, pool: problem.pool)
    }
}

/// A matrix with each weight, or each that is kept, at the nearest level of its group.
func roundedToNearest(
    _ weight: Tensor, keeping mask: [Bool]? = nil, _ form: any GridForm, importance: [Float]? = nil, pool: ThreadPool
) throws(PithError) -> any StoredLinear {
    let grid = try form.fit(weight, importance: importance, pool: pool)
    return try grid.store(grid.nearestCodes(weight, pool: pool), mask)
}
