import CPithKernels
import PithModels
import PithTensor

/// Operations that go from row to row of sequences of `length` rows, which begin without anything kept.
extension Tape {
    /// The row before each row, zeros before the first.
    public func previous(_ x: Variable, length: Int) -> Variable {
        let (y, width) = (makeVariable(rows: x.rows, columns: x.columns), x.columns)
        for start in stride(from: 0, to: x.rows, by: length) {
            let target = y.values + start * width
            target.update(repeating: 0, count: width)
            (target + width).update(from: x.values + start * width, count: (length - 1) * width)
        }
        record(y) { [unowned self] dy in
            let dx = zeroedGradient(x)
            for start in stride(from: 0, to: x.rows, by: length) {
                let from = start * width
                kernels.add_scaled(dy + from + width, 1, Int64((length - 1) * width), dx + from)
            }
        }
        return y
    }

    /// A causal convolution of each channel: weights [width, taps], the last of which is the row's own; bias [width].
    public func convolve(_ x: Variable, _ weights: Variable, bias: Variable?, length: Int) -> Variable {
        let (y, width) = (makeVariable(rows: x.rows, columns: x.columns), x.columns)
        let taps = weights.count / width
        func array(_ variable: Variable) -> [Float] {
            Array(UnsafeBufferPointer(start: variable.values, count: variable.count))
        }
        let convolution = Convolution(width: width, weights: array(weights))
        let added = bias.map(array)
        let before = [Float](repeating: 0, count: (taps - 1) * width + 1)
        for start in stride(from: 0, to: x.rows, by: length) {
            for row in 0..<length {
                convolution.apply(
                    to: x.values + start * width, row, before: before, bias: added,
                    into: y.values + (start + row) * width)
            }
        }
        record(y) { [unowned self] dy in
            if let bias { addColumnSums(dy, rows: y.rows, to: bias) }
            let (dx, dw) = (zeroedGradient(x), zeroedGradient(weights))
            for row in 0..<y.rows {
                // The tap of the row itself is the last.
                for back in 0..<min(taps, row % length + 1) {
                    let (tap, from) = (taps - 1 - back, (row - back) * width)
                    for i in 0..<width {
                        dx[from + i] += dy[row * width + i] * weights.values[i * taps + tap]
                        dw[i * taps + tap] += dy[row * width + i] * x.values[from + i]
                    }
                }
            }
        }
        return y
    }

    /// A selective state space: rates [width, size], skips [width].
    public func scan(
        x: Variable, steps: Variable, writes: Variable, reads: Variable, rates: Variable, skips: Variable, length: Int
    ) -> Variable {
        let (y, width, size) = (makeVariable(rows: x.rows, columns: x.columns), x.columns, writes.columns)
        let states = buffers.take(width * size)
        for start in stride(from: 0, to: x.rows, by: length) {
            states.update(repeating: 0, count: width * size)
            var scan = pith_selective_scan(
                rows: Int64(length), width: Int64(width), size: Int64(size), inputs: x.values + start * width,
                steps: steps.values + start * width, writes: writes.values + start * size,
                reads: reads.values + start * size, rates: rates.values, skips: skips.values, states: states,
                outputs: y.values + start * width)
            kernels.selective_scan(&scan, 0, Int64(width))
        }
        buffers.giveBack(states)
        record(y) { [unowned self] dy in
            let gradients = ScanGradients(
                x: zeroedGradient(x), steps: zeroedGradient(steps), writes: zeroedGradient(writes),
                reads: zeroedGradient(reads), rates: zeroedGradient(rates), skips: zeroedGradient(skips))
            let history = buffers.take((length + 1) * size)
            for start in stride(from: 0, to: x.rows, by: length) {
                for channel in 0..<width {
                    sendBack(
                        start..<start + length, channel, history, dy, x, steps, writes, reads, rates, skips, gradients)
                }
            }
            buffers.giveBack(history)
        }
        return y
    }

    private struct ScanGradients {
        let x: UnsafeMutablePointer<Float>, steps: UnsafeMutablePointer<Float>, writes: UnsafeMutablePointer<Float>
        let reads: UnsafeMutablePointer<Float>, rates: UnsafeMutablePointer<Float>, skips: UnsafeMutablePointer<Float>
    }

    /// Back through one channel of one sequence. `history` is room for its states, [rows + 1, size].
    private func sendBack(
        _ rows: Range<Int>, _ channel: Int, _ history: UnsafeMutablePointer<Float>, _ dy: UnsafePointer<Float>,
        _ x: Variable, _ steps: Variable, _ writes: Variable, _ reads: Variable, _ rates: Variable, _ skips: Variable,
        _ d: ScanGradients
    ) {
        let (width, size) = (x.columns, writes.columns)
        let speeds = (0..<size).map { exponential(rates.values[channel * size + $0]) }
        func decay(_ row: Int, _ i: Int) -> Float { exponential(-steps.values[row * width + channel] * speeds[i]) }
        history.update(repeating: 0, count: size)
        for (place, row) in rows.enumerated() {
            let written = steps.values[row * width + channel] * x.values[row * width + channel]
            for i in 0..<size {
                history[(place + 1) * size + i] =
                    decay(row, i) * history[place * size + i] + written * writes.values[row * size + i]
            }
        }
        // The gradient of the state behind a row.
        var dh = [Float](repeating: 0, count: size)
        for (place, row) in rows.enumerated().reversed() {
            let at = row * width + channel
            let (u, step, slope) = (x.values[at], steps.values[at], dy[at])
            d.skips[channel] += slope * u
            var (du, dStep) = (slope * skips.values[channel], Float(0))
            for i in 0..<size {
                d.reads[row * size + i] += slope * history[(place + 1) * size + i]
                dh[i] += slope * reads.values[row * size + i]
                let write = writes.values[row * size + i]
                du += dh[i] * step * write
                d.writes[row * size + i] += dh[i] * step * u
                let decay = decay(row, i)
                let dExponent = dh[i] * decay * history[place * size + i]
                dStep += dh[i] * u * write - dExponent * speeds[i]
                d.rates[channel * size + i] -= dExponent * step * speeds[i]
                dh[i] *= decay
            }
            d.x[at] += du
            d.steps[at] += dStep
        }
    }

    /// A recurrence of one matrix for each head, all inputs [rows, heads · size].
    public func recur(_ inputs: RecurrenceInputs<Variable>, heads: Int, length: Int) -> Variable {
        let values = inputs.values
        let (y, width, size) = (
            makeVariable(rows: values.rows, columns: values.columns), values.columns, values.columns / heads
        )
        let states = buffers.take(width * size)
        for start in stride(from: 0, to: y.rows, by: length) {
            states.update(repeating: 0, count: width * size)
            let at = start * width
            var recurrence = pith_matrix_recurrence(
                rows: Int64(length), heads: Int64(heads), size: Int64(size),
                receptances: inputs.receptances.values + at, decays: inputs.decays.values + at,
                keys: inputs.keys.values + at, values: values.values + at,
                a: inputs.removal.map { UnsafePointer($0.a.values + at) },
                b: inputs.removal.map { UnsafePointer($0.b.values + at) }, states: states, outputs: y.values + at)
            kernels.matrix_recurrence(&recurrence, 0, Int64(heads))
        }
        buffers.giveBack(states)
        record(y) { [unowned self] dy in
            let history = buffers.take((length + 1) * size * size)
            let back = RecurrenceWayBack(
                inputs, gradients: inputs.mapped { zeroedGradient($0) }, size: size, width: width, history: history)
            for start in stride(from: 0, to: y.rows, by: length) {
                for head in 0..<heads { back.send(dy, rows: start..<start + length, head) }
            }
            buffers.giveBack(history)
        }
        return y
    }

    /// The average of values weighted by exp(key), in each channel; decays and bonuses [width].
    public func average(
        keys: Variable, values: Variable, decays: Variable, bonuses: Variable, length: Int
    ) -> Variable {
        let (y, width) = (makeVariable(rows: keys.rows, columns: keys.columns), keys.columns)
        let states = buffers.take(3 * width)
        for start in stride(from: 0, to: y.rows, by: length) {
            states.update(repeating: 0, count: 3 * width)
            let at = start * width
            var average = pith_exponential_average(
                rows: Int64(length), width: Int64(width), keys: keys.values + at, values: values.values + at,
                decays: decays.values, bonuses: bonuses.values, states: states, outputs: y.values + at)
            kernels.exponential_average(&average, 0, Int64(width))
        }
        buffers.giveBack(states)
        record(y) { [unowned self] dy in
            let (dKeys, dValues) = (zeroedGradient(keys), zeroedGradient(values))
            let (dDecays, dBonuses) = (zeroedGradient(decays), zeroedGradient(bonuses))
            for start in stride(from: 0, to: y.rows, by: length) {
                for channel in 0..<width {
                    func places(_ row: Int) -> Int { (start + row) * width + channel }
                    let k = (0..<length).map { Double(keys.values[places($0)]) }
                    let v = (0..<length).map { Double(values.values[places($0)]) }
                    let slopes = (0..<length).map { Double(dy[places($0)]) }
                    let d = averageGradients(
                        k, v, decay: Double(decays.values[channel]), bonus: Double(bonuses.values[channel]), slopes)
                    for row in 0..<length {
                        dKeys[places(row)] += Float(d.keys[row])
                        dValues[places(row)] += Float(d.values[row])
                    }
                    dDecays[channel] += Float(d.decay)
                    dBonuses[channel] += Float(d.bonus)
                }
            }
        }
        return y
    }
}

/// The gradients of an exponentially weighted average in one channel of one sequence. Keys are taken relative to the
/// largest, which changes nothing: doubles hold what then is small.
private func averageGradients(
    _ keys: [Double], _ values: [Double], decay: Double, bonus: Double, _ slopes: [Double]
) -> (keys: [Double], values: [Double], decay: Double, bonus: Double) {
    let largest = keys.max() ?? 0
    let (speed, extra) = (exponential(decay), exponential(bonus))
    let (kept, weights) = (exponential(-speed), keys.map { exponential($0 - largest) })
    // Sums before each row.
    var (sums, totals) = ([0.0], [0.0])
    for (weight, value) in zip(weights, values) {
        sums.append(kept * sums[sums.count - 1] + weight * value)
        totals.append(kept * totals[totals.count - 1] + weight)
    }
    var d = (
        keys: [Double](repeating: 0, count: keys.count), values: [Double](repeating: 0, count: keys.count),
        decay: 0.0, bonus: 0.0
    )
    // Gradients of the sums behind a row.
    var (dSum, dTotal) = (0.0, 0.0)
    for row in keys.indices.reversed() {
        let (weight, value) = (weights[row], values[row])
        let total = totals[row] + extra * weight
        let average = (sums[row] + extra * weight * value) / total
        let slope = slopes[row] / total
        let dOwn = slope * (value - average) * extra * weight
        d.bonus += dOwn
        d.keys[row] = dOwn + weight * (dSum * value + dTotal)
        d.values[row] = slope * extra * weight + dSum * weight
        d.decay -= kept * speed * (dSum * sums[row] + dTotal * totals[row])
        (dSum, dTotal) = (kept * dSum + slope, kept * dTotal - slope * average)
    }
    return d
}

extension RecurrenceInputs {
    /// The same inputs in another form.
    fileprivate func mapped<Other>(_ change: (Value) -> Other) -> RecurrenceInputs<Other> {
        RecurrenceInputs<Other>(
            receptances: change(receptances), decays: change(decays), keys: change(keys), values: change(values),
            removal: removal.map { (change($0.a), change($0.b)) })
    }
}

/// Back through the heads of a recurrence of matrices.
private struct RecurrenceWayBack {
    private let x: RecurrenceInputs<UnsafeMutablePointer<Float>>
    private let d: RecurrenceInputs<UnsafeMutablePointer<Float>>
    private let size: Int
    private let width: Int
    // Room for the states of a head, [rows + 1, size, size].
    private let history: UnsafeMutablePointer<Float>

    init(
        _ inputs: RecurrenceInputs<Variable>, gradients: RecurrenceInputs<UnsafeMutablePointer<Float>>, size: Int,
        width: Int, history: UnsafeMutablePointer<Float>
    ) {
        (x, d) = (inputs.mapped(\.values), gradients)
        (self.size, self.width, self.history) = (size, width, history)
    }

    /// aᵀ S, [size].
    private func products(_ a: UnsafePointer<Float>, _ state: UnsafePointer<Float>) -> [Float] {
        var found = [Float](repeating: 0, count: size)
        for j in 0..<size { for i in 0..<size { found[i] += a[j] * state[j * size + i] } }
        return found
    }

    /// The states of a head before each row and behind the last.
    private func fillHistory(_ rows: Range<Int>, _ head: Int) {
        let square = size * size
        history.update(repeating: 0, count: square)
        for (place, row) in rows.enumerated() {
            let (at, before) = (row * width + head * size, history + place * square)
            let found = x.removal.map { products($0.a + at, before) }
            for j in 0..<size {
                for i in 0..<size {
                    var s = x.decays[at + j] * before[j * size + i] + x.keys[at + j] * x.values[at + i]
                    if let removal = x.removal, let found { s += removal.b[at + j] * found[i] }
                    before[square + j * size + i] = s
                }
            }
        }
    }

    /// Sends the gradients of the outputs of a head in the rows of one sequence.
    func send(_ dy: UnsafePointer<Float>, rows: Range<Int>, _ head: Int) {
        let square = size * size
        fillHistory(rows, head)
        // The gradient of the state behind a row.
        var dState = [Float](repeating: 0, count: square)
        for (place, row) in rows.enumerated().reversed() {
            let (at, before) = (row * width + head * size, history + place * square)
            if x.removal != nil { read(before + square, dy, at, &dState) }
            let found = x.removal.map { products($0.a + at, before) }
            var dFound = [Float](repeating: 0, count: size)
            for j in 0..<size {
                for i in 0..<size {
                    let (slope, s) = (dState[j * size + i], before[j * size + i])
                    d.decays[at + j] += slope * s
                    d.keys[at + j] += slope * x.values[at + i]
                    d.values[at + i] += slope * x.keys[at + j]
                    if let removal = x.removal, let found {
                        d.removal?.b[at + j] += slope * found[i]
                        dFound[i] += slope * removal.b[at + j]
                    }
                    dState[j * size + i] = slope * x.decays[at + j]
                }
            }
            if let removal = x.removal {
                for j in 0..<size {
                    for i in 0..<size {
                        d.removal?.a[at + j] += dFound[i] * before[j * size + i]
                        dState[j * size + i] += dFound[i] * removal.a[at + j]
                    }
                }
            } else {
                read(before, dy, at, &dState)
            }
        }
    }

    /// Back through the output of a row, which read `state`.
    private func read(
        _ state: UnsafePointer<Float>, _ dy: UnsafePointer<Float>, _ at: Int, _ dState: inout [Float]
    ) {
        for j in 0..<size {
            for i in 0..<size {
                d.receptances[at + j] += dy[at + i] * state[j * size + i]
                dState[j * size + i] += dy[at + i] * x.receptances[at + j]
            }
        }
    }
}
