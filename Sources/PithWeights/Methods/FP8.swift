import PithCore
import PithModels
import PithTensor

/// Rounds every weight to the nearest FP8: what the floats of a byte keep without calibration.
struct FP8: WeightCodec {
    static let format = MethodOption.choice(
        "format", ElementType.float8e4m3, of: [.float8e4m3, .float8e5m2], { $0 == .float8e4m3 ? "e4m3" : "e5m2" },
        "exponent and fraction bits")
    static let group = GridOptions.group(0)

    static let entry = MethodEntry(
        identifier: "fp8", paper: Paper("FP8 Formats for Deep Learning", 2022),
        summary: "round each weight to the nearest float of 8 bits",
        options: [format, group])

    private let type: ElementType
    private let group: Int

    init(_ options: OptionValues) throws(PithError) {
        type = options[Self.format]
        group = try GridOptions.checkedGroup(options, Self.group)
    }

    var needs: CalibrationNeeds { .nothing }

    func compress(_ problem: WeightProblem) throws(PithError) -> any StoredLinear {
        let weight = problem.weight
        return try ScaledFloats(
            weight, as: type, groupSize: weight.groupSize(group), pool: problem.pool)
    }
}
