import CPithKernels
import PithCore
import PithModels
import PithTensor

/// Integer codes of 2 to 8 bits for the weights that a mask keeps, with a scale, and perhaps a zero point, for each
/// group of columns of a row: weight = (code − zero) · scale, and 0 for weights left out.
///
/// Blocks and tiles are those of `GroupedCodes`. Parts: `mask` U8 [blocks, tiles, 64], a bit for each weight of a tile;
/// `codes` U8 [bytes + 64], the kept codes of one tile after the other, and zeros behind the last for vectors to read;
/// `offsets` U32 [blocks], where those of each block begin; `scales` F16 and `zeros` U8 [blocks, groups, 16].
/// Parameters: `bits`, `groupSize`.
package struct MaskedCodes: GridLayout {
    package static let layout = "masked"

    let grid: CodeGrid
    private let mask: StoredTensor
    private let codes: StoredTensor
    private let offsets: StoredTensor

    /// Bytes that vectors may read behind the last code.
    private static let margin = 64

    package var stored: StoredParts { grid.stored(with: ["mask": mask, "codes": codes, "offsets": offsets]) }

    package init(_ parts: StoredParts, shape: [Int], layouts: LayoutCatalogue) throws(PithError) {
        grid = try CodeGrid(parts, shape: shape)
        let packing = grid.packing
        mask = try parts.tensor("mask", .uint8, [packing.blocks, packing.tiles, 64])
        offsets = try parts.tensor("offsets", .uint32, [packing.blocks]).aligned
        guard let codes = parts.tensors["codes"], codes.type == .uint8, codes.shape.count == 1 else {
            throw .data("part 'codes' is no list of bytes")
        }
        self.codes = codes
        try validateBlocks()
    }

    /// Masks must keep weights of the matrix alone, and every block must begin where the one before ends.
    private func validateBlocks() throws(PithError) {
        let offsets = offsets.region.bytes.assumingMemoryBound(to: UInt32.self)
        var end = 0
        for block in 0..<packing.blocks {
            guard Int(offsets[block]) == end else {
                throw .data(
                    "part 'offsets' has \(offsets[block]) for block \(block)", remedy: "part 'mask' says \(end)")
            }
            for tile in 0..<packing.tiles {
                let masks = TileMasks(mask.region.bytes, at: 64 * (block * packing.tiles + tile))
                for vector in 0..<8
                where masks.words[vector] & ~packing.presentBytes(block: block, tile: tile, vector: vector) != 0 {
                    throw .data("part 'mask' keeps weights beyond the last in block \(block)")
                }
                end += masks.codeBytes(bits: bits)
            }
        }
        guard codes.count == end + Self.margin else {
            throw .data("part 'codes' holds \(codes.count) bytes", remedy: "part 'mask' says \(end + Self.margin)")
        }
    }

    /// Packs the codes for which `kept` is true, one byte for each weight, [rows, columns], and the scales and zeros of
    /// all groups, [rows, groups].
    package init(
        codes: [UInt8], keeping kept: [Bool], scales: [Float], zeros: [UInt8]?, rows: Int, columns: Int, bits: Int,
        groupSize: Int
    ) throws(PithError) {
        let packing = try Packing(rows: rows, columns: columns, groupSize: groupSize)
        precondition(codes.count == rows * columns && kept.count == codes.count, "a code for each weight")
        let (codes, kept) = (packing.tileBytes(of: codes), packing.tileBytes(of: kept.map { $0 ? 1 : 0 }))
        var (mask, packed, offsets) = ([UInt8](), [UInt8](), [UInt32]())
        mask.reserveCapacity(codes.count / 8)
        for block in 0..<packing.blocks {
            guard let offset = UInt32(exactly: packed.count) else {
                throw .data("the matrix is too large for 32-bit offsets")
            }
            offsets.append(offset)
            for tile in block * packing.tiles..<(block + 1) * packing.tiles {
                let places = tile * 512..<(tile + 1) * 512
                for first in stride(from: places.lowerBound, to: places.upperBound, by: 8) {
                    mask.append((0..<8).reduce(0) { $0 | kept[first + $1] << UInt8($1) })
                }
                packKeptPlanes(codes[places], keeping: kept[places], bits: bits, into: &packed)
            }
        }
        packed += [UInt8](repeating: 0, count: Self.margin)
        let grid = CodeGrid(packing, scales: scales, zeros: zeros, bits: bits)
        let parts = grid.stored(with: [
            "mask": StoredTensor(bytes: mask, shape: [packing.blocks, packing.tiles, 64]),
            "codes": StoredTensor(bytes: packed, shape: [packed.count]),
            "offsets": StoredTensor(offsets, as: .uint32, shape: [packing.blocks]),
        ])
        try self.init(parts, shape: [rows, columns], layouts: WeightLayouts.catalogue)
    }

    package var packed: pith_packed {
        var packed = grid.packed(pith_packing(PITH_MASKED_2.rawValue + UInt32(bits - 2)), codes, tileBytes: 1)
        packed.masks = mask.byteValues.baseAddress
        packed.offsets = offsets.region.bytes.assumingMemoryBound(to: UInt32.self).baseAddress
        return packed
    }
}

/// What is kept of one tile: 64 bits for each of its eight vectors.
private struct TileMasks {
    var words = SIMD8<UInt64>()

    init(_ bytes: UnsafeRawBufferPointer, at offset: Int) {
        for j in 0..<8 {
            words[j] = UInt64(littleEndian: bytes.loadUnaligned(fromByteOffset: offset + 8 * j, as: UInt64.self))
        }
    }

    /// Bytes of the kept codes: in each plane the longest of its streams.
    func codeBytes(bits: Int) -> Int {
        var counts = SIMD8<Int>()
        for j in 0..<8 { counts[j] = words[j].nonzeroBitCount }
        let pairs = counts.evenHalf &+ counts.oddHalf
        let fours = pairs.evenHalf &+ pairs.oddHalf
        return (bits & 8 != 0 ? fours.wrappedSum() : 0) + (bits & 4 != 0 ? fours.max() : 0)
            + (bits & 2 != 0 ? pairs.max() : 0) + (bits & 1 != 0 ? counts.max() : 0)
    }
}

/// Appends the kept of the 512 codes of a tile as planes of 8, 4, 2 and 1 bits, the lowest bits first. A plane of b
/// bits has 8/b streams side by side in its bytes, each with the kept codes of b vectors; it is as long as the longest.
private func packKeptPlanes(
    _ codes: ArraySlice<UInt8>, keeping kept: ArraySlice<UInt8>, bits: Int, into packed: inout [UInt8]
) {
    var shift = 0
    for width in [8, 4, 2, 1] where bits & width != 0 {
        let start = packed.count
        for stream in 0..<8 / width {
            var next = start
            for lane in stream * width * 64..<(stream + 1) * width * 64 where kept[kept.startIndex + lane] != 0 {
                if next == packed.count { packed.append(0) }
                let part = Int(codes[codes.startIndex + lane]) >> shift & ((1 << width) - 1)
                packed[next] |= UInt8(part << (stream * width))
                next += 1
            }
        }
        shift += width
    }
}
