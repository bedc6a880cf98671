import PithCore
import PithModels
import PithTensor

/// Repairs what other methods lost by a branch of low rank, chosen where the inputs have most of their energy.
struct EoRA: WeightCodec {
    static let rank = MethodOption.integer("rank", 16, in: 1...4096, "rank of the branch")

    static let entry = MethodEntry(
        identifier: "eora",
        paper: Paper(
            "EoRA: Training-free Compensation for Compressed LLM with Eigenspace Low-Rank Approximation", 2024,
            identifier: "eora"),
        summary: "a branch of low rank that repairs what the methods before lost, in the eigenspace of the inputs",
        options: [rank])

    private let rank: Int

    init(_ options: OptionValues) throws(PithError) { rank = options[Self.rank] }

    var needs: CalibrationNeeds { .hessian }

    /// It repairs any method.
    func validate(after previous: any WeightCodec) throws(PithError) {}

    func compress(_ problem: WeightProblem) throws(PithError) -> any StoredLinear {
        // 1. The compression error ΔW, [outputs, inputs].
        let error = problem.residual()
        // 2. The eigenspace projection Q′ = Q·√Λ of the input covariance, XᵀX = Q·Λ·Qᵀ.
        let projection = try covarianceRoot(problem.hessian())
        // 3. The error as the eigenspace sees it, ΔW′ = ΔW·Q′, and its truncated decomposition ΔW′ ≈ U·Σ·Vᵀ.
        let projected = LinearAlgebra.product(error, .plain, projection)
        let u = try leadingLeftVectors(projected, rank: rank, pool: problem.pool)
        // 4. Back: B = U and A = Σ·Vᵀ·Q′⁻¹. As U·Σ·Vᵀ is ΔW′ projected on U, A is Uᵀ·ΔW, without an inverse.
        return try problem.adding(LowRank(factors(error, leftVectors: u)))
    }
}
