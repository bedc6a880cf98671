import CPithKernels
import PithCore
import PithFormats
import PithTensor

/// Codes and scales laid out as the kernels read them: codes in tiles of 16 rows by 32 columns, then factors, scales and
/// what codes name, in one piece of memory.
package struct BlockTiles: Sendable {
    /// Columns of a tile.
    package static let columnsOfTile = 32
    private static let rowsOfBlock = 16

    private let form: CodeForm
    private let memory: ByteRegion
    private let layout: Layout

    /// Where everything lies.
    private struct Layout {
        /// Blocks of 16 rows, tiles of 32 columns in a row, and groups of tiles with a scale in a row.
        let blocks, tiles, groups: Int
        let tilesOfGroup: Int
        let tileBytes: Int
        /// Bytes of factors for each row and tile, scales for each row and group.
        let factorsOfTile, scalesOfGroup: Int
        let factorsStart, scalesStart, tableStart, byteCount: Int

        init(_ form: CodeForm, blockLength: Int, rows: Int, columns: Int) throws(PithError) {
            let limit = Int(Int32.max)
            guard rows <= limit, columns <= limit else { throw .data("the shape \([rows, columns]) is too large") }
            blocks = (rows + rowsOfBlock - 1) / rowsOfBlock
            tiles = columns / BlockTiles.columnsOfTile
            tilesOfGroup = max(1, blockLength / BlockTiles.columnsOfTile)
            groups = tiles / tilesOfGroup
            tileBytes = 64 * form.bits
            (factorsOfTile, scalesOfGroup) =
                switch form.scaling {
                case .scale: (0, 1)
                case .minimum: (0, 2)
                case .factorMinima, .halfMinima: (2, 2)
                case .factors: (1, 1)
                case .halfFactors: (2, 1)
                case .exponent: (1, 0)
                }
            factorsStart = blocks * tiles * tileBytes
            scalesStart = factorsStart + blocks * tiles * factorsOfTile * rowsOfBlock
            tableStart = scalesStart + blocks * groups * scalesOfGroup * rowsOfBlock * 2
            byteCount = tableStart + 64
        }
    }

    /// Weights that are laid out before the memory of what they were made of is given back.
    private static let weightsAtOnce = 1 << 24

    /// Takes one block of a row apart: its row, its place in the row, and where its pieces go.
    package typealias Split = @Sendable (_ row: Int, _ block: Int, GGUFBlockPieces) -> Void

    /// Lays rows of blocks of so many weights out with all threads; `release` hears which rows are done. Throws where
    /// a scale is not finite.
    package init(
        _ form: CodeForm, blockLength: Int, rows: Int, columns: Int, pool: ThreadPool,
        release: (Range<Int>) -> Void = { _ in }, split: @escaping Split
    ) throws(PithError) {
        let layout = try Layout(form, blockLength: blockLength, rows: rows, columns: columns)
        try Memory.require(layout.byteCount, for: "a matrix of \([rows, columns])")
        let tiles = TileMemory(byteCount: layout.byteCount)
        (self.form, self.layout) = (form, layout)
        memory = ByteRegion(UnsafeRawBufferPointer(tiles.bytes), keptAliveBy: tiles)
        let table = (form.codebook ?? []).map { UInt8(bitPattern: $0) ^ 0x80 }
        for (i, entry) in table.enumerated() { tiles.bytes[layout.tableStart + i] = entry }
        let isFinite = TileMemory(byteCount: max(1, layout.blocks))
        if let target = tiles.bytes.baseAddress {
            let writer = Writer(form: form, layout: layout, target: target, rows: rows, split: split)
            let together = max(1, Self.weightsAtOnce / max(1, Self.rowsOfBlock * columns))
            for first in stride(from: 0, to: layout.blocks, by: together) {
                let end = min(layout.blocks, first + together)
                pool.forEachBlock(of: end - first, grain: 8, sharing: writer) { blocks, writer in
                    GGUFBlockPieces.withPieces(rows: Self.rowsOfBlock) { pieces in
                        for block in blocks {
                            isFinite.bytes[first + block] = writer.write(first + block, pieces) ? 1 : 0
                        }
                    }
                }
                release(first * Self.rowsOfBlock..<min(rows, end * Self.rowsOfBlock))
            }
        }
        guard isFinite.bytes.prefix(layout.blocks).allSatisfy({ $0 == 1 }) else {
            throw .data("has a scale that is no finite number")
        }
    }

    /// Rounds the inputs to bytes, unless they are to stay floats.
    package func prepare(_ input: ActivationBlock, pool: ThreadPool) {
        if input.precision == .narrow { input.prepareNarrow(group: Self.columnsOfTile, pool: pool) }
    }

    /// Decodes a row of so many columns.
    package func decodeRow(_ row: Int, columns: Int, into target: UnsafeMutablePointer<Float>) {
        var packed = packed
        kernels.decode_packed(&packed, Int64(row), Int64(columns), target)
    }

    /// Multiplies all rows of `input` by some rows of the matrix.
    package func multiply(
        _ outputs: Range<Int>, _ input: ActivationBlock, into output: UnsafeMutablePointer<Float>, stride: Int
    ) {
        input.multiply(outputs, packed, inputGroup: Self.columnsOfTile, into: output, stride: stride)
    }

    /// Bytes in memory.
    package var byteCount: Int { layout.byteCount }

    /// The tiles as the kernels take them.
    private var packed: pith_packed {
        var packed = pith_packed()
        guard let base = memory.bytes.baseAddress else { return packed }
        packed.codes = base.assumingMemoryBound(to: UInt8.self)
        packed.factors = (base + layout.factorsStart).assumingMemoryBound(to: UInt8.self)
        packed.scales = (base + layout.scalesStart).assumingMemoryBound(to: UInt16.self)
        packed.tables = (base + layout.tableStart).assumingMemoryBound(to: UInt8.self)
        packed.codebooks = 1
        let packing = form.codebook == nil ? UInt32(form.bits) : PITH_CODEBOOK_2.rawValue + UInt32(form.bits - 2)
        packed.packing = pith_packing(packing)
        packed.zero = Int32(form.codebook == nil ? form.zero : 128)
        packed.scaling = scaling
        (packed.tile_bytes, packed.tiles) = (Int64(layout.tileBytes), Int64(layout.tiles))
        (packed.group, packed.groups) = (Int64(layout.tilesOfGroup), Int64(layout.groups))
        return packed
    }

    private var scaling: pith_scaling {
        switch form.scaling {
        case .scale: PITH_GROUP_SCALES
        case .minimum: PITH_TILE_MINIMA
        case .factorMinima: PITH_FACTOR_MINIMA
        case .halfMinima: PITH_HALF_MINIMA
        case .factors: PITH_FACTORS
        case .halfFactors: PITH_HALF_FACTORS
        case .exponent: PITH_EXPONENTS
        }
    }

    /// Writes tiles.
    private struct Writer {
        let form: CodeForm
        let layout: Layout
        let target: UnsafeMutableRawPointer
        let rows: Int
        let split: Split
        let kernels = PithTensor.kernels

        /// Writes a block of 16 rows; false if one of its scales is not finite.
        func write(_ block: Int, _ pieces: GGUFBlockPieces) -> Bool {
            var (isFinite, pieces) = (true, pieces)
            let allCodes = pieces.codes
            for group in 0..<layout.groups {
                for lane in 0..<rowsOfBlock {
                    let row = block * rowsOfBlock + lane
                    pieces.codes = allCodes + lane * GGUFBlockPieces.length
                    if row < rows { split(row, group, pieces) } else { pieces.clear() }
                    isFinite = isFinite && pieces.isFinite(form.scaling)
                    writeScales(block, group, lane, pieces)
                }
                let firstTile = block * layout.tiles + group * layout.tilesOfGroup
                for i in 0..<layout.tilesOfGroup {
                    kernels.pack_tile(
                        allCodes + i * columnsOfTile, Int64(GGUFBlockPieces.length), 4, Int32(form.bits),
                        (target + (firstTile + i) * layout.tileBytes).assumingMemoryBound(to: UInt8.self))
                }
            }
            return isFinite
        }

        private func writeScales(_ block: Int, _ group: Int, _ lane: Int, _ pieces: GGUFBlockPieces) {
            let place = (block * layout.groups + group) * layout.scalesOfGroup * rowsOfBlock + lane
            let scales = (target + layout.scalesStart).assumingMemoryBound(to: UInt16.self) + place
            if layout.scalesOfGroup > 0 { scales[0] = pieces.halves[0] }
            if layout.scalesOfGroup > 1 { scales[rowsOfBlock] = pieces.halves[1] }
            guard layout.factorsOfTile > 0 else { return }
            let firstTile = block * layout.tiles + group * layout.tilesOfGroup
            let factors =
                (target + layout.factorsStart).assumingMemoryBound(to: UInt8.self)
                + firstTile * layout.factorsOfTile * rowsOfBlock + lane
            if form.scaling == .factorMinima {
                for i in 0..<layout.tilesOfGroup {
                    factors[2 * i * rowsOfBlock] = pieces.factors[i]
                    factors[(2 * i + 1) * rowsOfBlock] = pieces.minima[i]
                }
            } else {
                for i in 0..<layout.tilesOfGroup * layout.factorsOfTile { factors[i * rowsOfBlock] = pieces.factors[i] }
            }
        }
    }
}

/// Memory that is written once, on a boundary of 64 bytes.
private final class TileMemory: @unchecked Sendable {
    let bytes: UnsafeMutableRawBufferPointer
    init(byteCount: Int) { bytes = .allocate(byteCount: byteCount, alignment: 64) }
    deinit { bytes.deallocate() }
}
