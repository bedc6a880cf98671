import PithCore
import PithTensor

/// The leading left singular vectors of a matrix, [rows, rank], the largest singular value first.
///
/// They come from the eigenvectors of the smaller of A·Aᵀ and Aᵀ·A in double precision: faster than a full
/// decomposition, and exact enough for vectors that are stored in half precision. Vectors that belong to no singular
/// value above rounding are zero.
func leadingLeftVectors(_ a: Tensor, rank: Int, pool: ThreadPool) throws(PithError) -> Tensor {
    let (rows, columns) = (a.rows, a.columns)
    let rank = min(rank, rows, columns)
    var result = Tensor(rows: rows, columns: rank)
    guard rank > 0 else { return result }
    if rows <= columns {
        let vectors = try gram(a.transposed, pool: pool).eigenSystem().vectors
        for k in 0..<rank { for row in 0..<rows { result[row, k] = Float(vectors[rows - 1 - k, row]) } }
        return result
    }
    let (squares, vectors) = try gram(a, pool: pool).eigenSystem()
    var right = Tensor(rows: rank, columns: columns)
    for k in 0..<rank {
        let square = squares[columns - 1 - k]
        guard square > 1e-12 * squares[columns - 1] else { break }
        for column in 0..<columns {
            right[k, column] = Float(vectors[columns - 1 - k, column] / square.squareRoot())
        }
    }
    result = LinearAlgebra.product(a, .plain, right, .transposed)
    return result
}

/// AᵀA in double precision.
func gram(_ a: Tensor, pool: ThreadPool) throws(PithError) -> SquareMatrix {
    var sums = InputStatistics(width: a.columns, gathering: .hessian)
    sums.add(a, pool: pool)
    guard let products = sums.hessian, products.values.allSatisfy(\.isFinite) else {
        throw .data("the weights are too large for a singular value decomposition")
    }
    return products
}

/// A root R of the Hessian, R·Rᵀ = XᵀX, [inputs, inputs]: its eigenvectors, one in each column, times the roots of
/// its eigenvalues. ‖W·R‖ is then the norm of the outputs X·Wᵀ.
///
/// A millionth of the mean eigenvalue is added, so that inputs never seen do not count for nothing at all.
func covarianceRoot(_ hessian: SquareMatrix) throws(PithError) -> Tensor {
    let size = hessian.size
    // Vectors and what LAPACK works in.
    try Memory.require(4 * 8 * size * size, for: "the eigenvectors of a Hessian of \(size) inputs")
    let (values, vectors) = try hessian.eigenSystem()
    let mean = values.reduce(0, +) / Double(max(1, size))
    let floor = mean > 0 ? 1e-6 * mean : 1
    var root = Tensor(rows: size, columns: size)
    for k in 0..<size {
        let scale = (max(0, values[k]) + floor).squareRoot()
        for j in 0..<size { root[j, k] = Float(vectors[k, j] * scale) }
    }
    return root
}

/// The factors of rank `rank` of `matrix` that span the given orthonormal columns, B = U and A = Uᵀ·matrix, with the
/// norm of each term shared evenly between them so that both fit half precision well.
func factors(_ matrix: Tensor, leftVectors u: Tensor) -> (left: Tensor, right: Tensor) {
    var (left, right) = (u, LinearAlgebra.product(u, .transposed, matrix))
    for k in 0..<right.rows {
        let norm = right.rows(k..<k + 1).squaredNorm.squareRoot()
        let share = Float(norm.squareRoot())
        guard share > 0, share.isFinite else { continue }
        for row in 0..<left.rows { left[row, k] *= share }
        for column in 0..<right.columns { right[k, column] /= share }
    }
    return (left, right)
}
