import CPithKernels
import PithCore
import PithModels
import PithTensor

/// A matrix that keeps n of every m weights of a row: for each group the index of the way to keep n of m, and the
/// kept weights as a smaller matrix in a layout of its own, dense or of integer codes.
///
/// Parts: `patterns` U8 [rows, bytes of a row], a little-endian bit stream; component `values` [rows, groups · n].
/// Parameters: `kept` n, `size` m. 2:4 costs 3 bits for 4 weights, 4:8 costs 7 for 8.
package struct PatternSparse: StoredLinear, RowDecodable {
    package static let layout = "nm"

    package let outputCount: Int
    package let inputCount: Int
    /// How many of how many are kept.
    package let pattern: KeepPattern
    /// The kept weights, [rows, groups · n].
    package let values: any StoredLinear & RowDecodable

    private let patterns: StoredTensor
    private let masks: [UInt8]
    private let patternBytes: Int
    /// The kept weights if they lie in memory as they are; looked up once, for casts are slow.
    private let dense: StoredTensor?

    package var storedBits: Int { stored.storedBits }

    package var stored: StoredParts {
        StoredParts(
            tensors: ["patterns": patterns], parameters: ["kept": pattern.kept, "size": pattern.size],
            components: ["values": values])
    }

    package init(_ parts: StoredParts, shape: [Int], layouts: LayoutCatalogue) throws(PithError) {
        (outputCount, inputCount) = try matrixExtents(shape)
        let (kept, size) = (try parts.parameter("kept", in: 1...7), try parts.parameter("size", in: 2...8))
        do { pattern = try KeepPattern(kept: kept, of: size) } catch { throw .data(error.message) }
        masks = pattern.masksOfEight
        patternBytes = pattern.patternBytes(columns: inputCount)
        patterns = try parts.tensor("patterns", .uint8, [outputCount, patternBytes])
        let component = try parts.component("values")
        guard let values = component as? any StoredLinear & RowDecodable else {
            throw .data("component 'values' cannot be read row by row")
        }
        let stored = pattern.keptCount(columns: inputCount)
        guard values.outputCount == outputCount, values.inputCount == stored else {
            throw .data(
                "component 'values' is [\(values.outputCount), \(values.inputCount)]",
                remedy: "it should be [\(outputCount), \(stored)]")
        }
        dense = (values as? DenseOperator)?.weight
        if let dense, !dense.isFinite {
            throw .data("component 'values' holds a value that is not finite")
        }
        self.values = values
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

    /// Takes the weights of `weight` for which `kept` is true: n of each group of m.
    ///
    /// `store` makes the smaller matrix of the kept weights, [rows, groups · n].
    package init(
        _ weight: Tensor, keeping kept: [Bool], _ pattern: KeepPattern,
        store: (Tensor) throws(PithError) -> any StoredLinear = Self.storeDense
    ) throws(PithError) {
        let selection = PatternSelection(kept, rows: weight.rows, columns: weight.columns, pattern)
        let parts = StoredParts(
            tensors: ["patterns": selection.packedIndices()],
            parameters: ["kept": pattern.kept, "size": pattern.size],
            components: ["values": try store(selection.gather(weight))])
        try self.init(parts, shape: weight.shape, layouts: WeightLayouts.catalogue)
    }

    /// The kept weights in half precision.
    package static func storeDense(_ values: Tensor) throws(PithError) -> any StoredLinear {
        try DenseOperator(StoredTensor(values, as: .halfType(for: values.values)))
    }

    /// Calls `body` with each of some rows as the kernels take it.
    private func forEachRow(of rows: Range<Int>, _ body: (_ row: Int, inout pith_sparse_row) -> Void) {
        guard inputCount > 0, !rows.isEmpty else { return }
        let columns = values.inputCount
        // Room behind the decoded values, so that kernels may read beyond them.
        withUnsafeTemporaryAllocation(of: Float.self, capacity: dense == nil ? inputCount + 32 : 0) { decoded in
            masks.withUnsafeBufferPointer { masks in
                var sparse = pith_sparse_row(
                    patterns: nil, masks: masks.baseAddress, values: nil, pattern_bytes: 0,
                    value_count: Int64(decoded.count), type: PITH_F32, bits: Int32(pattern.bitsOfEight))
                for row in rows {
                    sparse.patterns = patterns.byteValues.baseAddress.map { $0 + row * patternBytes }
                    sparse.pattern_bytes = Int64((outputCount - row) * patternBytes)
                    if let dense, let type = dense.type.dense {
                        sparse.type = type
                        sparse.values = dense.region.bytes.baseAddress.map {
                            $0 + row * columns * dense.type.byteCount
                        }
                        sparse.value_count = Int64((outputCount - row) * columns)
                    } else if let target = decoded.baseAddress {
                        values.decodeRow(row, into: target)
                        sparse.values = UnsafeRawPointer(target)
                    }
                    body(row, &sparse)
                }
            }
        }
    }

    package func decodeRow(_ row: Int, into target: UnsafeMutablePointer<Float>) {
        let (kernels, columns) = (kernels, Int64(inputCount))
        forEachRow(of: row..<row + 1) { kernels.decode_sparse(&$1, columns, target) }
    }

    package func dotRow(_ row: Int, _ input: UnsafePointer<Float>) -> Float {
        var product: Float = 0
        dotRows(row..<row + 1, input, into: &product)
        return product
    }

    package func dotRows(
        _ rows: Range<Int>, _ input: UnsafePointer<Float>, into output: UnsafeMutablePointer<Float>
    ) {
        let (kernels, columns) = (kernels, Int64(inputCount))
        output.update(repeating: 0, count: rows.count)
        forEachRow(of: rows) { output[$0 - rows.lowerBound] = kernels.dot_sparse(input, &$1, columns) }
    }

    /// Which weights are kept.
    package var selection: PatternSelection {
        let (masks, groups) = (pattern.masks, pattern.groups(columns: inputCount))
        return PatternSelection(
            (0..<outputCount * groups).map { masks[patternIndex($0 / groups, $0 % groups)] }, rows: outputCount,
            columns: inputCount, pattern)
    }
}

/// Where the kept weights of an n:m matrix stand.
///
/// A last group that reaches beyond the last column may keep columns there; their weights are zeros.
package struct PatternSelection {
    /// Rows of the matrix.
    package let rows: Int
    /// Columns of the matrix.
    package let columns: Int
    /// How many of how many are kept.
    package let pattern: KeepPattern
    /// For each group the mask of what it keeps, [rows, groups].
    private let groupMasks: [UInt8]

    fileprivate init(_ groupMasks: [UInt8], rows: Int, columns: Int, _ pattern: KeepPattern) {
        (self.rows, self.columns, self.pattern, self.groupMasks) = (rows, columns, pattern, groupMasks)
    }

    /// Takes a truth value for each weight, [rows, columns], of which no more than n of each m are true.
    package init(_ kept: [Bool], rows: Int, columns: Int, _ pattern: KeepPattern) {
        precondition(kept.count == rows * columns, "a truth value for each weight")
        (self.rows, self.columns, self.pattern) = (rows, columns, pattern)
        let groups = pattern.groups(columns: columns)
        groupMasks = (0..<rows * groups).map { group in
            let first = group % groups * pattern.size
            let present = min(pattern.size, columns - first)
            var mask: UInt8 = 0
            for j in 0..<present where kept[group / groups * columns + first + j] { mask |= 1 << UInt8(j) }
            // Fill up from the far end: with columns that are not there where possible.
            var j = pattern.size - 1
            while mask.nonzeroBitCount < pattern.kept {
                mask |= 1 << UInt8(j)
                j -= 1
            }
            precondition(mask.nonzeroBitCount == pattern.kept, "more than \(pattern) kept")
            return mask
        }
    }

    /// The index of each group's way to keep n of m, packed, [rows, bytes of a row].
    func packedIndices() -> StoredTensor {
        let (bits, groups) = (pattern.indexBits, pattern.groups(columns: columns))
        var indices = [UInt8](repeating: 0, count: 256)
        for (index, mask) in pattern.masks.enumerated() { indices[Int(mask)] = UInt8(index) }
        let packed = packCodes(groupMasks.map { indices[Int($0)] }, rows: rows, columns: groups, bits: bits)
        return StoredTensor(bytes: packed, shape: [rows, pattern.patternBytes(columns: columns)])
    }

    /// Calls `body` with each kept weight: its row, its column, and its place among the kept weights of the row.
    func forEachKept(_ body: (_ row: Int, _ column: Int, _ place: Int) -> Void) {
        let groups = pattern.groups(columns: columns)
        for row in 0..<rows {
            var place = 0
            for group in 0..<groups {
                for j in 0..<pattern.size where groupMasks[row * groups + group] >> UInt8(j) & 1 == 1 {
                    if group * pattern.size + j < columns { body(row, group * pattern.size + j, place) }
                    place += 1
                }
            }
        }
    }

    /// For each weight of a row its place among the kept weights of the row, or −1, [rows, columns].
    package var places: [Int32] {
        var places = [Int32](repeating: -1, count: rows * columns)
        forEachKept { row, column, place in places[row * columns + column] = Int32(place) }
        return places
    }

    /// The kept weights, [rows, groups · n].
    func gather(_ weight: Tensor) -> Tensor {
        var result = Tensor(rows: rows, columns: pattern.keptCount(columns: columns))
        forEachKept { row, column, place in result[row, place] = weight[row, column] }
        return result
    }
}
/// Codes, one byte each, as bit streams that begin on a byte in every row, the lowest bits first.
func packCodes(_ codes: [UInt8], rows: Int, columns: Int, bits: Int) -> [UInt8] {
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
