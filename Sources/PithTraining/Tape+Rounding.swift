import PithTensor

extension Tape {
    /// x rounded to whole multiples of `step`, ties to even, within `levels` of them. The gradient goes straight through
    /// (Bengio et al. 2013): as if nothing had been rounded within the levels, and none where x lies outside.
    public func rounded(_ x: Variable, step: Float, levels: ClosedRange<Int>) -> Variable {
        precondition(step > 0 && step.isFinite, "steps are positive")
        let y = makeVariable(rows: x.rows, columns: x.columns)
        let (low, high) = (Float(levels.lowerBound), Float(levels.upperBound))
        for i in 0..<x.count {
            y.values[i] = step * min(max((x.values[i] / step).rounded(.toNearestOrEven), low), high)
        }
        record(y) { [unowned self] dy in
            let dx = zeroedGradient(x)
            // Half a step beyond the last level is still rounded to it.
            let (least, most) = (step * (low - 0.5), step * (high + 0.5))
            for i in 0..<x.count where x.values[i] >= least && x.values[i] <= most { dx[i] += dy[i] }
        }
        return y
    }
}
