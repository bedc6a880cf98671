import CPithKernels
import PithTensor

extension Tape {
    /// The sum over rows of -log softmax(x · headᵀ)[target]; an end of the tape.
    ///
    /// While recording, the gradients of `scale` times the sum go to `x` and `head` at once, chunk by chunk:
    /// the logits of all rows never exist together. The head is [vocabulary, columns of x]. The terms of the sum are
    /// written to `rowLosses` if there is one. Logits are capped first if there is a cap.
    public func crossEntropy(
        _ x: Variable, head: Variable, softcap: Float? = nil, targets: UnsafeBufferPointer<Int32>, scale: Float = 1,
        rowLosses: UnsafeMutablePointer<Double>? = nil
    ) -> Double {
        crossEntropy(
            x, head: .values(head), softcap: softcap, targets: targets, scale: scale, rowLosses: rowLosses)
    }

    /// The same with a head that may be stored in any form.
    func crossEntropy(
        _ x: Variable, head: TapeWeight, softcap: Float? = nil, targets: UnsafeBufferPointer<Int32>, scale: Float = 1,
        rowLosses: UnsafeMutablePointer<Double>? = nil
    ) -> Double {
        precondition(targets.count == x.rows, "as many targets as rows are needed")
        let (vocabulary, columns) = (head.rows, head.columns)
        precondition(targets.allSatisfy { (0..<vocabulary).contains(Int($0)) }, "a target is outside the vocabulary")
        let chunk = head.rowsOfLogits
        let logits = buffers.take(chunk * vocabulary)
        defer { buffers.giveBack(logits) }
        let flow = isRecording && !x.isFrozen ? gradientTarget(x) : nil
        var total = 0.0
        for start in stride(from: 0, to: x.rows, by: chunk) {
            let count = min(chunk, x.rows - start)
            let input = x.values + start * columns
            head.multiply(input, rows: count, into: logits, beta: 0, buffers)
            let slopes = softcap.map { cap(logits, at: $0, count: count * vocabulary) }
            for row in 0..<count {
                let target = Int64(targets[start + row])
                let loss = Double(
                    training.cross_entropy(logits + row * vocabulary, Int64(vocabulary), target, scale))
                rowLosses?[start + row] = loss
                total += loss
            }
            if let slopes {
                for i in 0..<count * vocabulary { logits[i] *= slopes[i] }
                buffers.giveBack(slopes)
            }
            guard isRecording else { continue }
            if let flow {
                head.multiplyBack(
                    logits, rows: count, into: flow.pointer + start * columns, beta: flow.isFirst ? 0 : 1, buffers)
            }
            addWeightGradient(logits, input, rows: count, to: head)
        }
        return total
    }

    /// Caps values in place; the derivatives of the capped ones by those before, in a buffer that is to be given back.
    private func cap(
        _ values: UnsafeMutablePointer<Float>, at cap: Float, count: Int
    ) -> UnsafeMutablePointer<Float> {
        kernels.softcap(values, cap, Int64(count))
        let slopes = buffers.take(count)
        for i in 0..<count { slopes[i] = softcapSlope(values[i], cap) }
        return slopes
    }
}
