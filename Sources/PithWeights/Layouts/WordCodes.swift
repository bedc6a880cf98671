import PithCore
import PithFormats
import PithModels
import PithTensor

/// Codes of 2 to 8 bits with a scale and a bias for each group of columns of a row, as MLX has them:
/// weight = code · scale + bias.
///
/// Parts: `words` U32 [rows, ⌈columns · bits / 32⌉], a stream of bits for each row, the lowest first; `scales` and
/// `biases` F16, BF16 or F32 [rows, groups]. Parameters: `bits`, `groupSize`.
///
/// When it is opened, codes are laid out in tiles as the kernels read them, with scale and bias beside each tile; nothing
/// is rounded anew. Where groups are not whole tiles, where a scale or bias is none in half precision, and with codes of
/// 7 bits, which MLX does not make, rows are decoded and multiplied as floats.
package struct WordCodes: StoredLinear, RowDecodable {
    package static let layout = "words"

    package let outputCount: Int
    package let inputCount: Int
    package let bits: Int
    /// Columns that share a scale; the last group of a row may be shorter.
    package let groupSize: Int
    private let words: StoredTensor
    private let scales: StoredTensor
    private let biases: StoredTensor
    private let tiles: BlockTiles?

    package var memoryBits: Int { tiles.map { 8 * $0.byteCount } ?? storedBits }

    package var stored: StoredParts {
        StoredParts(
            tensors: ["words": words, "scales": scales, "biases": biases],
            parameters: ["bits": bits, "groupSize": groupSize])
    }

    package init(_ parts: StoredParts, shape: [Int], layouts: LayoutCatalogue) throws(PithError) {
        (outputCount, inputCount) = try matrixExtents(shape)
        bits = try parts.parameter("bits", in: 2...8)
        groupSize = try parts.parameter("groupSize", in: 1...largestExtent)
        let width = PackedWords.count(inputCount, bits: bits)
        words = try parts.tensor("words", .uint32, [outputCount, width]).aligned
        let groups = AffineCodes.groups(inputCount, groupSize)
        let type = parts.tensors["scales"]?.type ?? .float16
        guard type == .float16 || type == .bfloat16 || type == .float32 else {
            throw .data("part 'scales' is \(type.rawValue)", remedy: "it should be F16, BF16 or F32")
        }
        scales = try parts.tensor("scales", type, [outputCount, groups]).aligned
        biases = try parts.tensor("biases", type, [outputCount, groups]).aligned
        guard scales.isFinite, biases.isFinite else {
            throw .data("part 'scales' or 'biases' holds a value that is not finite")
        }
        tiles = try Self.tiles(words, scales, biases, bits: bits, groupSize: groupSize, shape, layouts.pool)
    }

    /// The tiles; nil where a row has to be decoded.
    private static func tiles(
        _ words: StoredTensor, _ scales: StoredTensor, _ biases: StoredTensor, bits: Int, groupSize: Int,
        _ shape: [Int], _ pool: ThreadPool
    ) throws(PithError) -> BlockTiles? {
        let tile = BlockTiles.columnsOfTile
        guard groupSize % tile == 0, shape[1] % tile == 0, bits != 7,
            let factors = exactHalves(try scales.decoded().values),
            let minima = exactHalves(try biases.decoded().values.map { -$0 })
        else { return nil }
        let (rowBytes, groups, tilesOfGroup) = (4 * words.shape[1], scales.shape[1], groupSize / tile)
        return try BlockTiles(
            CodeForm(.minimum, bits: bits), blockLength: tile, rows: shape[0], columns: shape[1], pool: pool
        ) {
            words.region[rowBytes * $0.lowerBound..<rowBytes * $0.upperBound].releaseMemory()
        } split: { row, block, pieces in
            let line = Self.line(row, of: words)
            for i in 0..<tile { pieces.codes[i] = PackedWords.code(line, block * tile + i, bits: bits) }
            let group = row * groups + block / tilesOfGroup
            (pieces.halves[0], pieces.halves[1]) = (factors[group], minima[group])
        }
    }

    /// Numbers in half precision; nil unless all are the same there.
    private static func exactHalves(_ values: [Float]) -> [UInt16]? {
        roundedToHalf(values) == values ? halfBits(values) : nil
    }

    /// Groups of a row.
    private var groups: Int { scales.shape[1] }

    /// All codes, scales and biases, [rows, columns] and [rows, groups].
    package func unpacked() throws(PithError) -> (codes: [UInt8], scales: [Float], biases: [Float]) {
        var codes = [UInt8](repeating: 0, count: outputCount * inputCount)
        for row in 0..<outputCount {
            let line = Self.line(row, of: words)
            for column in 0..<inputCount {
                codes[row * inputCount + column] = PackedWords.code(line, column, bits: bits)
            }
        }
        return (codes, try scales.decoded().values, try biases.decoded().values)
    }

    private static func line(_ row: Int, of words: StoredTensor) -> UnsafeBufferPointer<UInt32> {
        let (all, width) = (words.region.bytes.assumingMemoryBound(to: UInt32.self), words.shape[1])
        return UnsafeBufferPointer(rebasing: all[row * width..<(row + 1) * width])
    }

    package func multiply(
        _ outputs: Range<Int>, _ input: ActivationBlock, into output: UnsafeMutablePointer<Float>, stride: Int
    ) {
        if let tiles {
            tiles.multiply(outputs, input, into: output, stride: stride)
        } else {
            multiplyRows(outputs, input, into: output, stride: stride)
        }
    }

    package func decodeRow(_ row: Int, into target: UnsafeMutablePointer<Float>) {
        let line = Self.line(row, of: words)
        withUnsafeTemporaryAllocation(of: Float.self, capacity: 2 * max(1, groups)) { factors in
            guard let base = factors.baseAddress else { return }
            scales.widenRow(row, into: base)
            biases.widenRow(row, into: base + groups)
            for column in 0..<inputCount {
                let group = column / groupSize
                let code = Float(PackedWords.code(line, column, bits: bits))
                target[column] = code * base[group] + base[groups + group]
            }
        }
    }

    package func prepare(_ input: ActivationBlock, pool: ThreadPool) { tiles?.prepare(input, pool: pool) }
}

extension StoredTensor {
    /// Widens a row of a tensor of floats.
    fileprivate func widenRow(_ row: Int, into target: UnsafeMutablePointer<Float>) {
        guard let type = type.dense, let base = region.bytes.baseAddress else { return }
        kernels.widen(base + row * shape[1] * self.type.byteCount, type, Int64(shape[1]), target)
    }
}
