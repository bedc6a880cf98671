import PithCore
import PithFormats
import PithModels
import PithTensor

/// GGUF's quantised blocks as they stand in such files, row after row; see `GGUFType`.
///
/// Part: `blocks` U8 [rows, bytes of a row]. Parameter: `type`, the number of the type in GGUF files.
package struct BlockCodes: StoredLinear, RowDecodable {
    package static let layout = "blocks"

    /// The type of the blocks.
    package let type: GGUFType
    /// The blocks, [rows, bytes of a row].
    package let blocks: StoredTensor
    private let matrix: BlockMatrix

    package var outputCount: Int { matrix.outputCount }
    package var inputCount: Int { matrix.inputCount }
    package var storedBits: Int { matrix.storedBits }
    package var memoryBits: Int { matrix.memoryBits }

    package var stored: StoredParts {
        StoredParts(tensors: ["blocks": blocks], parameters: ["type": Int(type.rawValue)])
    }

    package init(_ parts: StoredParts, shape: [Int], layouts: LayoutCatalogue) throws(PithError) {
        let (rows, columns) = try matrixExtents(shape)
        let number = try parts.parameter("type", in: 0...255)
        guard let type = GGUFType(rawValue: UInt32(number)), type.form != nil else {
            throw .data("parameter 'type' is \(number), which names no blocks that are multiplied here")
        }
        guard columns % type.blockLength == 0 else {
            throw .data("rows of \(columns) are not whole blocks of \(type.blockLength)")
        }
        let blocks = try parts.tensor("blocks", .uint8, [rows, columns / type.blockLength * type.blockBytes])
        try self.init(type, blocks, columns: columns, pool: layouts.pool)
    }

    /// Takes the blocks of rows of so many columns.
    package init(_ type: GGUFType, _ blocks: StoredTensor, columns: Int, pool: ThreadPool) throws(PithError) {
        (self.type, self.blocks) = (type, blocks)
        matrix = try BlockMatrix(type, blocks.region, rows: blocks.shape[0], columns: columns, pool: pool)
    }

    package func prepare(_ input: ActivationBlock, pool: ThreadPool) { matrix.prepare(input, pool: pool) }

    package func multiply(
        _ outputs: Range<Int>, _ input: ActivationBlock, into output: UnsafeMutablePointer<Float>, stride: Int
    ) {
        matrix.multiply(outputs, input, into: output, stride: stride)
    }

    package func decodeRow(_ row: Int, into target: UnsafeMutablePointer<Float>) {
        matrix.decodeRow(row, into: target)
    }
}
