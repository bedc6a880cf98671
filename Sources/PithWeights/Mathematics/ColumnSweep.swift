import PithCore
import PithTensor

/// Replaces the columns of a matrix one after the other by what will be stored, and lets the columns to the right make
/// up for each error: the optimal brain surgeon as GPTQ and SparseGPT arrange it.
///
/// With H = XᵀX and H⁻¹ = UᵀU, U upper triangular, an error e = (w − stored) in column j is made up for by taking
/// e / U[j, j] · U[j, k] from each column k > j: the change that harms the output W·x least, given that the
/// columns up to j are final.
struct ColumnSweep {
    /// The columns after which errors are carried to the rest of the matrix, by one matrix product.
    static let blockSize = 128
    private static let rowsInTask = 32

    /// U, upper triangular.
    let factor: Tensor
    let pool: ThreadPool

    /// Prepares U from the Hessian, whose rows and columns stand in the order of the sweep.
    ///
    /// `damping` times the mean of the diagonal is added to the diagonal, and ten times as much again for as long as
    /// the matrix has no Cholesky factor.
    init(hessian: consuming SquareMatrix, damping: Double, pool: ThreadPool) throws(PithError) {
        self.pool = pool
        var hessian = hessian
        // The factor in single precision beside the Hessian, in whose place all else comes.
        try Memory.require(
            4 * hessian.size * hessian.size, for: "the Cholesky factor of a Hessian of \(hessian.size) inputs")
        let diagonal = Self.scale(&hessian)
        var share = damping
        while share < 1e6 {
            for (j, element) in diagonal.enumerated() { hessian[j, j] = element + share }
            if hessian.factorInverse(), let factor = Self.upperFactor(hessian) {
                self.factor = factor
                return
            }
            hessian.mirrorUpper()
            share = max(share, 1e-7) * 10
        }
        throw .data("the Hessian of the inputs has no Cholesky factor at any damping")
    }

    /// About how many bytes a method takes that sweeps over a matrix: weights on their way, codes, and what is stored;
    /// the Hessian and its permutation in double precision, in whose place the factor comes, in single.
    static func memory(rows: Int, columns: Int) -> Int { 10 * rows * columns + 16 * columns * columns }

    /// Divides the Hessian by the mean of its diagonal, which is returned. Inputs that were never seen stand alone: nothing
    /// is known of them.
    private static func scale(_ hessian: inout SquareMatrix) -> [Double] {
        let diagonal = hessian.diagonal
        let seen = diagonal.filter { $0 > 0 }
        let mean = seen.isEmpty ? 1 : seen.reduce(0, +) / Double(seen.count)
        for i in hessian.values.indices { hessian.values[i] /= mean }
        return diagonal.map { $0 > 0 ? $0 / mean : 1 }
    }

    /// The transpose of a lower factor; nil if it is none.
    private static func upperFactor(_ lower: SquareMatrix) -> Tensor? {
        let size = lower.size
        var factor = Tensor(rows: size, columns: size)
        factor.values.withUnsafeMutableBufferPointer { factor in
            lower.values.withUnsafeBufferPointer { lower in
                // By blocks that stay in the cache.
                let side = 64
                for rows in stride(from: 0, to: size, by: side) {
                    for columns in stride(from: rows, to: size, by: side) {
                        for row in rows..<min(rows + side, size) {
                            for column in max(row, columns)..<max(row, min(columns + side, size)) {
                                factor[row * size + column] = Float(lower[column * size + row])
                            }
                        }
                    }
                }
            }
        }
        return factor.values.allSatisfy(\.isFinite) && (0..<size).allSatisfy { factor[$0, $0] > 0 } ? factor : nil
    }

    /// Walks over the columns of `weight`, which are in the order of the factor.
    ///
    /// `prepare` sees each block of columns as all errors before have left it. `replace` is given a row, a column and
    /// the weights of that row as they are now, and returns what will be stored. Rows run at the same time.
    ///
    /// `marks`, [rows, columns], are what is noted of each weight: `prepare` has all of them, `replace` those of its row.
    func run<Mark: BitwiseCopyable>(
        _ weight: inout Tensor, marking marks: inout [Mark],
        prepare: (_ columns: Range<Int>, _ weights: UnsafePointer<Float>, _ marks: UnsafeMutablePointer<Mark>) -> Void =
            {
                _, _, _ in
            },
        replace:
            @Sendable (
                _ row: Int, _ column: Int, _ weights: UnsafePointer<Float>, _ marks: UnsafeMutablePointer<Mark>
            ) -> Float
    ) {
        let (rows, columns) = (weight.rows, weight.columns)
        guard weight.count > 0 else { return }
        weight.values.withUnsafeMutableBufferPointer { weights in
            marks.withUnsafeMutableBufferPointer { marks in
                guard let weights = weights.baseAddress, let marks = marks.baseAddress else { return }
                for start in stride(from: 0, to: columns, by: Self.blockSize) {
                    let block = start..<min(columns, start + Self.blockSize)
                    prepare(block, weights, marks)
                    pool.forEachBlock(of: rows, grain: Self.rowsInTask, sharing: weights, marks) {
                        task, weights, marks in
                        sweep(task, block, weights, columns) { replace($0, $1, $2, marks + $0 * columns) }
                    }
                }
            }
        }
    }

    /// One block of columns in some rows: its own columns one by one, then those to its right all at once.
    private func sweep(
        _ rows: Range<Int>, _ block: Range<Int>, _ weights: UnsafeMutablePointer<Float>, _ columns: Int,
        _ replace: (Int, Int, UnsafePointer<Float>) -> Float
    ) {
        let kernels = kernels
        factor.values.withUnsafeBufferPointer { factor in
            guard let factor = factor.baseAddress else { return }
            withUnsafeTemporaryAllocation(of: Float.self, capacity: Self.rowsInTask * Self.blockSize) { errors in
                guard let errors = errors.baseAddress else { return }
                for (i, row) in rows.enumerated() {
                    let line = weights + row * columns
                    for j in block {
                        let stored = replace(row, j, line)
                        let error = (line[j] - stored) / factor[j * columns + j]
                        line[j] = stored
                        errors[i * Self.blockSize + j - block.lowerBound] = error
                        let next = j + 1
                        kernels.add_scaled(
                            factor + j * columns + next, -error, Int64(block.upperBound - next), line + next)
                    }
                }
                let rest = block.upperBound
                LinearAlgebra.multiply(
                    errors, lda: Self.blockSize, factor + block.lowerBound * columns + rest, ldb: columns,
                    into: weights + rows.lowerBound * columns + rest, ldc: columns, m: rows.count, n: columns - rest,
                    k: block.count, alpha: -1, beta: 1)
            }
        }
    }
}

/// The columns with the largest diagonal element of the Hessian first; equal ones as they stand.
func columnsByActivation(_ hessian: SquareMatrix) -> [Int] {
    let diagonal = hessian.diagonal
    return (0..<hessian.size).sorted { (diagonal[$0], $1) > (diagonal[$1], $0) }
}

extension Tensor {
    /// A matrix with its columns reordered: column j is this one's column order[j].
    func reorderingColumns(_ order: [Int]) -> Tensor {
        var result = Tensor(rows: rows, columns: columns)
        for row in 0..<rows {
            for (j, column) in order.enumerated() {
                result.values[row * columns + j] = values[row * columns + column]
            }
        }
        return result
    }
}
