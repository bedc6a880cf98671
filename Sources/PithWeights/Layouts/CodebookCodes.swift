import CPithKernels
import PithCore
import PithModels
import PithTensor

/// Codes of 2 to 8 bits that name the entries of one table, with a scale for each group of columns of a row:
/// weight = entry · scale. Entries are whole numbers from −127 to 127.
///
/// Codes lie as those of `GroupedCodes` do. Parts: `codes` U8 [blocks, tiles, 64 · bits]; `scales` F16
/// [blocks, groups, 16]; `codebook` I8 [2^bits]. Parameters: `bits`, `groupSize`.
package struct CodebookCodes: PackedLayout {
    package static let layout = "codebook"

    /// Bits of a code.
    package let bits: Int
    package let packing: Packing
    private let codes: StoredTensor
    private let scales: StoredTensor
    private let codebook: StoredTensor
    /// Entries plus 128, at least 16 of them: what the kernels look up.
    private let table: StoredTensor

    package var stored: StoredParts {
        StoredParts(
            tensors: ["codes": codes, "scales": scales, "codebook": codebook],
            parameters: ["bits": bits, "groupSize": groupSize])
    }

    package init(_ parts: StoredParts, shape: [Int], layouts: LayoutCatalogue) throws(PithError) {
        bits = try parts.parameter("bits", in: 2...8)
        packing = try Packing(parts, shape: shape)
        codes = try packing.codes(parts, bits: bits)
        scales = try packing.scales(parts)
        codebook = try parts.tensor("codebook", .int8, [1 << bits])
        guard !codebook.byteValues.contains(0x80) else {
            throw .data("part 'codebook' holds -128", remedy: "its entries are from -127 to 127")
        }
        let padding = [UInt8](repeating: 128, count: max(0, 16 - codebook.count))
        table = StoredTensor(bytes: codebook.byteValues.map { $0 ^ 0x80 } + padding, shape: [max(16, codebook.count)])
    }

    /// Packs codes, one byte for each weight, [rows, columns], of the entries of `codebook`, [2^bits], with scales,
    /// [rows, groups].
    package init(
        codes: [UInt8], codebook: [Int8], scales: [Float], rows: Int, columns: Int, bits: Int, groupSize: Int
    ) throws(PithError) {
        let packing = try Packing(rows: rows, columns: columns, groupSize: groupSize)
        let parts = StoredParts(
            tensors: [
                "codes": packing.planes(of: codes, bits: bits), "scales": packing.scales(scales),
                "codebook": StoredTensor(codebook, as: .int8, shape: [codebook.count]),
            ], parameters: ["bits": bits, "groupSize": groupSize])
        try self.init(parts, shape: [rows, columns], layouts: WeightLayouts.catalogue)
    }

    package var packed: pith_packed {
        var packed = packing.packed(
            pith_packing(PITH_CODEBOOK_2.rawValue + UInt32(bits - 2)), codes, tileBytes: 64 * bits, scales, zero: 128)
        packed.codebooks = 1
        packed.tables = table.byteValues.baseAddress
        return packed
    }
}
