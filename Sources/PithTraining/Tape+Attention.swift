import CPithKernels
import PithModels
import PithTensor

extension Tape {
    /// Queries that are attended together. Their probabilities against all keys before stay in the second cache.
    private static let blockSize = 128

    /// Attention within sequences of `length` rows: queries [rows, heads · keySize], keys [rows,
    /// keyValueHeads · keySize], values [rows, keyValueHeads · valueSize].
    ///
    /// The probabilities are kept for the way back: reading them again is cheaper than a product and exponentials.
    public func attention(
        _ q: Variable, _ k: Variable, _ v: Variable, length: Int, _ options: AttentionOptions
    ) -> Variable {
        let shape = AttentionShape(length: length, options)
        precondition(q.columns == shape.heads * shape.keySize && q.rows % length == 0, "queries do not fit")
        precondition(k.columns == shape.keyValueHeads * shape.keySize && k.rows == q.rows, "keys do not fit")
        precondition(v.columns == shape.keyValueHeads * shape.valueSize && v.rows == k.rows, "values do not fit")
        let y = makeVariable(rows: q.rows, columns: shape.heads * shape.valueSize)
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
        let (count, keys, size) = (block.count, block.keyCount, shape.valueSize)
        score(block, q, k, into: p, shape)
        for row in 0..<count {
            let seen = shape.visible(block.first + row)
            (p + row * keys).update(repeating: 0, count: seen.lowerBound)
            training.softmax(
                p + row * keys + seen.lowerBound, Int64(seen.count), Int64(keys - seen.lowerBound))
        }
        LinearAlgebra.multiply(
            p, .plain, lda: keys, v + block.keyHead * size, .plain, ldb: shape.keyValueHeads * size,
            into: y + block.queryHead * size, ldc: shape.heads * size, m: count, n: size, k: keys)
    }

    /// p [count, keys] = cap(scale · q · kᵀ).
    private func score(
        _ block: AttentionBlock, _ q: UnsafePointer<Float>, _ k: UnsafePointer<Float>,
        into p: UnsafeMutablePointer<Float>, _ shape: AttentionShape
    ) {
        LinearAlgebra.multiply(
            q + block.queryHead * shape.keySize, .plain, lda: shape.heads * shape.keySize,
            k + block.keyHead * shape.keySize, .transposed, ldb: shape.keyValueHeads * shape.keySize, into: p,
            ldc: block.keyCount, m: block.count, n: block.keyCount, k: shape.keySize, alpha: shape.scale)
        if let cap = shape.softcap { kernels.softcap(p, cap, Int64(block.count * block.keyCount)) }
    }

    /// dp through the caps of the scores, if there are any.
    private func sendBackThroughCap(
        _ block: AttentionBlock, _ q: Variable, _ k: Variable, dp: UnsafeMutablePointer<Float>,
        _ shape: AttentionShape
    ) {
        guard let cap = shape.softcap else { return }
        let count = block.count * block.keyCount
        let scores = buffers.take(count)
        score(block, q.values, k.values, into: scores, shape)
        for i in 0..<count { dp[i] *= softcapSlope(scores[i], cap) }
        buffers.giveBack(scores)
    }

    private func sendBack(
        _ block: AttentionBlock, probabilities p: UnsafeMutablePointer<Float>, _ dy: UnsafePointer<Float>,
        _ q: Variable, _ k: Variable, _ v: Variable, output: UnsafePointer<Float>,
        dq: UnsafeMutablePointer<Float>, dqBeta: Float, dk: UnsafeMutablePointer<Float>,
        dv: UnsafeMutablePointer<Float>, dp: UnsafeMutablePointer<Float>, _ shape: AttentionShape
    ) {
        let (count, keys, size, valueSize) = (block.count, block.keyCount, shape.keySize, shape.valueSize)
        let (start, valueStart) = (block.queryHead * valueSize, block.keyHead * valueSize)
        let (width, valueWidth) = (shape.heads * valueSize, shape.keyValueHeads * valueSize)
        // dv += pᵀ · dy
        LinearAlgebra.multiply(
            p, .transposed, lda: keys, dy + start, .plain, ldb: width,
            into: dv + valueStart, ldc: valueWidth, m: keys, n: valueSize, k: count, beta: 1)
        // dp [count, keys] = dy · vᵀ, and through the softmax
        LinearAlgebra.multiply(
            dy + start, .plain, lda: width, v.values + valueStart, .transposed, ldb: valueWidth,
            into: dp, ldc: keys, m: count, n: keys, k: valueSize)
        for row in 0..<count {
            // The sum over keys of p · dp is dy · y.
            let dot = training.dot(dy + start + row * width, output + start + row * width, Int64(valueSize))
            training.softmax_backward(p + row * keys, dot, shape.scale, Int64(keys), dp + row * keys)
        }
        sendBackThroughCap(block, q, k, dp: dp, shape)
        LinearAlgebra.multiply(
            dp, .plain, lda: keys, k.values + block.keyHead * size, .plain, ldb: k.columns,
            into: dq + block.queryHead * size, ldc: q.columns, m: count, n: size, k: keys, beta: dqBeta)
        LinearAlgebra.multiply(
            dp, .transposed, lda: keys, q.values + block.queryHead * size, .plain, ldb: q.columns,
            into: dk + block.keyHead * size, ldc: k.columns, m: keys, n: size, k: count, beta: 1)
    }
}

/// How rows are divided into sequences and columns into heads.
private struct AttentionShape {
    let length: Int
    let heads: Int
    let keyValueHeads: Int
    let keySize: Int
    let valueSize: Int
    let scale: Float
    let softcap: Float?
    let isCausal: Bool
    private let window: Int

    init(length: Int, _ options: AttentionOptions) {
        let cache = options.cacheShape
        (self.length, heads, keyValueHeads) = (length, options.headCount, cache.headCount)
        (keySize, valueSize) = (cache.keySize, cache.valueSize)
        (scale, softcap, window) = (options.scale, options.softcap, cache.window ?? length)
        isCausal = options.isCausal
    }

    /// The positions that the query at `position` sees.
    func visible(_ position: Int) -> Range<Int> {
        isCausal ? max(0, position + 1 - window)..<position + 1 : 0..<length
    }
}

/// Consecutive queries of one head of one sequence, and the keys that they see.
private struct AttentionBlock {
    /// Queries.
    let count: Int
    /// Keys: those before the block and the block's own, or all.
    let keyCount: Int
    /// The position of the first query.
    let first: Int
    /// The first query among the heads of all rows.
    let queryHead: Int
    /// The sequence's first key among those of all rows.
    let keyHead: Int

    static func all(rows: Int, _ shape: AttentionShape, blockSize: Int) -> [AttentionBlock] {
        let group = shape.heads / shape.keyValueHeads
        var blocks: [AttentionBlock] = []
        for sequence in stride(from: 0, to: rows, by: shape.length) {
            for head in 0..<shape.heads {
                for first in stride(from: 0, to: shape.length, by: blockSize) {
                    let end = min(first + blockSize, shape.length)
                    blocks.append(
                        AttentionBlock(
                            count: end - first, keyCount: shape.isCausal ? end : shape.length, first: first,
                            queryHead: (sequence + first) * shape.heads + head,
                            keyHead: sequence * shape.keyValueHeads + head / group))
                }
            }
        }
        return blocks
    }
}
