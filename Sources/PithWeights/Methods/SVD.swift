import PithCore
import PithModels
import PithTensor

/// Keeps the leading singular values, of the matrix itself or of the matrix as its inputs see it.
struct SVD: WeightCodec {
    static let entry = MethodEntry(
        identifier: "svd",
        paper: Paper(
            "SVD-LLM: Truncation-aware Singular Value Decomposition for Large Language Model Compression", 2024),
        summary: "two thin factors from the leading singular values; behind another method, of what that one lost",
        options: [
            .integer("rank", 0, in: 0...65536, "singular values kept; 0: as many as `ratio` allows"),
            .real("ratio", 0.5, in: 0.01...1, "weights of the factors as a share of those of the matrix"),
            .flag("whiten", true, "measure what is lost at the output, on the inputs of calibration"),
        ])

    private let rank: Int
    private let ratio: Double
    private let whiten: Bool

    init(_ options: OptionValues) throws(PithError) {
        rank = options.integer("rank")
        ratio = options.real("ratio")
        whiten = options.flag("whiten")
    }

    var needs: CalibrationNeeds { whiten ? .hessian : .nothing }

    /// Behind any method it repairs.
    func validate(after previous: any WeightCodec) throws(PithError) {}

    func compress(_ problem: WeightProblem) throws(PithError) -> any StoredLinear {
        let target = problem.residual()
        // 1. Whiten: W·R with R·Rᵀ = XᵀX has the norm of the outputs.
        var seen = target
        if whiten { seen = LinearAlgebra.product(target, .plain, try covarianceRoot(problem.hessian())) }
        // 2. Truncate W·R ≈ U·Σ·Vᵀ.
        let rank = rank(rows: target.rows, columns: target.columns)
        let u = try leadingLeftVectors(seen, rank: rank, pool: problem.pool)
        // 3. Undo the whitening. Σ·Vᵀ·R⁻¹ is Uᵀ·W: nothing has to be inverted.
        return try problem.adding(LowRank(factors(target, leftVectors: u)))
    }

    private func rank(rows: Int, columns: Int) -> Int {
        let fromRatio = Int(ratio * Double(rows * columns) / Double(max(1, rows + columns)))
        return min(rank > 0 ? rank : max(1, fromRatio), rows, columns)
    }
}
