import PithCore
import PithModels
import PithTensor

/// Entropy-codes what the methods before stored, without losing a bit more; alone the weights as they are.
///
/// Factors of low rank stay as they are: their values are as good as noise.
struct Entropy: WeightCodec {
    static let entry = MethodEntry(
        identifier: "entropy",
        paper: Paper(
            "Deep Compression: Compressing Deep Neural Networks with Pruning, Trained Quantization and Huffman "
                + "Coding", 2015),
        summary: "code what the methods before stored in fewer bits, decoded when the model is opened", options: [])

    init(_ options: OptionValues) throws(PithError) {}

    var needs: CalibrationNeeds { .nothing }

    /// It follows whatever is not coded already.
    func validate(after previous: any WeightCodec) throws(PithError) {
        guard previous is DFloat11 || previous is ZipNN || previous is Entropy else { return }
        throw .usage(
            "\(Self.identifier) cannot follow \(type(of: previous).identifier), which is coded already",
            remedy: "put it behind a quantizer: rtn:bits=4+entropy")
    }

    func compress(_ problem: WeightProblem) throws(PithError) -> any StoredLinear {
        let weight = problem.weight
        let matrix: any StoredLinear =
            if let current = problem.current { current } else {
                try plain(weight, problem.originalType)
            }
        return try coded(matrix, pool: problem.pool)
    }

    /// The weights in the narrowest type that holds them.
    private func plain(_ weight: Tensor, _ original: ElementType?) throws(PithError) -> DenseOperator {
        let type = ElementType.narrowestExact(for: weight.values)
        return try DenseOperator(
            StoredTensor(weight, as: type), meetingFloats: type.mustMeetFloats(standingFor: original))
    }

    /// A matrix with its parts coded, or those of its components.
    private func coded(_ matrix: any StoredLinear, pool: ThreadPool) throws(PithError) -> any StoredLinear {
        var parts = matrix.stored
        guard !parts.components.isEmpty else { return try EntropyCoded(matrix, pool: pool) ?? matrix }
        for (name, component) in parts.components { parts.components[name] = try coded(component, pool: pool) }
        return try WeightLayouts.catalogue.open(
            type(of: matrix).layout, parts, shape: [matrix.outputCount, matrix.inputCount])
    }
}
