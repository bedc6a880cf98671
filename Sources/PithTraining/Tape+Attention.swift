import CPithKernels
import PithTensor

/// How rows are divided into sequences and columns into heads.
public struct AttentionShape: Sendable {
    /// Rows of one sequence; the rows are whole sequences one after another.
    public var length: Int
    /// Query heads.
    public var heads: Int
    /// Key and value heads, a divisor of `heads`.
    public var keyValueHeads: Int
    /// Columns of one head.
    public var headSize: Int

    /// Creates a shape.
    public init(length: Int, heads: Int, keyValueHeads: Int, headSize: Int) {
        self.length = length
        self.heads = heads
        self.keyValueHeads = keyValueHeads
        self.headSize = headSize
    }
}

extension Tape {
    /// Queries that are attended together. Their probabilities against all keys before stay in the second cache.
    private static let blockSize = 128

    /// Causal attention: queries [rows, heads · headSize], keys and values [rows, keyValueHeads · headSize].
    ///
    /// The probabilities are kept for the way back: reading them again is cheaper than a product and exponentials.
    public func attention(_ q: Variable, _ k: Variable, _ v: Variable, _ shape: AttentionShape) -> Variable {
        precondition(q.columns == shape.heads * shape.headSize && q.rows % shape.length == 0, "queries do not fit")
        precondition(k.columns == shape.keyValueHeads * shape.headSize && k.rows == q.rows, "keys do not fit")
        precondition(v.columns == k.columns && v.rows == k.rows, "values do not fit")
        let y = makeVariable(rows: q.rows, columns: q.columns)
        let blocks = AttentionBlock.all(rows: q.rows, shape, blockSize: Self.blockSize)
        let probabilities = blocks.map { buffers.take($0.count * $0.keyCount) }
        for (block, p) in zip(blocks, probabilities) {
            attend(block, q.values, k.values, v.values, into: y.values, probabilities: p, shape)
        }
        if !isRecording { for p in probabilities { buffers.giveBack(p) } }
        record(y) { [unowned self] dy in
            let (dq, isFirst) = gradientTarget(q)
            let dk = zeroedGradient(k)
            let dv = zeroedGradient(v)
            let largest = Self.blockSize * shape.length
            let dp = buffers.take(largest)
            for (block, p) in zip(blocks, probabilities) {
                sendBack(
                    block, probabilities: p, dy, q, k, v, output: y.values, dq: dq, dqBeta: isFirst ? 0 : 1, dk: dk,
                    dv: dv, dp: dp, shape)
            }
            buffers.giveBack(dp)
            for p in probabilities { buffers.giveBack(p) }
        }
        return y
    }

    private func attend(
        _ block: AttentionBlock, _ q: UnsafePointer<Float>, _ k: UnsafePointer<Float>, _ v: UnsafePointer<Float>,
        into y: UnsafeMutablePointer<Float>, probabilities p: UnsafeMutablePointer<Float>, _ shape: AttentionShape
    ) {
        let (width, keyWidth, size) = (
            shape.heads * shape.headSize, shape.keyValueHeads * shape.headSize, shape.headSize
        )
        let (count, keys) = (block.count, block.keyCount)
        // p [count, keys] = q · kᵀ / sqrt(size)
        LinearAlgebra.multiply(
            q + block.queryStart, .plain, lda: width, k + block.keyStart, .transposed, ldb: keyWidth,
            into: p, ldc: keys, m: count, n: keys, k: size, alpha: block.scale)
        for row in 0..<count { training.softmax(p + row * keys, Int64(keys - count + row + 1), Int64(keys)) }
        LinearAlgebra.multiply(
            p, .plain, lda: keys, v + block.keyStart, .plain, ldb: keyWidth,
            into: y + block.queryStart, ldc: width, m: count, n: size, k: keys)
    }

    private func sendBack(
        _ block: AttentionBlock, probabilities p: UnsafeMutablePointer<Float>, _ dy: UnsafePointer<Float>,
        _ q: Variable, _ k: Variable, _ v: Variable, output: UnsafePointer<Float>,
        dq: UnsafeMutablePointer<Float>, dqBeta: Float, dk: UnsafeMutablePointer<Float>,
        dv: UnsafeMutablePointer<Float>, dp: UnsafeMutablePointer<Float>, _ shape: AttentionShape
    ) {
        let (width, keyWidth, size) = (q.columns, k.columns, shape.headSize)
        let (count, keys, start, keyStart) = (block.count, block.keyCount, block.queryStart, block.keyStart)
        // dv += pᵀ · dy
        LinearAlgebra.multiply(
            p, .transposed, lda: keys, dy + start, .plain, ldb: width,
            into: dv + keyStart, ldc: keyWidth, m: keys, n: size, k: count, beta: 1)
        // dp [count, keys] = dy · vᵀ, and through the softmax
        LinearAlgebra.multiply(
            dy + start, .plain, lda: width, v.values + keyStart, .transposed, ldb: keyWidth,
            into: dp, ldc: keys, m: count, n: keys, k: size)
        for row in 0..<count {
            // The sum over keys of p · dp is dy · y.
            let dot = training.dot(dy + start + row * width, output + start + row * width, Int64(size))
            training.softmax_backward(p + row * keys, dot, block.scale, Int64(keys), dp + row * keys)
        }
        LinearAlgebra.multiply(
            dp, .plain, lda: keys, k.values + keyStart, .plain, ldb: keyWidth,
            into: dq + start, ldc: width, m: count, n: size, k: keys, beta: dqBeta)
        LinearAlgebra.multiply(
            dp, .transposed, lda: keys, q.values + start, .plain, ldb: width,
            into: dk + keyStart, ldc: keyWidth, m: keys, n: size, k: count, beta: 1)
    }

    /// The gradient of a variable, ready to be added to.
    private func zeroedGradient(_ variable: Variable) -> UnsafeMutablePointer<Float> {
        let (target, isFirst) = gradientTarget(variable)
        if isFirst { target.initialize(repeating: 0, count: variable.count) }
        return target
    }
}

/// Consecutive queries of one head of one sequence, and the keys up to the last of them.
private struct AttentionBlock {
    /// Queries.
    let count: Int
    /// Keys: those before the block and the block's own.
    let keyCount: Int
    /// Where the queries begin.
    let queryStart: Int
    /// Where the sequence's keys and values begin.
    let keyStart: Int
    /// 1 / sqrt(headSize).
    let scale: Float

    static func all(rows: Int, _ shape: AttentionShape, blockSize: Int) -> [AttentionBlock] {
        let group = shape.heads / shape.keyValueHeads
        let scale = 1 / Float(shape.headSize).squareRoot()
        var blocks: [AttentionBlock] = []
        for sequence in stride(from: 0, to: rows, by: shape.length) {
            for head in 0..<shape.heads {
                let keyStart = (sequence * shape.keyValueHeads + head / group) * shape.headSize
                for first in stride(from: 0, to: shape.length, by: blockSize) {
                    let end = min(first + blockSize, shape.length)
                    let queryStart = ((sequence + first) * shape.heads + head) * shape.headSize
                    blocks.append(
                        AttentionBlock(
                            count: end - first, keyCount: end, queryStart: queryStart, keyStart: keyStart,
                            scale: scale))
                }
            }
        }
        return blocks
    }
}
