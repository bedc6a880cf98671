import PithCore
import PithModels
import PithTensor

/// Keeps the leading singular values, of the matrix itself or of the matrix as its inputs see it.
struct SVD: WeightCodec {
    static let rank = MethodOption.integer(
        "rank", 0, in: 0...65536, "singular values kept; 0: as many as `ratio` allows")
    static let ratio = MethodOption.real(
        "ratio", 0.5, in: 0.01...1, "weights of the factors as a share of those of the matrix")
    static let whiten = MethodOption.flag(
        "whiten", true, "measure what is lost at the output, on the inputs of calibration")
    static let bits = MethodOption.choice(
        "bits", 16, of: [4, 8, 16], "bits of a weight of the factors; below 16 by groups of 64")

    static let entry = MethodEntry(
        identifier: "svd",
        paper: Paper(
            "SVD-LLM: Truncation-aware Singular Value Decomposition for Large Language Model Compression", 2024),
        summary: "two thin factors from the leading singular values; behind another method, of what that one lost",
        options: [rank, ratio, whiten, bits])

    private let rank: Int
    private let ratio: Double
    private let whiten: Bool
    /// How factors are rounded; nil: to half precision.
    private let grid: GridOptions?

    init(_ options: OptionValues) throws(PithError) {
        rank = options[Self.rank]
        ratio = options[Self.ratio]
        whiten = options[Self.whiten]
        let bits = options[Self.bits]
        grid = bits < 16 ? GridOptions(bits: bits, group: 64, symmetric: true, fit: .error) : nil
    }

    var needs: CalibrationNeeds { whiten ? .hessian : .nothing }

    /// Behind any method it repairs.
    func validate(after previous: any WeightCodec) throws(PithError) {}

    /// What LAPACK works in is as large for the eigenvectors of the inputs, and of the smaller side.
    func memory(rows: Int, columns: Int) -> Int {
        let side = whiten ? columns : min(rows, columns)
        return 16 * rows * columns + 44 * side * side
    }

    func compress(_ problem: WeightProblem) throws(PithError) -> any StoredLinear {
        let target = problem.residual()
        // 1. Whiten: W·R with R·Rᵀ = XᵀX has the norm of the outputs.
        var seen = target
        if whiten { seen = LinearAlgebra.product(target, .plain, try covarianceRoot(problem.hessian())) }
        // 2. Truncate W·R ≈ U·Σ·Vᵀ.
        let rank = rank(rows: target.rows, columns: target.columns)
        let u = try leadingLeftVectors(seen, rank: rank, pool: problem.pool)
        // 3. Undo the whitening. Σ·Vᵀ·R⁻¹ is Uᵀ·W: nothing has to be inverted.
        let factors = factors(target, leftVectors: u)
        guard let grid else { return try problem.adding(LowRank(factors)) }
        return try problem.adding(
            ProductOperator(
                left: roundedToNearest(factors.left, grid, pool: problem.pool),
                right: roundedToNearest(factors.right, grid, pool: problem.pool)))
    }

    private func rank(rows: Int, columns: Int) -> Int {
        let fromRatio = Int(ratio * Double(rows * columns) / Double(max(1, rows + columns)))
        return min(rank > 0 ? rank : max(1, fromRatio), rows, columns)
    }
}
