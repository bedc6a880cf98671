import PithCore

#if canImport(Accelerate)
    import Accelerate
    private typealias LapackInt = __LAPACK_int
#else
    import COpenBLAS
    private typealias LapackInt = Int32
#endif

/// Whether a factor of a product is taken as it is or with rows and columns exchanged.
public enum Orientation: Sendable {
    /// As it is.
    case plain
    /// Rows and columns exchanged.
    case transposed

    fileprivate var cblas: CBLAS_TRANSPOSE { self == .plain ? CblasNoTrans : CblasTrans }
}

/// Dense linear algebra by the system's BLAS and LAPACK: OpenBLAS on Linux, Accelerate on macOS.
public enum LinearAlgebra {
    /// BLAS works on one thread: the loops above it are Pith's own, and its sums would otherwise be cut by the number
    /// of threads. Touched before each call.
    static let usesOneThread: Void = setThreadCount(1)

    private static func setThreadCount(_ count: Int) {
        #if !canImport(Accelerate)
            openblas_set_num_threads(Int32(count))
        #endif
    }

    /// Runs `body` with BLAS on so many threads, to measure what it can do. Results may depend on their number.
    public static func withThreads<Result>(_ count: Int, _ body: () -> Result) -> Result {
        _ = usesOneThread
        setThreadCount(count)
        defer { setThreadCount(1) }
        return body()
    }

    /// C = alpha · op(A) · op(B) + beta · C on row-major blocks: op(A) is [m, k], op(B) is [k, n], C is [m, n].
    @inlinable public static func multiply(
        _ a: UnsafePointer<Float>, _ aOrientation: Orientation = .plain, lda: Int,
        _ b: UnsafePointer<Float>, _ bOrientation: Orientation = .plain, ldb: Int,
        into c: UnsafeMutablePointer<Float>, ldc: Int, m: Int, n: Int, k: Int, alpha: Float = 1, beta: Float = 0
    ) {
        _multiply(a, aOrientation, lda, b, bOrientation, ldb, c, ldc, m, n, k, alpha, beta)
    }

    @usableFromInline static func _multiply(
        _ a: UnsafePointer<Float>, _ aOrientation: Orientation, _ lda: Int,
        _ b: UnsafePointer<Float>, _ bOrientation: Orientation, _ ldb: Int,
        _ c: UnsafeMutablePointer<Float>, _ ldc: Int, _ m: Int, _ n: Int, _ k: Int, _ alpha: Float, _ beta: Float
    ) {
        guard m > 0, n > 0 else { return }
        _ = usesOneThread
        cblas_sgemm(
            CblasRowMajor, aOrientation.cblas, bOrientation.cblas, .init(m), .init(n), .init(k), alpha, a, .init(lda),
            b, .init(ldb), beta, c, .init(ldc))
    }

    /// The product op(A) · op(B) of two matrices.
    public static func product(
        _ a: Tensor, _ aOrientation: Orientation = .plain, _ b: Tensor, _ bOrientation: Orientation = .plain
    ) -> Tensor {
        let (m, k) = aOrientation == .plain ? (a.rows, a.columns) : (a.columns, a.rows)
        let (k2, n) = bOrientation == .plain ? (b.rows, b.columns) : (b.columns, b.rows)
        precondition(k == k2, "inner extents \(k) and \(k2) differ")
        var c = Tensor(rows: m, columns: n)
        c.values.withUnsafeMutableBufferPointer { target in
            guard let base = target.baseAddress else { return }
            multiply(
                a.values, aOrientation, lda: max(a.columns, 1), b.values, bOrientation, ldb: max(b.columns, 1),
                into: base, ldc: n, m: m, n: n, k: k)
        }
        return c
    }
}

/// A square matrix in double precision, for what loses too much in single: Hessians and their factors.
public struct SquareMatrix: Sendable {
    /// The extent of both sides.
    public let size: Int
    /// The elements in row-major order.
    public var values: [Double]

    /// A matrix of zeros.
    public init(size: Int) {
        self.size = size
        values = [Double](repeating: 0, count: size * size)
    }

    /// An element.
    @inlinable public subscript(row: Int, column: Int) -> Double {
        get { values[row * size + column] }
        set { values[row * size + column] = newValue }
    }

    /// The diagonal.
    public var diagonal: [Double] { (0..<size).map { self[$0, $0] } }

    /// The matrix with rows and columns reordered: element (i, j) is this one's (order[i], order[j]).
    public func permuted(_ order: [Int]) -> SquareMatrix {
        var result = SquareMatrix(size: size)
        result.values.withUnsafeMutableBufferPointer { target in
            values.withUnsafeBufferPointer { source in
                for i in 0..<size {
                    let row = UnsafeBufferPointer(rebasing: source[order[i] * size..<(order[i] + 1) * size])
                    for j in 0..<size { target[i * size + j] = row[order[j]] }
                }
            }
        }
        return result
    }

    /// Copies what is above the diagonal to below it.
    public mutating func mirrorUpper() {
        let size = size
        values.withUnsafeMutableBufferPointer { values in
            // By blocks that stay in the cache.
            let side = 64
            for rows in stride(from: 0, to: size, by: side) {
                for columns in stride(from: 0, through: rows, by: side) {
                    for row in rows..<min(rows + side, size) {
                        for column in columns..<min(columns + side, row) {
                            values[row * size + column] = values[column * size + row]
                        }
                    }
                }
            }
        }
    }

    /// Makes of the lower triangle of this symmetric matrix A the lower Cholesky factor L of its inverse, A⁻¹ = L · Lᵀ, in
    /// place; what is above the diagonal stays. False if A is not positive definite: then the lower triangle and the
    /// diagonal mean nothing.
    public mutating func factorInverse() -> Bool {
        guard size > 0 else { return true }
        _ = LinearAlgebra.usesOneThread
        // LAPACK counts columns first, so its upper triangle is our lower one.
        var (n, info) = (LapackInt(size), LapackInt(0))
        var (uplo, lda) = (CChar(UInt8(ascii: "U")), n)
        dpotrf_(&uplo, &n, &values, &lda, &info)
        guard info == 0 else { return false }
        dpotri_(&uplo, &n, &values, &lda, &info)
        guard info == 0 else { return false }
        dpotrf_(&uplo, &n, &values, &lda, &info)
        return info == 0
    }

    /// The lower Cholesky factor L of this symmetric matrix, A = L · Lᵀ; nil if A is not positive definite.
    public func cholesky() -> SquareMatrix? {
        guard size > 0 else { return self }
        _ = LinearAlgebra.usesOneThread
        // LAPACK counts columns first, so its upper triangle is our lower one.
        var factor = self
        var (n, info) = (LapackInt(size), LapackInt(0))
        var (uplo, lda) = (CChar(UInt8(ascii: "U")), n)
        dpotrf_(&uplo, &n, &factor.values, &lda, &info)
        guard info == 0, factor.values.allSatisfy(\.isFinite) else { return nil }
        for i in 0..<size { for j in i + 1..<max(size, i + 1) { factor[i, j] = 0 } }
        return factor
    }

    /// The inverse of this symmetric positive definite matrix; nil if it is not.
    public func inverseOfPositiveDefinite() -> SquareMatrix? {
        guard size > 0 else { return self }
        _ = LinearAlgebra.usesOneThread
        guard var result = cholesky() else { return nil }
        var (n, info) = (LapackInt(size), LapackInt(0))
        var (uplo, lda) = (CChar(UInt8(ascii: "U")), n)
        dpotri_(&uplo, &n, &result.values, &lda, &info)
        guard info == 0, result.values.allSatisfy(\.isFinite) else { return nil }
        for i in 0..<size { for j in i + 1..<max(size, i + 1) { result[i, j] = result[j, i] } }
        return result
    }

    /// Eigenvalues, smallest first, and eigenvectors, one in each row, of this symmetric matrix.
    public func eigenSystem() throws(PithError) -> (values: [Double], vectors: SquareMatrix) {
        guard size > 0 else { return ([], self) }
        _ = LinearAlgebra.usesOneThread
        var vectors = self
        var eigenvalues = [Double](repeating: 0, count: size)
        var (n, info) = (LapackInt(size), LapackInt(0))
        var (job, uplo, lda) = (CChar(UInt8(ascii: "V")), CChar(UInt8(ascii: "U")), n)
        var workCount = LapackInt(1 + 6 * size + 2 * size * size)
        var integerCount = LapackInt(3 + 5 * size)
        var work = [Double](repeating: 0, count: Int(workCount))
        var integers = [LapackInt](repeating: 0, count: Int(integerCount))
        dsyevd_(
            &job, &uplo, &n, &vectors.values, &lda, &eigenvalues, &work, &workCount, &integers, &integerCount, &info)
        guard info == 0, eigenvalues.allSatisfy(\.isFinite) else {
            throw .fault("the eigenvalues of a matrix of size \(size) were not found (LAPACK dsyevd: \(info))")
        }
        // LAPACK's column j is our row j.
        return (eigenvalues, vectors)
    }
}

/// A singular value decomposition A = U · diag(s) · Vᵀ with min(m, n) terms, largest first.
public struct SingularValues: Sendable {
    /// Left vectors, [m, r] row-major.
    public var u: [Double]
    /// Singular values, largest first.
    public var s: [Double]
    /// Right vectors, [r, n] row-major.
    public var vt: [Double]

    /// Decomposes the row-major matrix `a` of `rows` by `columns`.
    public init(_ a: [Double], rows: Int, columns: Int) throws(PithError) {
        precondition(a.count == rows * columns, "values do not fit the shape")
        let rank = min(rows, columns)
        guard rank > 0 else {
            (u, s, vt) = ([], [], [])
            return
        }
        _ = LinearAlgebra.usesOneThread
        // LAPACK sees Aᵀ, [columns, rows] in its order: Aᵀ = V · diag(s) · Uᵀ; its column-major V is our row-major Vᵀ.
        var a = a
        var (m, n, info) = (LapackInt(columns), LapackInt(rows), LapackInt(0))
        var (job, lda, ldu, ldvt) = (CChar(UInt8(ascii: "S")), m, m, LapackInt(rank))
        var s = [Double](repeating: 0, count: rank)
        var v = [Double](repeating: 0, count: columns * rank)
        var ut = [Double](repeating: 0, count: rank * rows)
        var integers = [LapackInt](repeating: 0, count: 8 * rank)
        let larger = max(rows, columns)
        var workCount = LapackInt(4 * rank * rank + 7 * rank + larger + 64 * (larger + rank))
        var work = [Double](repeating: 0, count: Int(workCount))
        dgesdd_(&job, &m, &n, &a, &lda, &s, &v, &ldu, &ut, &ldvt, &work, &workCount, &integers, &info)
        guard info == 0, s.allSatisfy(\.isFinite) else {
            throw .fault("the singular values of a \(rows) × \(columns) matrix were not found (LAPACK dgesdd: \(info))")
        }
        (self.u, self.s, self.vt) = (ut, s, v)
    }
}
