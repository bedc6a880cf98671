import CPithKernels
import PithCore
import PithModels
import PithTensor

/// A matrix that keeps n of every m weights of a row: for each group the index of the way to keep n of m, and the
/// kept weights.
///
/// Parts: `patterns` U8 [rows, bytes of a row], a little-endian bit stream; `values` F16, BF16 or F32
/// [rows, groups · n]. Parameters: `kept` n, `size` m. 2:4 costs 3 bits for 4 weights, 4:8 costs 7 for 8.
package struct PatternSparse: SparseLayout {
    package static let layout = "nm"

    package let outputCount: Int
    package let inputCount: Int
    /// How many of how many are kept.
    package let pattern: SparsityPattern

    private let patterns: StoredTensor
    private let values: StoredTensor
    private let type: pith_element
    private let masks: [UInt8]
    private let patternBytes: Int

    package var stored: StoredParts {
        StoredParts(
            tensors: ["patterns": patterns, "values": values],
            parameters: ["kept": pattern.kept, "size": pattern.size])
    }

    package init(_ parts: StoredParts, shape: [Int], layouts: LayoutCatalogue) throws(PithError) {
        (outputCount, inputCount) = try matrixExtents(shape)
        let (kept, size) = (try parts.parameter("kept", in: 1...7), try parts.parameter("size", in: 2...8))
        do { pattern = try SparsityPattern(kept: kept, of: size) } catch { throw .data(error.message) }
        masks = pattern.masksOfEight
        patternBytes = pattern.patternBytes(columns: inputCount)
        patterns = try parts.tensor("patterns", .uint8, [outputCount, patternBytes])
        guard let values = parts.tensors["values"] else { throw .data("part 'values' is missing") }
        let stored = [outputCount, pattern.keptCount(columns: inputCount)]
        guard values.shape == stored, let type = values.type.dense else {
            throw .data(
                "part 'values' is \(values.type.rawValue) \(values.shape)", remedy: "it should be F16 \(stored)")
        }
        (self.values, self.type) = (values.aligned, type)
        guard self.values.isFinite else { throw .data("part 'values' holds a value that is not finite") }
        try validatePatterns()
    }

    /// Every index must name a way to keep n of m, and the bits behind the last index of a row must be zeros.
    private func validatePatterns() throws(PithError) {
        let (ways, groups) = (pattern.masks.count, pattern.groups(columns: inputCount))
        let usedBits = groups * pattern.indexBits - 8 * max(0, patternBytes - 1)
        for row in 0..<outputCount {
            for group in 0..<groups where patternIndex(row, group) >= ways {
                throw .data("part 'patterns' has an index beyond \(ways - 1) in row \(row)")
            }
            if patternBytes > 0, Int(patterns.byteValues[(row + 1) * patternBytes - 1]) >> usedBits != 0 {
                throw .data("part 'patterns' has bits behind the last index of row \(row)")
            }
        }
    }

    private func patternIndex(_ row: Int, _ group: Int) -> Int {
        let (bits, bytes) = (pattern.indexBits, patterns.byteValues)
        let bit = group * bits
        let byte = row * patternBytes + bit / 8
        var window = Int(bytes[byte])
        if bit % 8 + bits > 8 { window |= Int(bytes[byte + 1]) << 8 }
        return window >> (bit % 8) & ((1 << bits) - 1)
    }

    /// Takes the weights of `weight` for which `mask` is true: no more than n of each group of m.
    package init(_ weight: Tensor, keeping mask: [Bool], _ pattern: SparsityPattern) throws(PithError) {
        precondition(mask.count == weight.count, "a truth value for each weight")
        let (rows, columns, groups) = (weight.rows, weight.columns, pattern.groups(columns: weight.columns))
        var (indices, values) = ([UInt8](), Tensor(rows: rows, columns: groups * pattern.kept))
        indices.reserveCapacity(rows * groups)
        for row in 0..<rows {
            var next = 0
            for first in stride(from: 0, to: columns, by: pattern.size) {
                let bits = pattern.bits { first + $0 < columns && mask[row * columns + first + $0] }
                indices.append(UInt8(pattern.masks.firstIndex(of: bits) ?? 0))
                for column in first..<first + pattern.size where bits >> UInt8(column - first) & 1 == 1 {
                    if column < columns { values[row, next] = weight[row, column] }
                    next += 1
                }
            }
        }
        let packed = packCodes(indices, rows: rows, columns: groups, bits: pattern.indexBits)
        let parts = StoredParts(
            tensors: [
                "patterns": StoredTensor(bytes: packed, shape: [rows, pattern.patternBytes(columns: columns)]),
                "values": StoredTensor(values, as: .halfType(for: values.values)),
            ], parameters: ["kept": pattern.kept, "size": pattern.size])
        try self.init(parts, shape: weight.shape, layouts: WeightLayouts.catalogue)
    }

    package var mask: [Bool] {
        (0..<outputCount).flatMap { row in
            (0..<inputCount).map { column in
                pattern.masks[patternIndex(row, column / pattern.size)] >> UInt8(column % pattern.size) & 1 == 1
            }
        }
    }

    /// Calls `body` with some rows as the kernels take them.
    private func withRows(_ rows: Range<Int>, _ body: (UnsafeMutablePointer<pith_sparse_row>) -> Void) {
        let columns = values.shape[1]
        masks.withUnsafeBufferPointer { masks in
            withUnsafeTemporaryAllocation(of: pith_sparse_row.self, capacity: rows.count) { sparse in
                for (i, row) in rows.enumerated() {
                    sparse[i] = pith_sparse_row(
                        patterns: patterns.byteValues.baseAddress.map { $0 + row * patternBytes },
                        masks: masks.baseAddress,
                        values: values.region.bytes.baseAddress.map { $0 + row * columns * values.type.byteCount },
                        pattern_bytes: Int64((outputCount - row) * patternBytes),
                        value_count: Int64((outputCount - row) * columns), type: type,
                        bits: Int32(pattern.bitsOfEight))
                }
                if let base = sparse.baseAddress { body(base) }
            }
        }
    }

    package func decodeRow(_ row: Int, into target: UnsafeMutablePointer<Float>) {
        guard inputCount > 0 else { return }
        withRows(row..<row + 1) { kernels.decode_sparse($0, Int64(inputCount), target) }
    }

    package func dotRows(
        _ rows: Range<Int>, _ input: UnsafePointer<Float>, into output: UnsafeMutablePointer<Float>
    ) {
        guard inputCount > 0 else { return output.update(repeating: 0, count: rows.count) }
        withRows(rows) { kernels.dot_sparse(input, $0, Int64(rows.count), Int64(inputCount), output) }
    }
}

extension SparsityPattern {
    /// The mask of a group that keeps n: those for which `isKept` is true, filled up from the far end if they are
    /// fewer, with columns beyond the last where possible.
    fileprivate func bits(_ isKept: (_ place: Int) -> Bool) -> UInt8 {
        var mask: UInt8 = 0
        for place in 0..<size where isKept(place) { mask |= 1 << UInt8(place) }
        for place in (0..<size).reversed() where mask.nonzeroBitCount < kept { mask |= 1 << UInt8(place) }
        precondition(mask.nonzeroBitCount == kept, "more than \(self) kept")
        return mask
    }
}

/// Codes, one byte each, as bit streams that begin on a byte in every row, the lowest bits first.
private func packCodes(_ codes: [UInt8], rows: Int, columns: Int, bits: Int) -> [UInt8] {
    var packed: [UInt8] = []
    packed.reserveCapacity(rows * ((columns * bits + 7) / 8))
    for row in 0..<rows {
        var (window, filled) = (UInt32(0), 0)
        for code in codes[row * columns..<(row + 1) * columns] {
            window |= UInt32(code) << UInt32(filled)
            filled += bits
            while filled >= 8 {
                packed.append(UInt8(truncatingIfNeeded: window))
                window >>= 8
                filled -= 8
            }
        }
        if filled > 0 { packed.append(UInt8(truncatingIfNeeded: window)) }
    }
    return packed
}
