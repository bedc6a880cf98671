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
package struct GroupedCodes: PackedLayout {
    package static let layout = "codes"

    package let outputCount: Int
    package let inputCount: Int
    /// Bits of a code.
    package var bits: Int { grid.bits }
    /// Columns that share a scale, a multiple of 32 or all; the last group of a row may be shorter.
    package var groupSize: Int { grid.groupSize }

    package var packing: Packing { grid.packing }
    let grid: CodeGrid
    private let codes: StoredTensor

    package var storedBits: Int { stored.storedBits }

    package var stored: StoredParts { grid.stored(with: ["codes": codes]) }

    package init(_ parts: StoredParts, shape: [Int], layouts: LayoutCatalogue) throws(PithError) {
        (outputCount, inputCount) = try matrixExtents(shape)
        grid = try CodeGrid(parts, rows: outputCount, columns: inputCount)
        let packing = grid.packing
        codes = try parts.tensor("codes", .uint8, [packing.blocks, packing.tiles, 64 * grid.bits])
    }

    /// Packs codes, one byte for each weight, [rows, columns], and their scales and zeros, [rows, groups].
    package init(
        codes: [UInt8], scales: [Float], zeros: [UInt8]?, rows: Int, columns: Int, bits: Int, groupSize: Int
    ) throws(PithError) {
        let packing = try Packing(rows: rows, columns: columns, groupSize: groupSize)
        precondition(codes.count == rows * columns, "a code for each weight")
        let tiles = packing.tileBytes(of: codes)
        var parts = StoredParts(
            tensors: packing.gridParts(scales: scales, zeros: zeros),
            parameters: ["bits": bits, "groupSize": groupSize])
        parts.tensors["codes"] = StoredTensor(
            bytes: packPlanes(tiles, bits: bits), shape: [packing.blocks, packing.tiles, 64 * bits])
        try self.init(parts, shape: [rows, columns], layouts: WeightLayouts.catalogue)
    }

    package var packed: pith_packed {
        grid.packed(pith_packing(UInt32(bits)), codes, tileBytes: 64 * bits)
    }
}

/// Packs tiles of bytes, 512 each, into planes of 4, 2 and 1 bits: the lowest bits first, and in each byte of a plane
/// of b bits the bytes of 8/b vectors of 64, the first in the lowest bits.
func packPlanes(_ tiles: [UInt8], bits: Int) -> [UInt8] {
    guard bits < 8 else { return tiles }
    var packed: [UInt8] = []
    packed.reserveCapacity(tiles.count / 8 * bits)
    for tile in stride(from: 0, to: tiles.count, by: 512) {
        var shift = 0
        for width in [4, 2, 1] where bits & width != 0 {
            let (perByte, mask) = (8 / width, UInt8(1 << width) - 1)
            for vector in stride(from: 0, to: 8, by: perByte) {
                for lane in 0..<64 {
                    var byte: UInt8 = 0
                    for i in 0..<perByte {
                        byte |= (tiles[tile + (vector + i) * 64 + lane] >> UInt8(shift) & mask) << UInt8(i * width)
                    }
                    packed.append(byte)
                }
            }
            shift += width
        }
    }
    return packed
}
