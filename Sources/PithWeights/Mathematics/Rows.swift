import PithCore
import PithTensor

/// Fills an array of the shape of `matrix` row by row on all threads; `body` sees one row of both.
func mapRows<Element: BitwiseCopyable & ExpressibleByIntegerLiteral>(
    of matrix: Tensor, pool: ThreadPool,
    _ body: (_ row: Int, _ source: UnsafePointer<Float>, _ target: UnsafeMutablePointer<Element>) -> Void
) -> [Element] {
    let columns = matrix.columns
    var result = [Element](repeating: 0, count: matrix.count)
    guard matrix.count > 0 else { return result }
    matrix.values.withUnsafeBufferPointer { source in
        result.withUnsafeMutableBufferPointer { target in
            guard let source = source.baseAddress, let target = target.baseAddress else { return }
            pool.forEachBlock(of: matrix.rows, grain: 16) { block in
                for row in block { body(row, source + row * columns, target + row * columns) }
            }
        }
    }
    return result
}
