import PithCore
import PithModels
import PithTensor

/// What a linear map multiplies by, W [rows, columns]: values that may learn, or any stored form, which does not.
enum TapeWeight {
    case values(Variable)
    case stored(any LinearOperator)

    /// Outputs, or rows of a table.
    var rows: Int {
        switch self {
        case .values(let variable): variable.rows
        case .stored(let matrix): matrix.outputCount
        }
    }

    /// Inputs, or the width of a table.
    var columns: Int {
        switch self {
        case .values(let variable): variable.columns
        case .stored(let matrix): matrix.inputCount
        }
    }

    /// Rows of inputs whose products with a head exist at a time: few stay in a cache until their gradients are used;
    /// more where a head is decoded for each such block.
    var rowsOfLogits: Int {
        if case .stored = self { 256 } else { 128 }
    }

    /// y = x · Wᵀ + beta · y: x is [rows, columns of W], y [rows, rows of W].
    func multiply(
        _ x: UnsafePointer<Float>, rows count: Int, into y: UnsafeMutablePointer<Float>, beta: Float,
        _ buffers: BufferPool
    ) {
        let (inputs, outputs) = (columns, rows)
        forEachBlock(buffers) { block, weights in
            LinearAlgebra.multiply(
                x, .plain, lda: inputs, weights, .transposed, ldb: inputs, into: y + block.lowerBound, ldc: outputs,
                m: count, n: block.count, k: inputs, beta: beta)
        }
    }

    /// dx = dy · W + beta · dx: dy is [rows, rows of W], dx [rows, columns of W].
    func multiplyBack(
        _ dy: UnsafePointer<Float>, rows count: Int, into dx: UnsafeMutablePointer<Float>, beta: Float,
        _ buffers: BufferPool
    ) {
        let (inputs, outputs) = (columns, rows)
        forEachBlock(buffers) { block, weights in
            LinearAlgebra.multiply(
                dy + block.lowerBound, .plain, lda: outputs, weights, .plain, ldb: inputs, into: dx, ldc: inputs,
                m: count, n: inputs, k: block.count, beta: block.lowerBound == 0 ? beta : 1)
        }
    }

    /// Calls `body` with blocks of rows of W as floats: all at once if they are values.
    private func forEachBlock(
        _ buffers: BufferPool, _ body: (_ rows: Range<Int>, _ weights: UnsafePointer<Float>) -> Void
    ) {
        switch self {
        case .values(let variable): body(0..<variable.rows, variable.values)
        case .stored(let matrix): matrix.forEachDecodedBlock(buffers, body)
        }
    }
}

extension LinearOperator {
    /// Floats of a block that stays in the second cache beside what it is multiplied with.
    private static var blockSize: Int { 1 << 17 }

    /// Calls `body` with consecutive blocks of rows of W as floats, [rows.count, inputCount].
    fileprivate func forEachDecodedBlock(
        _ buffers: BufferPool, _ body: (_ rows: Range<Int>, _ weights: UnsafePointer<Float>) -> Void
    ) {
        guard let matrix = self as? any RowDecodable else {
            let weights = buffers.take(outputCount * inputCount)
            decode(into: weights)
            body(0..<outputCount, weights)
            return buffers.giveBack(weights)
        }
        let grain = min(outputCount, max(64, Self.blockSize / max(1, inputCount)))
        let weights = buffers.take(grain * inputCount)
        for start in stride(from: 0, to: outputCount, by: max(1, grain)) {
            let rows = start..<min(start + grain, outputCount)
            for row in rows { matrix.decodeRow(row, into: weights + (row - start) * inputCount) }
            body(rows, weights)
        }
        buffers.giveBack(weights)
    }
}

extension Tape {
    /// The rows of a table whose numbers `rows` names: [rows, columns].
    func gather(_ table: TapeWeight, _ rows: [Int]) -> Variable {
        switch table {
        case .values(let variable): return gather(variable, rows)
        case .stored(let matrix):
            guard let matrix = matrix as? any RowDecodable else {
                preconditionFailure("a table whose rows cannot be read")
            }
            let y = makeVariable(rows: rows.count, columns: table.columns, isFrozen: true)
            for (place, row) in rows.enumerated() {
                matrix.decodeRow(row, into: y.values + place * table.columns)
            }
            return y
        }
    }

    /// `count` vectors in front of the `length` rows of each sequence: [sequences · (count + length), columns].
    func prepend(_ vectors: Variable, to x: Variable, length: Int) -> Variable {
        let (columns, sequences) = (x.columns, x.rows / length)
        precondition(vectors.columns == columns && x.rows % length == 0, "the vectors do not fit")
        let y = makeVariable(rows: sequences * (vectors.rows + length), columns: columns)
        let (ahead, own) = (vectors.count, length * columns)
        for sequence in 0..<sequences {
            let start = y.values + sequence * (ahead + own)
            start.update(from: vectors.values, count: ahead)
            (start + ahead).update(from: x.values + sequence * own, count: own)
        }
        record(y) { [unowned self] dy in
            for sequence in 0..<sequences {
                let start = dy + sequence * (ahead + own)
                kernels.add_scaled(start, 1, Int64(ahead), zeroedGradient(vectors))
                guard !x.isFrozen else { continue }
                kernels.add_scaled(start + ahead, 1, Int64(own), zeroedGradient(x) + sequence * own)
            }
        }
        return y
    }

    /// What `body` makes of x. Only x is kept of it: on the way back, if there is one, it runs once more, on the tape
    /// that it is given.
    func recomputed(_ x: Variable, _ body: @escaping (Variable, Tape) -> Variable) -> Variable {
        let inner = inner
        inner.isRecording = false
        let made = body(x, inner)
        let y = makeVariable(rows: made.rows, columns: made.columns)
        y.values.update(from: made.values, count: y.count)
        inner.reset()
        record(y) { [unowned self] dy in
            inner.isRecording = true
            let start = Variable(rows: x.rows, columns: x.columns, values: x.values, isFrozen: x.isFrozen)
            inner.backward(from: body(start, inner), gradient: dy)
            if let gradient = start.gradient { addGradient(gradient, to: x) }
            inner.reset()
        }
        return y
    }
}
