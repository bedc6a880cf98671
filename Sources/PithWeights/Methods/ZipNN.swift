import PithCoding
import PithCore
import PithModels

/// Puts like bytes of all weights together, and codes every such plane that gets smaller by it.
struct ZipNN: WeightCodec {
    static let entry = MethodEntry(
        identifier: "zipnn",
        paper: Paper("ZipNN: Lossless Compression for AI Models", 2024, identifier: "zipnn"),
        summary: "lose nothing: each plane of bytes of the weights coded where that pays", options: [])

    init(_ options: OptionValues) throws(PithError) {}

    var needs: CalibrationNeeds { .nothing }

    func compress(_ problem: WeightProblem) throws(PithError) -> any StoredLinear {
        try LosslessMatrix(
            problem.weight, original: problem.originalType, coverage: .allPlanes, pool: problem.pool)
    }
}
