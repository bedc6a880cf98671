import CPithKernels
import PithCore
import PithModels
import PithTensor

/// Integer codes of 2 to 8 bits with a scale, and perhaps a zero point, for each group of columns of a row:
/// weight = (code − zero) · scale.
///
/// Rows lie in blocks of 16, side by side, in tiles of 32 columns, so that vectors of any width read them in one
/// stream. Parts: `codes` U8 [blocks, tiles, 64 · bits]; `scales` F16 [blocks, groups, 16]; `zeros` U8
/// [blocks, groups, 16], absent where all are 2^(bits−1). Parameters: `bits`, `groupSize`.
package struct GroupedCodes: GridLayout {
    package static let layout = "codes"

    let grid: CodeGrid
    private let codes: StoredTensor

    package var stored: StoredParts { grid.stored(with: ["codes": codes]) }

    package init(_ parts: StoredParts, shape: [Int], layouts: LayoutCatalogue) throws(PithError) {
        grid = try CodeGrid(parts, shape: shape)
        codes = try grid.packing.codes(parts, bits: grid.bits)
    }

    /// Packs codes, one byte for each weight, [rows, columns], and their scales and zeros, [rows, groups].
    package init(
        codes: [UInt8], scales: [Float], zeros: [UInt8]?, rows: Int, columns: Int, bits: Int, groupSize: Int
    ) throws(PithError) {
        let packing = try Packing(rows: rows, columns: columns, groupSize: groupSize)
        let grid = CodeGrid(packing, scales: scales, zeros: zeros, bits: bits)
        let parts = grid.stored(with: ["codes": packing.planes(of: codes, bits: bits)])
        try self.init(parts, shape: [rows, columns], layouts: WeightLayouts.catalogue)
    }

    package var packed: pith_packed {
        grid.packed(pith_packing(UInt32(bits)), codes, tileBytes: 64 * bits)
    }
}
