import CPithKernels
import PithCore
import PithTensor

/// Socket: a matrix that the forward pass multiplies by, however it is stored.
///
/// `y = W x` for a block of rows `x`, with W of `outputCount` by `inputCount`.
public protocol LinearOperator: Sendable {
    /// Rows of W: the extent of a result row.
    var outputCount: Int { get }
    /// Columns of W: the extent of an input row.
    var inputCount: Int { get }
    /// Exactly how many bits W occupies, side information included.
    var storedBits: Int { get }

    /// Multiplies `rows` input rows, [rows, inputCount], into [rows, outputCount].
    ///
    /// A row's result must not depend on how many rows come with it, nor on the number of threads.
    func apply(
        _ input: UnsafePointer<Float>, rows: Int, into output: UnsafeMutablePointer<Float>, pool: ThreadPool)
}

/// A linear operator whose rows of W can be decoded one by one: what most stored forms are.
///
/// With `decodeRow` alone an operator works: blocks of rows are decoded into a buffer that fits the cache and
/// multiplied there; W as a whole is never unpacked. `dotRow` is the short cut for few input rows.
public protocol RowDecodable: LinearOperator {
    /// Writes row `row` of W, [inputCount], to `target`.
    func decodeRow(_ row: Int, into target: UnsafeMutablePointer<Float>)

    /// The product of row `row` of W with one input row; the same bits as decoding and `kernels.multiply` give.
    func dotRow(_ row: Int, _ input: UnsafePointer<Float>) -> Float

    /// The products of some rows of W with one input row, each as `dotRow` gives it, into `output`, [rows.count].
    func dotRows(_ rows: Range<Int>, _ input: UnsafePointer<Float>, into output: UnsafeMutablePointer<Float>)
}

extension RowDecodable {
    /// Decodes the row, then multiplies.
    public func dotRow(_ row: Int, _ input: UnsafePointer<Float>) -> Float {
        withUnsafeTemporaryAllocation(of: Float.self, capacity: inputCount) { buffer in
            guard let base = buffer.baseAddress, inputCount > 0 else { return 0 }
            decodeRow(row, into: base)
            return kernels.dot(input, base, PITH_F32, Int64(inputCount))
        }
    }

    /// One by one.
    public func dotRows(
        _ rows: Range<Int>, _ input: UnsafePointer<Float>, into output: UnsafeMutablePointer<Float>
    ) {
        for (i, row) in rows.enumerated() { output[i] = dotRow(row, input) }
    }

    /// Up to two input rows take `dotRows`; more are multiplied with decoded blocks of W.
    public func apply(
        _ input: UnsafePointer<Float>, rows: Int, into output: UnsafeMutablePointer<Float>, pool: ThreadPool
    ) {
        guard rows > 2 else {
            pool.forEachBlock(of: outputCount, grain: decodeGrain) { block in
                for m in 0..<rows {
                    dotRows(block, input + m * inputCount, into: output + m * outputCount + block.lowerBound)
                }
            }
            return
        }
        applyInBlocks(input, rows: rows, into: output, pool: pool)
    }

    /// Rows of W in one task of a matrix-vector product: about 16 thousand weights.
    private var decodeGrain: Int { max(4, 16384 / max(1, inputCount)) }

    private func applyInBlocks(
        _ input: UnsafePointer<Float>, rows: Int, into output: UnsafeMutablePointer<Float>, pool: ThreadPool
    ) {
        let kernels = kernels
        // 24 rows are a whole number of every path's tiles.
        pool.forEachBlock(of: outputCount, grain: 24) { block in
            withUnsafeTemporaryAllocation(byteCount: 4 * max(1, block.count * inputCount), alignment: 64) { memory in
                let panel = memory.baseAddress!.assumingMemoryBound(to: Float.self)
                for (i, n) in block.enumerated() { decodeRow(n, into: panel + i * inputCount) }
                kernels.multiply(
                    input, Int64(rows), Int64(inputCount), panel, Int64(block.count), Int64(inputCount),
                    Int64(inputCount), output + block.lowerBound, Int64(outputCount))
            }
        }
    }

    /// All of W as floats, [outputCount, inputCount]: for tests and for methods that repair.
    public func decodedWeight() -> Tensor {
        var result = Tensor(rows: outputCount, columns: inputCount)
        result.values.withUnsafeMutableBufferPointer { buffer in
            guard let base = buffer.baseAddress else { return }
            for row in 0..<outputCount { decodeRow(row, into: base + row * inputCount) }
        }
        return result
    }
}

/// The plain filler: a dense matrix of F32, F16 or BF16, multiplied as it is mapped.
public struct DenseOperator: RowDecodable {
    /// The matrix, [outputCount, inputCount].
    public let weight: StoredTensor
    private let type: pith_element
    private let rowBytes: Int

    /// Takes a stored matrix; other types than F32, F16 and BF16 are refused.
    public init(_ weight: StoredTensor) throws(PithError) {
        guard weight.shape.count == 2 else {
            throw .data("a matrix was expected, the shape is \(weight.shape)")
        }
        guard let type = weight.type.dense else {
            throw .data("a matrix of type \(weight.type.rawValue)", remedy: "F32, F16 and BF16 are understood")
        }
        self.weight = weight
        self.type = type
        rowBytes = weight.shape[1] * weight.type.byteCount
    }

    /// Rows of the matrix.
    public var outputCount: Int { weight.shape[0] }
    /// Columns of the matrix.
    public var inputCount: Int { weight.shape[1] }
    /// The bits of the matrix; nothing stands beside it.
    public var storedBits: Int { weight.byteCount * 8 }

    private func row(_ row: Int) -> UnsafeRawPointer { weight.region.bytes.baseAddress! + row * rowBytes }

    /// Widens a row.
    public func decodeRow(_ row: Int, into target: UnsafeMutablePointer<Float>) {
        kernels.widen(self.row(row), type, Int64(inputCount), target)
    }

    /// Multiplies a row as it is stored.
    public func dotRow(_ row: Int, _ input: UnsafePointer<Float>) -> Float {
        kernels.dot(input, self.row(row), type, Int64(inputCount))
    }

    /// Multiplies rows as they are stored, several at a time.
    public func dotRows(_ rows: Range<Int>, _ input: UnsafePointer<Float>, into output: UnsafeMutablePointer<Float>) {
        kernels.dot_rows(input, row(rows.lowerBound), type, Int64(rows.count), Int64(inputCount), output)
    }
}
