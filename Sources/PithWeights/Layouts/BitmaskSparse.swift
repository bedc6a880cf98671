import CPithKernels
import PithCore
import PithModels
import PithTensor

/// A matrix with any weights left out: a bit for each weight, and the kept weights row by row.
///
/// Parts: `mask` U8 [rows, ⌈columns / 8⌉], the first column in the lowest bit; `values` F16, BF16 or F32 [kept];
/// `offsets` U32 [rows], where the values of each row begin.
package struct BitmaskSparse: SparseLayout {
    package static let layout = "bitmask"

    package let outputCount: Int
    package let inputCount: Int

    private let packedMask: StoredTensor
    private let values: StoredTensor
    private let offsets: StoredTensor
    private let type: pith_element
    private let maskBytes: Int

    package var stored: StoredParts {
        StoredParts(tensors: ["mask": packedMask, "values": values, "offsets": offsets])
    }

    package init(_ parts: StoredParts, shape: [Int], layouts: LayoutCatalogue) throws(PithError) {
        (outputCount, inputCount) = try matrixExtents(shape)
        maskBytes = (inputCount + 7) / 8
        packedMask = try parts.tensor("mask", .uint8, [outputCount, maskBytes])
        offsets = try parts.tensor("offsets", .uint32, [outputCount]).aligned
        guard let values = parts.tensors["values"] else { throw .data("part 'values' is missing") }
        guard values.shape.count == 1, let type = values.type.dense else {
            throw .data(
                "part 'values' is \(values.type.rawValue) \(values.shape)", remedy: "it should be a list of F16")
        }
        self.values = values.aligned
        self.type = type
        guard self.values.isFinite else { throw .data("part 'values' holds a value that is not finite") }
        try validateRows()
    }

    /// Every row must begin where the kept weights of the rows before end.
    private func validateRows() throws(PithError) {
        let (mask, offsets) = (packedMask.byteValues, offsets.region.bytes.assumingMemoryBound(to: UInt32.self))
        let unused = UInt8(truncatingIfNeeded: 0xFF << (inputCount - 8 * max(0, maskBytes - 1)))
        var kept = 0
        for row in 0..<outputCount {
            guard Int(offsets[row]) == kept else {
                throw .data("part 'offsets' has \(offsets[row]) for row \(row)", remedy: "part 'mask' says \(kept)")
            }
            for byte in mask[row * maskBytes..<(row + 1) * maskBytes] { kept += byte.nonzeroBitCount }
            if maskBytes > 0 && mask[(row + 1) * maskBytes - 1] & unused != 0 {
                throw .data("part 'mask' keeps columns beyond the last in row \(row)")
            }
        }
        guard kept == values.count else {
            throw .data("part 'values' holds \(values.count) values", remedy: "part 'mask' says \(kept)")
        }
    }

    /// Takes the weights of `weight` for which `mask` is true.
    package init(_ weight: Tensor, keeping mask: [Bool]) throws(PithError) {
        precondition(mask.count == weight.count, "a truth value for each weight")
        let (rows, columns) = (weight.rows, weight.columns)
        let maskBytes = (columns + 7) / 8
        guard weight.count < Int(UInt32.max) else { throw .data("the matrix is too large for 32-bit offsets") }
        var packed = [UInt8](repeating: 0, count: rows * maskBytes)
        var values: [Float] = []
        var offsets: [UInt32] = []
        for row in 0..<rows {
            offsets.append(UInt32(values.count))
            for column in 0..<columns where mask[row * columns + column] {
                packed[row * maskBytes + column / 8] |= 1 << UInt8(column % 8)
                values.append(weight.values[row * columns + column])
            }
        }
        let parts = StoredParts(tensors: [
            "mask": StoredTensor(bytes: packed, shape: [rows, maskBytes]),
            "values": StoredTensor(Tensor(shape: [values.count], values: values), as: .halfType(for: values)),
            "offsets": StoredTensor(offsets, as: .uint32, shape: [rows]),
        ])
        try self.init(parts, shape: [rows, columns], layouts: WeightLayouts.catalogue)
    }

    package var mask: [Bool] {
        (0..<outputCount).flatMap { row in
            (0..<inputCount).map { packedMask.byteValues[row * maskBytes + $0 / 8] >> UInt8($0 % 8) & 1 == 1 }
        }
    }

    /// Row `row` as the kernels take it.
    private func sparseRow(_ row: Int) -> pith_sparse_row {
        let start = Int(offsets.region.bytes.assumingMemoryBound(to: UInt32.self)[row])
        return pith_sparse_row(
            patterns: packedMask.byteValues.baseAddress.map { $0 + row * maskBytes }, masks: nil,
            values: values.region.bytes.baseAddress.map { $0 + start * values.type.byteCount },
            pattern_bytes: Int64((outputCount - row) * maskBytes), value_count: Int64(values.count - start),
            type: type, bits: 8)
    }

    package func decodeRow(_ row: Int, into target: UnsafeMutablePointer<Float>) {
        guard inputCount > 0 else { return }
        var sparse = sparseRow(row)
        kernels.decode_sparse(&sparse, Int64(inputCount), target)
    }

    package func dotRows(
        _ rows: Range<Int>, _ input: UnsafePointer<Float>, into output: UnsafeMutablePointer<Float>
    ) {
        guard inputCount > 0 else { return output.update(repeating: 0, count: rows.count) }
        withUnsafeTemporaryAllocation(of: pith_sparse_row.self, capacity: rows.count) { sparse in
            for (i, row) in rows.enumerated() { sparse[i] = sparseRow(row) }
            kernels.dot_sparse(input, sparse.baseAddress, Int64(rows.count), Int64(inputCount), output)
        }
    }
}

extension ElementType {
    /// The type of two bytes that holds `values` best: F16, or BF16 where their range is too much for that.
    static func halfType(for values: [Float]) -> ElementType {
        let largest = values.reduce(0) { max($0, abs($1)) }
        return largest == 0 || (0x1p-14...65504).contains(largest) ? .float16 : .bfloat16
    }
}
