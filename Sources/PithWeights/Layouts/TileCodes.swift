import CPithKernels
import PithCore
import PithModels
import PithTensor

/// Integer codes of 2 to 8 bits for some tiles of 16 rows by 32 columns; all weights of the other tiles are 0.
///
/// Parts: `tiles` U16 [kept tiles], which tiles of a block are kept, ascending; `offsets` U32 [blocks + 1], where those
/// of each block begin; `codes` U8 [kept tiles, 64 · bits]; `scales` F16 and `zeros` U8 [blocks, groups, 16] of all
/// groups. Parameters: `bits`, `groupSize`.
package struct TileCodes: GridLayout {
    package static let layout = "tiles"

    let grid: CodeGrid
    private let tiles: StoredTensor
    private let offsets: StoredTensor
    private let codes: StoredTensor

    package var stored: StoredParts { grid.stored(with: ["tiles": tiles, "offsets": offsets, "codes": codes]) }

    package init(_ parts: StoredParts, shape: [Int], layouts: LayoutCatalogue) throws(PithError) {
        grid = try CodeGrid(parts, shape: shape, tilesAlone: true)
        let packing = grid.packing
        guard let tiles = parts.tensors["tiles"], tiles.type == .uint16, tiles.shape.count == 1 else {
            throw .data("part 'tiles' is no list of U16")
        }
        self.tiles = tiles.aligned
        offsets = try parts.tensor("offsets", .uint32, [packing.blocks + 1]).aligned
        codes = try parts.tensor("codes", .uint8, [tiles.count, 64 * grid.bits])
        try validateTiles()
    }

    /// Offsets must cover all kept tiles, and the tiles of a block must ascend and lie in the matrix.
    private func validateTiles() throws(PithError) {
        let offsets = offsets.region.bytes.assumingMemoryBound(to: UInt32.self)
        guard offsets[0] == 0, Int(offsets[packing.blocks]) == tiles.count else {
            throw .data("part 'offsets' does not go from 0 to \(tiles.count)")
        }
        for block in 0..<packing.blocks {
            guard offsets[block] <= offsets[block + 1], Int(offsets[block + 1]) <= tiles.count else {
                throw .data("part 'offsets' does not ascend at block \(block)")
            }
            var last = -1
            for tile in tiles.bitPatterns[Int(offsets[block])..<Int(offsets[block + 1])] {
                guard Int(tile) > last, Int(tile) < packing.tiles else {
                    throw .data(
                        "part 'tiles' has \(tile) in block \(block)",
                        remedy: "tiles ascend and end at \(packing.tiles - 1)")
                }
                last = Int(tile)
            }
        }
    }

    /// Whether a mask, [rows, columns], keeps or leaves out whole tiles, few enough in a row to be listed.
    package static func canKeep(_ kept: [Bool], rows: Int, columns: Int) -> Bool {
        guard columns <= 32 << 16 else { return false }
        return (0..<rows).allSatisfy { row in
            (0..<columns).allSatisfy { column in
                kept[row * columns + column] == kept[row / 16 * 16 * columns + column / 32 * 32]
            }
        }
    }

    /// Packs the codes of the tiles that `kept` keeps, one byte for each weight, [rows, columns], and the scales and
    /// zeros of all groups, [rows, groups].
    package init(
        codes: [UInt8], keeping kept: [Bool], scales: [Float], zeros: [UInt8]?, rows: Int, columns: Int, bits: Int,
        groupSize: Int
    ) throws(PithError) {
        precondition(Self.canKeep(kept, rows: rows, columns: columns), "whole tiles are kept")
        let packing = try Packing(rows: rows, columns: columns, groupSize: groupSize, tilesAlone: true)
        let bytes = packing.tileBytes(of: codes)
        var (packed, tiles, offsets) = ([UInt8](), [UInt16](), [UInt32(0)])
        for block in 0..<packing.blocks {
            for tile in 0..<packing.tiles where kept[16 * block * columns + 32 * tile] {
                tiles.append(UInt16(tile))
                let start = (block * packing.tiles + tile) * 512
                packed += packPlanes(Array(bytes[start..<start + 512]), bits: bits)
            }
            offsets.append(UInt32(tiles.count))
        }
        let grid = CodeGrid(packing, scales: scales, zeros: zeros, bits: bits)
        let parts = grid.stored(with: [
            "tiles": StoredTensor(tiles, as: .uint16, shape: [tiles.count]),
            "offsets": StoredTensor(offsets, as: .uint32, shape: [offsets.count]),
            "codes": StoredTensor(bytes: packed, shape: [tiles.count, 64 * bits]),
        ])
        try self.init(parts, shape: [rows, columns], layouts: WeightLayouts.catalogue)
    }

    package var packed: pith_packed {
        var packed = grid.packed(pith_packing(UInt32(bits)), codes, tileBytes: 64 * bits)
        packed.kept_tiles = tiles.bitPatterns.baseAddress
        packed.offsets = offsets.region.bytes.assumingMemoryBound(to: UInt32.self).baseAddress
        return packed
    }
}
