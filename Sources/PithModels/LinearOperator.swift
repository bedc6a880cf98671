import CPithKernels
import PithCore
import PithTensor

/// A matrix that the forward pass multiplies by, however it is stored.
///
/// `y = W x` for a block of rows `x`, with W of `outputCount` by `inputCount`.
public protocol LinearOperator: Sendable {
    /// Rows of W: the extent of a result row.
    var outputCount: Int { get }
    /// Columns of W: the extent of an input row.
    var inputCount: Int { get }
    /// Exactly how many bits W occupies, side information included.
    var storedBits: Int { get }
    /// The bits that it takes in memory; other than `storedBits` where a matrix is decoded when it is opened.
    var memoryBits: Int { get }

    /// Makes ready what `multiply` needs of `input`, with all threads; called before any `multiply` of the same rows.
    func prepare(_ input: ActivationBlock, pool: ThreadPool)

    /// Multiplies all rows of `input` by the rows `outputs` of W, on one thread: the product of input row r and row n
    /// of W goes to output[r · stride + n − outputs.lowerBound].
    ///
    /// A result must not depend on the rows that come with it, nor on how W is cut. `outputs` begins on a multiple
    /// of 16.
    func multiply(
        _ outputs: Range<Int>, _ input: ActivationBlock, into output: UnsafeMutablePointer<Float>, stride: Int)
}

extension LinearOperator {
    /// Most matrices are multiplied as they are stored.
    public var memoryBits: Int { storedBits }
}

/// One of several matrices that read the same rows, and where its products go, [rows, outputCount].
public struct LinearProduct {
    let matrix: any LinearOperator
    let output: UnsafeMutablePointer<Float>

    /// W and the place of W x.
    public init(_ matrix: any LinearOperator, into output: UnsafeMutablePointer<Float>) {
        self.matrix = matrix
        self.output = output
    }
}

extension ActivationBlock {
    /// Multiplies the rows by one matrix or several, in one loop over all their parts.
    public func multiply(by products: [LinearProduct], pool: ThreadPool) {
        for product in products { product.matrix.prepare(self, pool: pool) }
        // Few rows: parts of W that keep a core busy for some microseconds. Many: parts that fit its cache.
        let grain = rows <= 4 ? max(16, 65536 / max(1, width) / 16 * 16) : 64
        let parts = products.map { ($0.matrix.outputCount + grain - 1) / grain }
        pool.forEachBlock(of: parts.reduce(0, +), grain: 1, sharing: self, products) { block, input, products in
            for index in block {
                var (part, product) = (index, 0)
                while part >= parts[product] { (part, product) = (part - parts[product], product + 1) }
                let (matrix, output) = (products[product].matrix, products[product].output)
                let outputs = part * grain..<min(matrix.outputCount, (part + 1) * grain)
                matrix.multiply(outputs, input, into: output + outputs.lowerBound, stride: matrix.outputCount)
            }
        }
    }
}

/// A linear operator whose rows of W can be decoded one by one: what most stored forms are.
///
/// With `decodeRow` alone an operator works: blocks of rows are decoded into a buffer that fits the cache and
/// multiplied there; W as a whole is never unpacked. `dotRows` is the short cut for few input rows.
public protocol RowDecodable: LinearOperator {
    /// Writes row `row` of W, [inputCount], to `target`.
    func decodeRow(_ row: Int, into target: UnsafeMutablePointer<Float>)

    /// The products of some rows of W with one input row, into `output`, [rows.count]; the same bits as decoding and
    /// `kernels.multiply` give.
    func dotRows(_ rows: Range<Int>, _ input: UnsafePointer<Float>, into output: UnsafeMutablePointer<Float>)
}

extension RowDecodable {
    /// Rows are multiplied as floats.
    public func prepare(_ input: ActivationBlock, pool: ThreadPool) {}

    /// Decodes each row, then multiplies.
    public func dotRows(
        _ rows: Range<Int>, _ input: UnsafePointer<Float>, into output: UnsafeMutablePointer<Float>
    ) {
        let kernels = kernels
        withUnsafeTemporaryAllocation(of: Float.self, capacity: max(1, inputCount)) { buffer in
            guard let base = buffer.baseAddress else { return }
            for (i, row) in rows.enumerated() {
                decodeRow(row, into: base)
                output[i] = kernels.dot(input, base, PITH_F32, Int64(inputCount))
            }
        }
    }

    /// Rows are decoded.
    public func multiply(
        _ outputs: Range<Int>, _ input: ActivationBlock, into output: UnsafeMutablePointer<Float>, stride: Int
    ) {
        multiplyRows(outputs, input, into: output, stride: stride)
    }

    /// Up to two input rows take `dotRows`; more are multiplied with decoded blocks of W.
    package func multiplyRows(
        _ outputs: Range<Int>, _ input: ActivationBlock, into output: UnsafeMutablePointer<Float>, stride: Int
    ) {
        guard input.rows > 2 else {
            for m in 0..<input.rows {
                dotRows(outputs, input.values + m * inputCount, into: output + m * stride)
            }
            return
        }
        let kernels = kernels
        // 24 rows are a whole number of every path's tiles.
        for start in Swift.stride(from: outputs.lowerBound, to: outputs.upperBound, by: 24) {
            let block = start..<min(start + 24, outputs.upperBound)
            withUnsafeTemporaryAllocation(byteCount: 4 * max(1, block.count * inputCount), alignment: 64) { memory in
                let panel = memory.baseAddress!.assumingMemoryBound(to: Float.self)
                for (i, n) in block.enumerated() { decodeRow(n, into: panel + i * inputCount) }
                kernels.multiply(
                    input.values, Int64(input.rows), Int64(inputCount), panel, Int64(block.count), Int64(inputCount),
                    Int64(inputCount), output + start - outputs.lowerBound, Int64(stride))
            }
        }
    }

    /// All of W as floats, [outputCount, inputCount], on one thread.
    public func decodedWeight() -> Tensor { denseWeight(pool: ThreadPool(threads: 1)) }
}
