import PithCore
import PithFormats
import PithTensor

/// A matrix of GGUF's quantised blocks, multiplied in its own bits.
///
/// When it is opened, its codes are laid out as the kernels read them, 16 rows side by side (`packed.h`), and its scales
/// and factors beside them; nothing is rounded anew. Inputs are rounded to 8 bits in groups of 32 columns, or stay
/// floats in `ActivationPrecision.float`.
public struct BlockMatrix: RowDecodable {
    /// Rows of the matrix.
    public let outputCount: Int
    /// Columns of the matrix.
    public let inputCount: Int
    /// The type in the file.
    public let type: GGUFType
    /// The bits in the file.
    public let storedBits: Int
    private let tiles: BlockTiles

    /// Takes the blocks in `region`, [rows, columns] in whole blocks, and lays them out with all threads of `pool`.
    /// Throws where the type has no blocks that are decoded here, where bytes do not fit the shape, and where a scale
    /// is not finite.
    public init(
        _ type: GGUFType, _ region: ByteRegion, rows: Int, columns: Int, order: RowOrder = .stored, pool: ThreadPool
    ) throws(PithError) {
        guard let form = type.form else { throw .data("\(type.name) has no blocks that are multiplied here") }
        guard rows >= 0, columns >= 0, columns % type.blockLength == 0,
            region.count == rows * (columns / type.blockLength) * type.blockBytes
        else { throw .data("\(region.count) bytes of \(type.name) do not fit the shape \([rows, columns])") }
        guard order.fits(rows) else { throw .data("\(rows) rows are not whole heads") }
        (outputCount, inputCount, self.type, storedBits) = (rows, columns, type, region.count * 8)
        let (rowBytes, blockBytes) = (columns / type.blockLength * type.blockBytes, type.blockBytes)
        // Another order may need some of it again; then it is read again.
        tiles = try BlockTiles(form.codes, blockLength: type.blockLength, rows: rows, columns: columns, pool: pool) {
            region[$0.lowerBound * rowBytes..<$0.upperBound * rowBytes].releaseMemory()
        } split: { row, block, pieces in
            guard let source = region.bytes.baseAddress else { return }
            form.split(source + order.source(of: row) * rowBytes + block * blockBytes, pieces)
        }
    }

    /// The bits of the tiles.
    public var memoryBits: Int { tiles.byteCount * 8 }

    /// Rounds the inputs to bytes, unless they are to stay floats.
    public func prepare(_ input: ActivationBlock, pool: ThreadPool) { tiles.prepare(input, pool: pool) }

    /// Decodes a row.
    public func decodeRow(_ row: Int, into target: UnsafeMutablePointer<Float>) {
        tiles.decodeRow(row, columns: inputCount, into: target)
    }

    /// Multiplies all rows of `input` by some rows of the matrix.
    public func multiply(
        _ outputs: Range<Int>, _ input: ActivationBlock, into output: UnsafeMutablePointer<Float>, stride: Int
    ) {
        tiles.multiply(outputs, input, into: output, stride: stride)
    }
}
