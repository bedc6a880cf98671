import CPithKernels
import PithModels
import PithTensor

/// Operations on single elements, and on columns.
extension Tape {
    /// x · y, element by element.
    public func multiply(_ x: Variable, _ y: Variable) -> Variable {
        precondition(x.rows == y.rows && x.columns == y.columns, "shapes differ")
        let z = makeVariable(rows: x.rows, columns: x.columns)
        for i in 0..<z.count { z.values[i] = x.values[i] * y.values[i] }
        record(z) { [unowned self] dz in
            let dx = zeroedGradient(x)
            for i in 0..<z.count { dx[i] += dz[i] * y.values[i] }
            let dy = zeroedGradient(y)
            for i in 0..<z.count { dy[i] += dz[i] * x.values[i] }
        }
        return z
    }

    /// x + (y - x) · share, element by element.
    public func interpolate(_ x: Variable, toward y: Variable, by share: Variable) -> Variable {
        precondition(x.count == y.count && x.count == share.count, "shapes differ")
        let z = makeVariable(rows: x.rows, columns: x.columns)
        for i in 0..<z.count { z.values[i] = x.values[i] + (y.values[i] - x.values[i]) * share.values[i] }
        record(z) { [unowned self] dz in
            let dShare = zeroedGradient(share)
            for i in 0..<z.count { dShare[i] += dz[i] * (y.values[i] - x.values[i]) }
            let dy = zeroedGradient(y)
            for i in 0..<z.count { dy[i] += dz[i] * share.values[i] }
            let dx = zeroedGradient(x)
            for i in 0..<z.count { dx[i] += dz[i] * (1 - share.values[i]) }
        }
        return z
    }

    /// A vector in each of so many rows.
    public func rows(of vector: Variable, count: Int) -> Variable {
        let y = makeVariable(rows: count, columns: vector.count)
        for row in 0..<count { (y.values + row * vector.count).update(from: vector.values, count: vector.count) }
        record(y) { [unowned self] dy in addColumnSums(dy, rows: count, to: vector) }
        return y
    }

    /// Columns side by side.
    public func join(_ parts: [Variable]) -> Variable {
        precondition(!parts.isEmpty, "there is nothing to join")
        let y = makeVariable(rows: parts[0].rows, columns: parts.reduce(0) { $0 + $1.columns })
        func forEachRow(_ body: (_ part: Variable, _ row: Int, _ at: Int) -> Void) {
            var column = 0
            for part in parts {
                for row in 0..<y.rows { body(part, row, row * y.columns + column) }
                column += part.columns
            }
        }
        forEachRow { part, row, at in
            (y.values + at).update(from: part.values + row * part.columns, count: part.columns)
        }
        record(y) { [unowned self] dy in
            forEachRow { part, row, at in
                guard !part.isFrozen else { return }
                let target = zeroedGradient(part)
                kernels.add_scaled(dy + at, 1, Int64(part.columns), target + row * part.columns)
            }
        }
        return y
    }

    /// Each of `groups` equal parts of each row, divided by its length, or by 10⁻¹² if that is more.
    public func unit(_ x: Variable, groups: Int) -> Variable {
        let (y, size) = (makeVariable(rows: x.rows, columns: x.columns), x.columns / groups)
        func factor(_ part: Int) -> Float {
            let start = x.values + part * size
            return 1 / max(training.dot(start, start, Int64(size)).squareRoot(), 1e-12)
        }
        for part in 0..<x.rows * groups {
            let factor = factor(part)
            for i in part * size..<(part + 1) * size { y.values[i] = x.values[i] * factor }
        }
        record(y) { [unowned self] dy in
            let dx = zeroedGradient(x)
            for part in 0..<x.rows * groups {
                let (start, factor) = (part * size, factor(part))
                // Only what is across the vector turns it.
                let along = training.dot(dy + start, y.values + start, Int64(size))
                for i in start..<start + size { dx[i] += factor * (dy[i] - along * y.values[i]) }
            }
        }
        return y
    }

    /// In the place of each element the sum of its part of the row, of `groups` equal parts.
    public func sums(_ x: Variable, groups: Int) -> Variable {
        let (y, size) = (makeVariable(rows: x.rows, columns: x.columns), x.columns / groups)
        func spreadSums(_ source: UnsafePointer<Float>, _ body: (_ part: Int, _ sum: Float) -> Void) {
            for part in 0..<x.rows * groups {
                var sum: Float = 0
                for i in 0..<size { sum += source[part * size + i] }
                body(part, sum)
            }
        }
        spreadSums(x.values) { part, sum in (y.values + part * size).update(repeating: sum, count: size) }
        record(y) { [unowned self] dy in
            let dx = zeroedGradient(x)
            spreadSums(dy) { part, sum in
                for i in part * size..<(part + 1) * size { dx[i] += sum }
            }
        }
        return y
    }
}
