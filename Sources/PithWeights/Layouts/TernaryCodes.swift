import CPithKernels
import PithCore
import PithModels
import PithTensor

/// Weights −1, 0 and 1, five to a byte, with a scale for each group of columns of a row.
///
/// Parts: `codes` U8 [blocks, bytes of a block], where five tiles of 32 columns take 512 bytes; `scales` F16
/// [blocks, groups, 16]. Parameter: `groupSize`.
package struct TernaryCodes: PackedLayout {
    package static let layout = "ternary"

    package let packing: Packing
    private let codes: StoredTensor
    private let scales: StoredTensor

    package var stored: StoredParts {
        StoredParts(tensors: ["codes": codes, "scales": scales], parameters: ["groupSize": groupSize])
    }

    package init(_ parts: StoredParts, shape: [Int], layouts: LayoutCatalogue) throws(PithError) {
        packing = try Packing(parts, shape: shape)
        codes = try parts.tensor("codes", .uint8, [packing.blocks, Self.blockBytes(tiles: packing.tiles)])
        scales = try packing.scales(parts)
    }

    /// Packs −1, 0 and 1, [rows, columns], with scales, [rows, groups].
    package init(signs: [Int8], scales: [Float], rows: Int, columns: Int, groupSize: Int) throws(PithError) {
        let packing = try Packing(rows: rows, columns: columns, groupSize: groupSize)
        precondition(signs.count == rows * columns, "a sign for each weight")
        let tiles = packing.tileBytes(of: signs.map { UInt8($0 + 1) })
        let codes = StoredTensor(
            bytes: packTrits(tiles, tilesOfRow: packing.tiles),
            shape: [packing.blocks, Self.blockBytes(tiles: packing.tiles)])
        let parts = StoredParts(
            tensors: ["codes": codes, "scales": packing.scales(scales)], parameters: ["groupSize": groupSize])
        try self.init(parts, shape: [rows, columns], layouts: WeightLayouts.catalogue)
    }

    /// Bytes of 16 rows.
    private static func blockBytes(tiles: Int) -> Int { tiles / 5 * 512 + bitsOfTrits(tiles % 5) * 64 }

    package var packed: pith_packed {
        packing.packed(PITH_TRITS, codes, tileBytes: 0, scales, zero: 1)
    }
}

/// Bits that hold up to five digits to the base of three: 0, 2, 4, 5, 7 and 8.
private func bitsOfTrits(_ count: Int) -> Int { (8 * count + 4) / 5 }

/// Packs tiles of the bytes 0, 1 and 2, 512 each, five at a time: the byte at one place of all five becomes a fraction
/// of 256 whose digits to the base of three they are, the first tile's first. The last tiles of a row that are fewer
/// become fractions of as many bits as they need, packed in planes.
func packTrits(_ tiles: [UInt8], tilesOfRow: Int) -> [UInt8] {
    guard tilesOfRow > 0 else { return [] }
    var packed: [UInt8] = []
    packed.reserveCapacity(tiles.count / 5 + 512)
    for row in stride(from: 0, to: tiles.count / 512, by: tilesOfRow) {
        for first in stride(from: 0, to: tilesOfRow, by: 5) {
            let members = first..<min(first + 5, tilesOfRow)
            let bits = bitsOfTrits(members.count)
            let values = members.reduce(1) { value, _ in 3 * value }
            let fractions = (0..<512).map { byte in
                let digits = members.reduce(0) { 3 * $0 + Int(tiles[(row + $1) * 512 + byte]) }
                return UInt8((digits << bits + values - 1) / values)
            }
            packed += packPlanes(fractions, bits: bits)
        }
    }
    return packed
}
