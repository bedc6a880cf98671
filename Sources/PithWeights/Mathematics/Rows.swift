import PithCore
import PithModels
import PithTensor

/// Fills an array of the shape of `matrix` row by row on all threads; `body` sees one row of both.
func mapRows<Element: BitwiseCopyable & Sendable & ExpressibleByIntegerLiteral>(
    of matrix: Tensor, pool: ThreadPool,
    _ body: @Sendable (_ row: Int, _ source: UnsafePointer<Float>, _ target: UnsafeMutablePointer<Element>) -> Void
) -> [Element] {
    let columns = matrix.columns
    var result = [Element](repeating: 0, count: matrix.count)
    guard matrix.count > 0 else { return result }
    pool.forEachBlock(of: matrix.rows, grain: 16, writing: &result, width: columns) { block, part in
        matrix.values.withUnsafeBufferPointer { source in
            part.withUnsafeMutableBufferPointer { target in
                guard let source = source.baseAddress, let target = target.baseAddress else { return }
                for (place, row) in block.enumerated() {
                    body(row, source + row * columns, target + place * columns)
                }
            }
        }
    }
    return result
}

extension LinearOperator {
    /// Some rows of the matrix, of each the first columns, [rows, columns]; the others are not decoded where rows can be
    /// decoded alone.
    func rows(_ rows: [Int], columns: Int) -> Tensor {
        guard let decodable = self as? any RowDecodable else {
            return denseWeight(pool: ThreadPool(threads: 1)).rows(rows, columns: columns)
        }
        var result = Tensor(rows: rows.count, columns: columns)
        var line = [Float](repeating: 0, count: inputCount)
        for (i, row) in rows.enumerated() {
            line.withUnsafeMutableBufferPointer {
                if let base = $0.baseAddress { decodable.decodeRow(row, into: base) }
            }
            for j in 0..<columns { result[i, j] = line[j] }
        }
        return result
    }
}

extension Tensor {
    /// Some rows of a matrix, of each the first columns.
    func rows(_ rows: [Int], columns: Int) -> Tensor {
        var result = Tensor(rows: rows.count, columns: columns)
        for (i, row) in rows.enumerated() { for j in 0..<columns { result[i, j] = self[row, j] } }
        return result
    }

    /// The first rows and columns of a matrix.
    func corner(rows: Int, columns: Int) -> Tensor { self.rows(Array(0..<rows), columns: columns) }
}
