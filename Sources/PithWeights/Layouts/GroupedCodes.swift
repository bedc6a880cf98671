import CPithKernels
import PithCore
import PithModels
import PithTensor

/// Integer codes of 2 to 8 bits with a scale, and perhaps a zero point, for each group of columns of a row:
/// weight = (code − zero) · scale.
///
/// Parts: `codes` U8 [rows, bytes of a row], a little-endian bit stream; `scales` F16 [rows, groups]; `zeros` U8
/// [rows, groups], absent where all are 2^(bits−1). Parameters: `bits`, `groupSize`.
package struct GroupedCodes: StoredLinear, RowDecodable {
    package static let layout = "codes"

    package let outputCount: Int
    package let inputCount: Int
    /// Bits of a code.
    package let bits: Int
    /// Columns that share a scale; the last group of a row may be shorter.
    package let groupSize: Int

    private let codes: StoredTensor
    private let scales: StoredTensor
    private let zeros: StoredTensor?
    private let rowBytes: Int
    private let groups: Int

    package var storedBits: Int { stored.storedBits }

    package var stored: StoredParts {
        var parts = StoredParts(
            tensors: ["codes": codes, "scales": scales], parameters: ["bits": bits, "groupSize": groupSize])
        parts.tensors["zeros"] = zeros
        return parts
    }

    package init(_ parts: StoredParts, shape: [Int], layouts: LayoutCatalogue) throws(PithError) {
        (outputCount, inputCount) = try matrixExtents(shape)
        bits = try parts.parameter("bits", in: 2...8)
        groupSize = try parts.parameter("groupSize", in: 1...largestExtent)
        guard groupSize % 16 == 0 || groupSize >= inputCount else {
            throw .data("parameter 'groupSize' is \(groupSize)", remedy: "it should be a multiple of 16")
        }
        rowBytes = Self.rowBytes(columns: inputCount, bits: bits)
        groups = (inputCount + groupSize - 1) / groupSize
        codes = try parts.tensor("codes", .uint8, [outputCount, rowBytes])
        scales = try parts.tensor("scales", .float16, [outputCount, groups]).aligned
        zeros = parts.tensors["zeros"] == nil ? nil : try parts.tensor("zeros", .uint8, [outputCount, groups])
        guard scales.isFinite, scales.bitPatterns.allSatisfy({ $0 & 0x8000 == 0 }) else {
            throw .data("part 'scales' holds a negative or infinite scale")
        }
        if let zeros, bits < 8, let zero = zeros.byteValues.first(where: { $0 >> bits != 0 }) {
            throw .data("part 'zeros' holds \(zero)", remedy: "\(bits)-bit codes end at \((1 << bits) - 1)")
        }
    }

    /// Packs codes, one byte for each weight, [rows, columns], and their scales and zeros, [rows, groups].
    package init(
        codes: [UInt8], scales: [Float], zeros: [UInt8]?, rows: Int, columns: Int, bits: Int, groupSize: Int
    ) throws(PithError) {
        let groups = (columns + groupSize - 1) / max(1, groupSize)
        precondition(codes.count == rows * columns && scales.count == rows * groups, "parts do not fit the shape")
        let rowBytes = Self.rowBytes(columns: columns, bits: bits)
        let packed = packCodes(codes, rows: rows, columns: columns, bits: bits)
        var parts = StoredParts(
            tensors: [
                "codes": StoredTensor(bytes: packed, shape: [rows, rowBytes]),
                "scales": StoredTensor(Tensor(shape: [rows, groups], values: scales), as: .float16),
            ], parameters: ["bits": bits, "groupSize": groupSize])
        parts.tensors["zeros"] = zeros.map { StoredTensor(bytes: $0, shape: [rows, groups]) }
        try self.init(parts, shape: [rows, columns], layouts: WeightLayouts.catalogue)
    }

    private static func rowBytes(columns: Int, bits: Int) -> Int { (columns * bits + 7) / 8 }

    /// Row `row` as the kernels take it.
    private func codeRow(_ row: Int) -> pith_code_row? {
        guard let codes = codes.byteValues.baseAddress, let scales = scales.bitPatterns.baseAddress else { return nil }
        return pith_code_row(
            codes: codes + row * rowBytes, scales: scales + row * groups,
            zeros: zeros?.byteValues.baseAddress.map { $0 + row * groups }, bits: Int32(bits),
            group_size: Int32(groupSize))
    }

    package func decodeRow(_ row: Int, into target: UnsafeMutablePointer<Float>) {
        guard inputCount > 0, var codes = codeRow(row) else { return }
        kernels.decode_codes(&codes, Int64(inputCount), target)
    }

    package func dotRow(_ row: Int, _ input: UnsafePointer<Float>) -> Float {
        guard inputCount > 0, var codes = codeRow(row) else { return 0 }
        return kernels.dot_codes(input, &codes, Int64(inputCount))
    }

    package func dotRows(
        _ rows: Range<Int>, _ input: UnsafePointer<Float>, into output: UnsafeMutablePointer<Float>
    ) {
        guard inputCount > 0, var first = codeRow(rows.lowerBound) else {
            output.update(repeating: 0, count: rows.count)
            return
        }
        kernels.multiply_codes(
            input, &first, Int64(rows.count), Int64(rowBytes), Int64(groups), Int64(inputCount), output)
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
