import PithCoding
import PithCore
import PithModels

/// Codes the exponents of the weights, of which few are common, and keeps signs and mantissas as they are.
struct DFloat11: WeightCodec {
    static let entry = MethodEntry(
        identifier: "dfloat11",
        paper: Paper(
            "70% Size, 100% Accuracy: Lossless LLM Compression for Efficient GPU Inference via Dynamic-Length Float",
            2025, identifier: "dfloat11"),
        summary: "lose nothing: a prefix code for the exponents, decoded as they are multiplied", options: [])

    init(_ options: OptionValues) throws(PithError) {}

    var needs: CalibrationNeeds { .nothing }

    func compress(_ problem: WeightProblem) throws(PithError) -> any StoredLinear {
        try LosslessMatrix(
            problem.weight, original: problem.originalType, coverage: .exponents, pool: problem.pool)
    }
}
