import PithCore
import PithModels
import PithTensor

/// Rounds every weight to the nearest FP8: what the floats of a byte keep without calibration.
struct FP8: WeightCodec {
    static let entry = MethodEntry(
        identifier: "fp8", paper: Paper("FP8 Formats for Deep Learning", 2022),
        summary: "round each weight to the nearest float of 8 bits",
        options: [
            .choice("format", "e4m3", of: ["e4m3", "e5m2"], "exponent and fraction bits"),
            .integer("group", 0, in: 0...1024, "columns that share a scale, a multiple of 32; 0: the whole row"),
        ])

    private let type: ElementType
    private let group: Int

    init(_ options: OptionValues) throws(PithError) {
        type = options.text("format") == "e5m2" ? .float8e5m2 : .float8e4m3
        group = try GridOptions.group(options)
    }

    var needs: CalibrationNeeds { .nothing }

    func compress(_ problem: WeightProblem) throws(PithError) -> any StoredLinear {
        let weight = problem.weight
        return try ScaledFloats(
            weight, as: type, groupSize: weight.groupSize(group), pool: problem.pool)
    }
}
