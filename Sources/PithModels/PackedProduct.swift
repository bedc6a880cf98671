import CPithKernels
import PithTensor

extension ActivationBlock {
    /// Multiplies all rows by the rows `outputs` of a packed matrix, on one thread, as `LinearOperator.multiply` says.
    /// `inputGroup`: columns of a group of narrow inputs, for which `prepareNarrow` has been called.
    package func multiply(
        _ outputs: Range<Int>, _ matrix: pith_packed, inputGroup: Int, into output: UnsafeMutablePointer<Float>,
        stride: Int
    ) {
        let (first, whole) = (outputs.lowerBound / 16, outputs.count / 16)
        multiplyBlocks(first..<first + whole, matrix, inputGroup, into: output, stride: stride)
        let rest = outputs.count % 16
        guard rest > 0 else { return }
        // The last block has lanes that are no rows of the matrix.
        withUnsafeTemporaryAllocation(of: Float.self, capacity: rows * 16) { buffer in
            guard let base = buffer.baseAddress else { return }
            multiplyBlocks(first + whole..<first + whole + 1, matrix, inputGroup, into: base, stride: 16)
            for row in 0..<rows {
                (output + row * stride + whole * 16).update(from: base + row * 16, count: rest)
            }
        }
    }

    private func multiplyBlocks(
        _ blocks: Range<Int>, _ matrix: pith_packed, _ inputGroup: Int, into output: UnsafeMutablePointer<Float>,
        stride: Int
    ) {
        guard !blocks.isEmpty else { return }
        var packed = matrix
        let (first, count) = (Int64(blocks.lowerBound), Int64(blocks.count))
        switch precision {
        case .narrow:
            withUnsafePointer(to: narrow(group: inputGroup).rows) { rows in
                kernels.multiply_packed(&packed, first, count, rows, output, Int64(stride))
            }
        case .float:
            kernels.multiply_packed_floats(
                &packed, first, count, values, Int64(rows), Int64(width), output, Int64(stride))
        }
    }
}
