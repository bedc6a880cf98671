import PithTensor

extension Tape {
    /// Each row, or each of `groups` equal parts of it, as exp(x) divided by the sum of these.
    public func softmax(_ x: Variable, groups: Int = 1) -> Variable {
        precondition(groups > 0 && x.columns % groups == 0 && x.columns > 0, "the groups do not fit the rows")
        let (y, width) = (makeVariable(rows: x.rows, columns: x.columns), x.columns / groups)
        y.values.update(from: x.values, count: x.count)
        for part in 0..<x.rows * groups { training.softmax(y.values + part * width, Int64(width), Int64(width)) }
        record(y) { [unowned self] dy in
            let dx = zeroedGradient(x)
            for start in stride(from: 0, to: y.count, by: width) {
                let mean = training.dot(y.values + start, dy + start, Int64(width))
                for i in start..<start + width { dx[i] += y.values[i] * (dy[i] - mean) }
            }
        }
        return y
    }
}
