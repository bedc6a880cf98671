import CPithKernels
import PithCore
import PithModels
import PithTensor

/// How a matrix is cut for packed layouts: blocks of 16 rows, tiles of 32 columns, groups of columns with a scale.
package struct Packing: Sendable {
    let rows: Int
    let columns: Int
    /// Columns that share a scale, a multiple of 32 or all; the last group of a row may be shorter.
    let groupSize: Int
    /// Blocks of 16 rows.
    let blocks: Int
    /// Tiles of 32 columns.
    let tiles: Int
    /// Groups in a row.
    let groups: Int
    /// Tiles that share a scale.
    let tilesOfGroup: Int
    /// Columns of a group of inputs, 32 to 128: as many as fit a group of weights in whole numbers.
    let inputGroup: Int

    /// Checks that groups are whole tiles, or whole rows. `tilesAlone`: groups of inputs are to be single tiles.
    init(rows: Int, columns: Int, groupSize: Int, tilesAlone: Bool = false) throws(PithError) {
        guard groupSize > 0, groupSize % 32 == 0 || groupSize >= columns else {
            throw .data("parameter 'groupSize' is \(groupSize)", remedy: "it should be a multiple of 32")
        }
        (self.rows, self.columns, self.groupSize) = (rows, columns, groupSize)
        blocks = (rows + 15) / 16
        tiles = (columns + 31) / 32
        tilesOfGroup = max(1, min((groupSize + 31) / 32, tiles))
        groups = (tiles + tilesOfGroup - 1) / tilesOfGroup
        inputGroup = tilesAlone ? 32 : 32 * (groups <= 1 ? min(4, max(1, tiles)) : Self.inputTiles(of: tilesOfGroup))
    }

    /// The same of stored parts, with their parameter `groupSize`, for a matrix of some shape.
    init(_ parts: StoredParts, shape: [Int], tilesAlone: Bool = false) throws(PithError) {
        let (rows, columns) = try matrixExtents(shape)
        let groupSize = try parts.parameter("groupSize", in: 1...largestExtent)
        try self.init(rows: rows, columns: columns, groupSize: groupSize, tilesAlone: tilesAlone)
    }

    private static func inputTiles(of group: Int) -> Int { [4, 3, 2].first { group % $0 == 0 } ?? 1 }

    /// Where the weight at a row and a column lies among the bytes of unpacked tiles.
    func place(_ row: Int, _ column: Int) -> Int {
        ((row / 16 * tiles + column / 32) * 8 + column % 32 / 4) * 64 + row % 16 * 4 + column % 4
    }

    /// Bytes of a matrix, [rows, columns], as unpacked tiles, [blocks, tiles, 512], with zeros for padding.
    func tileBytes(of bytes: [UInt8]) -> [UInt8] {
        var tiles = [UInt8](repeating: 0, count: blocks * self.tiles * 512)
        for row in 0..<rows {
            for column in 0..<columns { tiles[place(row, column)] = bytes[row * columns + column] }
        }
        return tiles
    }

    /// The part `codes` of whole tiles in planes, checked.
    func codes(_ parts: StoredParts, bits: Int) throws(PithError) -> StoredTensor {
        try parts.tensor("codes", .uint8, [blocks, tiles, 64 * bits])
    }

    /// That part, of codes of a byte each, [rows, columns].
    func planes(of codes: [UInt8], bits: Int) -> StoredTensor {
        precondition(codes.count == rows * columns, "a code for each weight")
        return StoredTensor(bytes: packPlanes(tileBytes(of: codes), bits: bits), shape: [blocks, tiles, 64 * bits])
    }

    /// Values of rows and groups, [rows, groups], as [blocks, groups, 16].
    func blocked(_ values: [Float]) -> Tensor {
        var result = Tensor(shape: [blocks, groups, 16])
        for row in 0..<rows {
            for group in 0..<groups {
                result.values[(row / 16 * groups + group) * 16 + row % 16] = values[row * groups + group]
            }
        }
        return result
    }

    /// Which of the 64 bytes of a vector, [16 rows, 4 columns], belong to the matrix: a bit each.
    func presentBytes(block: Int, tile: Int, vector: Int) -> UInt64 {
        let (rows, columns) = (min(16, rows - 16 * block), min(4, max(0, columns - 32 * tile - 4 * vector)))
        let rowMask = rows == 16 ? UInt64.max : 1 << UInt64(4 * rows) - 1
        return 0x1111_1111_1111_1111 * ((1 << UInt64(columns)) - 1) & rowMask
    }

    /// The part `scales`, of values [rows, groups].
    func scales(_ values: [Float]) -> StoredTensor {
        precondition(values.count == rows * groups, "a scale for each group")
        return StoredTensor(blocked(values), as: .float16)
    }

    /// A matrix cut in this way as the kernels take it; `zero` counts where there are no `zeros`.
    func packed(
        _ packing: pith_packing, _ codes: StoredTensor, tileBytes: Int, _ scales: StoredTensor,
        zeros: StoredTensor? = nil, zero: Int
    ) -> pith_packed {
        var packed = pith_packed()
        packed.codes = codes.byteValues.baseAddress
        packed.scales = scales.bitPatterns.baseAddress
        packed.zeros = zeros?.byteValues.baseAddress
        packed.zero = Int32(zero)
        packed.packing = packing
        (packed.tile_bytes, packed.tiles) = (Int64(tileBytes), Int64(tiles))
        (packed.group, packed.groups) = (Int64(tilesOfGroup), Int64(groups))
        return packed
    }

    /// The part `scales`, checked.
    func scales(_ parts: StoredParts) throws(PithError) -> StoredTensor {
        let scales = try parts.tensor("scales", .float16, [blocks, groups, 16]).aligned
        // From the first infinity on come what is no number, and then all that is negative.
        guard scales.bitPatterns.largest < 0x7C00 else {
            throw .data("part 'scales' holds a negative or infinite scale")
        }
        return scales
    }

    /// The part `zeros`, checked, if there is one.
    func zeros(_ parts: StoredParts, bits: Int) throws(PithError) -> StoredTensor? {
        guard parts.tensors["zeros"] != nil else { return nil }
        let zeros = try parts.tensor("zeros", .uint8, [blocks, groups, 16])
        let largest = zeros.byteValues.largest
        guard largest >> bits == 0 else {
            throw .data("part 'zeros' holds \(largest)", remedy: "\(bits)-bit codes end at \((1 << bits) - 1)")
        }
        return zeros
    }
}

/// Integer codes of 2 to 8 bits with a scale, and perhaps a zero point, for each group: what the layouts of such codes
/// have in common.
struct CodeGrid: Sendable {
    let bits: Int
    let packing: Packing
    let scales: StoredTensor
    let zeros: StoredTensor?

    /// Takes the parts `scales` and `zeros` and the parameters `bits` and `groupSize`, checked.
    init(_ parts: StoredParts, shape: [Int], tilesAlone: Bool = false) throws(PithError) {
        bits = try parts.parameter("bits", in: 2...8)
        packing = try Packing(parts, shape: shape, tilesAlone: tilesAlone)
        scales = try packing.scales(parts)
        zeros = try packing.zeros(parts, bits: bits)
    }

    /// Scales and zeros of all groups, [rows, groups].
    init(_ packing: Packing, scales: [Float], zeros: [UInt8]?, bits: Int) {
        (self.packing, self.bits) = (packing, bits)
        self.scales = packing.scales(scales)
        self.zeros = zeros.map { zeros in
            let blocked = packing.blocked(zeros.map { Float($0) })
            return StoredTensor(bytes: blocked.values.map { UInt8(saturating: $0) }, shape: blocked.shape)
        }
    }

    /// The parts and parameters again, with the parts that hold the codes.
    func stored(with tensors: [String: StoredTensor]) -> StoredParts {
        var parts = StoredParts(tensors: tensors, parameters: ["bits": bits, "groupSize": packing.groupSize])
        parts.tensors["scales"] = scales
        parts.tensors["zeros"] = zeros
        return parts
    }

    /// A matrix on this grid as the kernels take it.
    func packed(_ kind: pith_packing, _ codes: StoredTensor, tileBytes: Int) -> pith_packed {
        packing.packed(kind, codes, tileBytes: tileBytes, scales, zeros: zeros, zero: 1 << (bits - 1))
    }
}

/// A layout of codes on such a grid.
protocol GridLayout: PackedLayout {
    /// The scales and zeros.
    var grid: CodeGrid { get }
}

extension GridLayout {
    package var packing: Packing { grid.packing }
    /// Bits of a code.
    package var bits: Int { grid.bits }
}

/// A layout that unpacks to tiles of bytes. It says how it lies in memory; the kernels do the rest.
package protocol PackedLayout: StoredLinear, RowDecodable {
    /// How it is cut.
    var packing: Packing { get }
    /// Where it lies, as the kernels take it.
    var packed: pith_packed { get }
}

extension PackedLayout {
    package var outputCount: Int { packing.rows }
    package var inputCount: Int { packing.columns }
    /// Columns that share a scale, a multiple of 32 or all; the last group of a row may be shorter.
    package var groupSize: Int { packing.groupSize }

    /// Rounds the inputs to bytes, unless they are to stay floats.
    package func prepare(_ input: ActivationBlock, pool: ThreadPool) {
        if input.precision == .narrow { input.prepareNarrow(group: packing.inputGroup, pool: pool) }
    }

    package func decodeRow(_ row: Int, into target: UnsafeMutablePointer<Float>) {
        var packed = packed
        kernels.decode_packed(&packed, Int64(row), Int64(inputCount), target)
    }

    package func multiply(
        _ outputs: Range<Int>, _ input: ActivationBlock, into output: UnsafeMutablePointer<Float>, stride: Int
    ) {
        input.multiply(outputs, packed, inputGroup: packing.inputGroup, into: output, stride: stride)
    }
}

/// Packs tiles of bytes, 512 each, into planes of 4, 2 and 1 bits: the lowest bits first, and in each byte of a plane
/// of b bits the bytes of 8/b vectors of 64, the first in the lowest bits.
func packPlanes(_ tiles: [UInt8], bits: Int) -> [UInt8] {
    let count = tiles.count / 512
    return [UInt8](unsafeUninitializedCapacity: count * 64 * bits) { target, written in
        tiles.withUnsafeBufferPointer { tiles in
            guard let source = tiles.baseAddress, let target = target.baseAddress else { return }
            for tile in 0..<count {
                kernels.pack_tile(source + 512 * tile, 4, 64, Int32(bits), target + 64 * bits * tile)
            }
        }
        written = count * 64 * bits
    }
}
