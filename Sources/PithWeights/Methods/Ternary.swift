import PithCore
import PithModels
import PithTensor

/// Keeps the sign of the larger weights of each group, and one scale.
struct Ternary: WeightCodec {
    static let threshold = MethodOption.real(
        "threshold", 0.7, in: 0...2, "weights below so many times the mean |weight| become 0")

    static let entry = MethodEntry(
        identifier: "ternary", paper: Paper("Ternary Weight Networks", 2016),
        summary: "−1, 0 or 1 for each weight and a scale for each group",
        options: [threshold, GridOptions.group])

    private let threshold: Float
    private let group: Int

    init(_ options: OptionValues) throws(PithError) {
        threshold = Float(options[Self.threshold])
        group = try GridOptions.checkedGroup(options, GridOptions.group)
    }

    var needs: CalibrationNeeds { .nothing }

    func compress(_ problem: WeightProblem) throws(PithError) -> any StoredLinear {
        let weight = problem.weight
        let groupSize = weight.groupSize(group)
        let groups = weight.mapGroups(of: groupSize) { ternary($0, threshold: threshold) }
        return try TernaryCodes(
            signs: groups.flatMap(\.signs), scales: storedScales(groups.map(\.scale)), rows: weight.rows,
            columns: weight.columns, groupSize: groupSize)
    }
}

/// The signs of the weights above the threshold, and the scale that fits those best.
func ternary(_ weights: ArraySlice<Float>, threshold: Float) -> (scale: Float, signs: [Int8]) {
    // In double precision, since sums of the largest floats are none.
    let mean = weights.reduce(0) { $0 + Double(abs($1)) } / Double(max(1, weights.count))
    let bound = Double(threshold) * mean
    var (sum, count) = (0.0, 0.0)
    let signs = weights.map { weight -> Int8 in
        guard Double(abs(weight)) > bound else { return 0 }
        sum += Double(abs(weight))
        count += 1
        return weight < 0 ? -1 : 1
    }
    return (Float(sum / max(1, count)), signs)
}
