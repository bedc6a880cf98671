import PithCore
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
