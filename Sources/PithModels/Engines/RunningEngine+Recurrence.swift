import CPithKernels
import PithTensor

/// Operations that go from row to row of a sequence. Each sequence has its own states; the rows of one follow each
/// other on one thread, and channels or heads, which do not meet, are shared by all.
extension RunningEngine {
    /// Calls `body` for each sequence with its first row, its number of rows and one of its states.
    private mutating func forEachState(
        _ state: StateID, _ body: (_ row: Int, _ count: Int, _ state: UnsafeMutablePointer<Float>) -> Void
    ) {
        var row = 0
        for (sequence, count) in workspace.counts.enumerated() {
            states[sequence].recurrent[state.index].withElements { body(row, count, $0) }
            row += count
        }
    }

    mutating func previous(_ x: Value, _ state: StateID) -> Value {
        let (result, width) = (makeValue(rows: rows, x.width), x.width)
        forEachState(state) { row, count, state in
            let (source, target) = (x.pointer + row * width, result.pointer + row * width)
            target.update(from: state, count: width)
            (target + width).update(from: source, count: (count - 1) * width)
            state.update(from: source + (count - 1) * width, count: width)
        }
        return result
    }

    mutating func convolve(_ x: Value, _ weights: ParameterID, bias: ParameterID?, _ state: StateID) -> Value {
        for parameter in [weights, bias] { parameter.map(lookAtElements) }
        let (convolution, bias) = (model.convolution(weights), bias.map { model[vector: $0] })
        let (result, width, pool) = (makeValue(rows: rows, x.width), x.width, pool)
        forEachState(state) { row, count, state in
            let (source, target) = (x.pointer + row * width, result.pointer + row * width)
            pool.forEachBlock(
                of: count, grain: Self.rowsTogether, sharing: source, target, state
            ) { block, source, target, state in
                for row in block {
                    convolution.apply(to: source, row, before: state, bias: bias, into: target + row * width)
                }
            }
            convolution.moveOn(state, over: source, count)
        }
        return result
    }

    mutating func scan(_ inputs: ScanInputs<Value>, _ state: StateID) -> Value {
        for x in [inputs.x, inputs.steps, inputs.writes, inputs.reads] { lookAtOperand(x) }
        lookAtElements(of: inputs.rates)
        let (result, width, size) = (makeValue(rows: rows, inputs.x.width), inputs.x.width, inputs.writes.width)
        let (rates, skips) = (model[vector: inputs.rates], model[vector: inputs.skips])
        let (kernels, pool) = (kernels, pool)
        rates.withUnsafeBufferPointer { rates in
            skips.withUnsafeBufferPointer { skips in
                forEachState(state) { row, count, state in
                    let scan = pith_selective_scan(
                        rows: Int64(count), width: Int64(width), size: Int64(size),
                        inputs: inputs.x.pointer + row * width, steps: inputs.steps.pointer + row * width,
                        writes: inputs.writes.pointer + row * size, reads: inputs.reads.pointer + row * size,
                        rates: rates.baseAddress, skips: skips.baseAddress, states: state,
                        outputs: result.pointer + row * width)
                    // Some thousand exponentials at a time.
                    let grain = max(16, 8192 / max(1, count * size))
                    pool.forEachBlock(of: width, grain: grain, sharing: scan) { block, scan in
                        withUnsafePointer(to: scan) {
                            kernels.selective_scan($0, Int64(block.lowerBound), Int64(block.count))
                        }
                    }
                }
            }
        }
        return result
    }

    mutating func recur(_ inputs: RecurrenceInputs<Value>, heads: Int, _ state: StateID) -> Value {
        lookAtOperand(inputs.decays)
        let (result, width) = (makeValue(rows: rows, inputs.values.width), inputs.values.width)
        let (kernels, pool, size) = (kernels, pool, width / heads)
        forEachState(state) { row, count, state in
            let at = row * width
            let recurrence = pith_matrix_recurrence(
                rows: Int64(count), heads: Int64(heads), size: Int64(size),
                receptances: inputs.receptances.pointer + at, decays: inputs.decays.pointer + at,
                keys: inputs.keys.pointer + at, values: inputs.values.pointer + at,
                a: inputs.removal.map { UnsafePointer($0.a.pointer + at) },
                b: inputs.removal.map { UnsafePointer($0.b.pointer + at) }, states: state,
                outputs: result.pointer + at)
            let grain = max(1, 8192 / max(1, count * size * size))
            pool.forEachBlock(of: heads, grain: grain, sharing: recurrence) { block, recurrence in
                withUnsafePointer(to: recurrence) {
                    kernels.matrix_recurrence($0, Int64(block.lowerBound), Int64(block.count))
                }
            }
        }
        return result
    }

    mutating func average(
        keys: Value, values: Value, decays: ParameterID, bonuses: ParameterID, _ state: StateID
    ) -> Value {
        lookAtOperand(keys)
        for parameter in [decays, bonuses] { lookAtElements(of: parameter) }
        let (result, width) = (makeValue(rows: rows, keys.width), keys.width)
        let (decays, bonuses) = (model[vector: decays], model[vector: bonuses])
        let (kernels, pool) = (kernels, pool)
        decays.withUnsafeBufferPointer { decays in
            bonuses.withUnsafeBufferPointer { bonuses in
                forEachState(state) { row, count, state in
                    let average = pith_exponential_average(
                        rows: Int64(count), width: Int64(width), keys: keys.pointer + row * width,
                        values: values.pointer + row * width, decays: decays.baseAddress,
                        bonuses: bonuses.baseAddress, states: state, outputs: result.pointer + row * width)
                    let grain = max(64, 4096 / max(1, count))
                    pool.forEachBlock(of: width, grain: grain, sharing: average) { block, average in
                        withUnsafePointer(to: average) {
                            kernels.exponential_average($0, Int64(block.lowerBound), Int64(block.count))
                        }
                    }
                }
            }
        }
        return result
    }
}

/// A causal convolution of each channel with weights of its own.
package struct Convolution: Sendable {
    /// Channels.
    let width: Int
    /// Rows that an output sees, its own included.
    let length: Int
    /// The weights as models have them, [width, length].
    let parameter: [Float]
    // Weights by place, [length, width], which channels lie side by side in.
    let weights: [Float]

    /// From weights [width, length].
    package init(width: Int, weights: [Float]) {
        (self.width, length) = (width, weights.count / width)
        parameter = weights
        self.weights = Tensor(shape: [width, length], values: weights).transposed.values
    }

    /// The output of a row of [rows, width], in front of which lie `before`, [length - 1, width]; `bias`, [width], is
    /// added.
    package func apply(
        to source: UnsafePointer<Float>, _ row: Int, before: UnsafePointer<Float>, bias: [Float]?,
        into target: UnsafeMutablePointer<Float>
    ) {
        if let bias { target.update(from: bias, count: width) } else { target.update(repeating: 0, count: width) }
        weights.withUnsafeBufferPointer { weights in
            for place in 0..<length {
                let from = row + place - (length - 1)
                let x = from < 0 ? before + (length - 1 + from) * width : source + from * width
                for i in 0..<width { target[i] += weights[place * width + i] * x[i] }
            }
        }
    }

    /// The last rows of `before` and the rows behind become `before`.
    func moveOn(_ before: UnsafeMutablePointer<Float>, over source: UnsafePointer<Float>, _ count: Int) {
        let kept = max(0, length - 1 - count)
        for row in 0..<kept { (before + row * width).update(from: before + (row + count) * width, count: width) }
        let taken = length - 1 - kept
        (before + kept * width).update(from: source + (count - taken) * width, count: taken * width)
    }
}
