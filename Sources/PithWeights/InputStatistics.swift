import CPithKernels
import PithCore
import PithTensor

/// What calibration saw of the inputs X of a matrix, gathered in one pass: sums of squares, or XᵀX as a whole.
///
/// Every sum is one chain of additions in double precision over the rows in the order they came (products of floats
/// are exact there), so the result depends neither on how the rows were cut into batches nor on threads or
/// instruction sets.
public struct InputStatistics: Sendable {
    /// The extent of an input row.
    public let width: Int
    /// What is gathered.
    public let gathered: CalibrationNeeds
    /// The rows seen.
    public private(set) var rowCount = 0

    private var squares: [Double]
    private var products: SquareMatrix
    /// Rows that wait for company: XᵀX is read and written once for many of them.
    private var waiting: [Float] = []

    private static let rowsInBlock = 256

    /// Bytes of the sums of inputs of some width and of the rows that wait, in single and in double precision.
    static func memory(width: Int, gathering needs: CalibrationNeeds) -> Int {
        switch needs {
        case .nothing: 0
        case .columnNorms: 8 * width
        case .hessian: 8 * width * width + rowsInBlock * 12 * width
        }
    }

    /// Begins with no rows.
    public init(width: Int, gathering needs: CalibrationNeeds) {
        self.width = width
        gathered = needs
        squares = [Double](repeating: 0, count: needs == .columnNorms ? width : 0)
        products = SquareMatrix(size: needs == .hessian ? width : 0)
    }

    /// What stands for inputs that were never seen, as those of an expert that no token was sent to: all columns alike and
    /// independent of each other.
    static func uniform(width: Int, gathering needs: CalibrationNeeds) -> InputStatistics {
        var result = InputStatistics(width: width, gathering: needs)
        for i in result.squares.indices { result.squares[i] = 1 }
        if needs == .hessian { for i in 0..<width { result.products[i, i] = 1 } }
        return result
    }

    /// Adds `count` input rows, [count, width].
    public mutating func add(_ rows: UnsafePointer<Float>, count: Int, pool: ThreadPool) {
        rowCount += count
        switch gathered {
        case .nothing: break
        case .columnNorms: addSquares(rows, count: count)
        case .hessian: addProducts(rows, count: count, pool: pool)
        }
    }

    /// Adds the rows of a matrix, [rows, width].
    public mutating func add(_ rows: Tensor, pool: ThreadPool) {
        precondition(rows.columns == width, "rows of \(rows.columns) inputs instead of \(width)")
        rows.values.withUnsafeBufferPointer { buffer in
            if let base = buffer.baseAddress { add(base, count: rows.rows, pool: pool) }
        }
    }

    /// Adds the rows that wait, so that no reader has to.
    mutating func finish(pool: ThreadPool) { flush(pool: pool) }

    /// The sum of squares of each column.
    public var columnSquares: [Double] {
        guard gathered == .hessian else { return squares }
        return waiting.isEmpty ? products.diagonal : hessian?.diagonal ?? []
    }

    /// XᵀX, [width, width], if that was gathered.
    public var hessian: SquareMatrix? {
        guard gathered == .hessian else { return nil }
        var whole = self
        whole.flush(pool: ThreadPool(threads: 1))
        whole.products.mirrorUpper()
        return whole.products
    }

    /// The same of the first columns alone.
    func leading(_ columns: Int) -> InputStatistics {
        guard columns < width else { return self }
        var result = InputStatistics(width: columns, gathering: gathered)
        result.rowCount = rowCount
        if gathered == .columnNorms { result.squares = Array(squares[..<columns]) }
        if let hessian {
            for i in 0..<columns { for j in 0..<columns { result.products[i, j] = hessian[i, j] } }
        }
        return result
    }

    private mutating func addSquares(_ rows: UnsafePointer<Float>, count: Int) {
        squares.withUnsafeMutableBufferPointer { sums in
            for row in 0..<count {
                for column in 0..<width {
                    let x = Double(rows[row * width + column])
                    sums[column] += x * x
                }
            }
        }
    }

    private mutating func addProducts(_ rows: UnsafePointer<Float>, count: Int, pool: ThreadPool) {
        var taken = 0
        while taken < count {
            let here = min(count - taken, Self.rowsInBlock - waiting.count / max(1, width))
            waiting += UnsafeBufferPointer(start: rows + taken * width, count: here * width)
            taken += here
            if waiting.count >= Self.rowsInBlock * width { flush(pool: pool) }
        }
    }

    /// Adds the waiting rows to the upper triangle of XᵀX.
    private mutating func flush(pool: ThreadPool) {
        guard !waiting.isEmpty else { return }
        let (width, rows) = (width, waiting.count / width)
        let panels = (width + 7) / 8
        let kernels = kernels
        // Columns by eights, [panels, rows, 8]: what a tile reads lies together.
        var packed = [Double](repeating: 0, count: panels * rows * 8)
        packed.withUnsafeMutableBufferPointer { packed in
            for row in 0..<rows {
                for column in 0..<width {
                    packed[(column / 8 * rows + row) * 8 + column % 8] = Double(waiting[row * width + column])
                }
            }
        }
        products.values.withUnsafeMutableBufferPointer { target in
            packed.withUnsafeBufferPointer { packed in
                pool.forEachBlock(of: panels, grain: 8, sharing: packed, target) { block, packed, target in
                    guard let source = packed.baseAddress, let target = target.baseAddress else { return }
                    kernels.gram(
                        source, Int64(rows), Int64(width), Int64(block.lowerBound), Int64(block.upperBound), target)
                }
            }
        }
        waiting.removeAll(keepingCapacity: true)
    }
}
