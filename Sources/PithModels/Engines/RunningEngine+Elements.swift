import CPithKernels

/// Operations on single elements. What is not in kernels is plain arithmetic, rounded once for each operation.
extension RunningEngine {
    /// Calls `body` for ranges of the elements of x, on all threads where there is work for them.
    private func forEachElements(of x: Value, _ body: @Sendable (Range<Int>) -> Void) {
        forEachRows(of: x, grain: max(1, Self.elementsTogether / max(1, x.width))) { block in
            body(block.lowerBound * x.width..<block.upperBound * x.width)
        }
    }

    /// Functions with bounds would hide what is not finite.
    func lookAtOperand(_ x: Value) {
        look(at: x)
        observe(.operand, x)
    }

    /// The same of a parameter that is no matrix: what is wrong with its products is not traced to it.
    func lookAtElements(of parameter: ParameterID) {
        let values = model[vector: parameter]
        workspace.see(values, count: values.count)
        observer?.observe(.elements(of: parameter), layer: layer, values, rows: 1, width: values.count)
    }

    mutating func multiply(_ x: Value, by y: Value) -> Value {
        let result = makeValue(rows: x.rows, x.width)
        forEachElements(of: x) { block in
            for i in block { result.pointer[i] = x.pointer[i] * y.pointer[i] }
        }
        return result
    }

    mutating func interpolate(_ x: Value, toward y: Value, by share: Value) -> Value {
        let result = makeValue(rows: x.rows, x.width)
        forEachElements(of: x) { block in
            for i in block { result.pointer[i] = x.pointer[i] + (y.pointer[i] - x.pointer[i]) * share.pointer[i] }
        }
        return result
    }

    mutating func rows(of vector: ParameterID) -> Value {
        lookAtElements(of: vector)
        let values = model[vector: vector]
        let result = makeValue(rows: rows, values.count)
        for row in 0..<rows { (result.pointer + row * values.count).update(from: values, count: values.count) }
        return result
    }

    mutating func join(_ parts: [Value]) -> Value {
        let result = makeValue(rows: parts[0].rows, parts.reduce(0) { $0 + $1.width })
        var column = 0
        for part in parts {
            for row in 0..<result.rows {
                (result.pointer + row * result.width + column).update(
                    from: part.pointer + row * part.width, count: part.width)
            }
            column += part.width
        }
        return result
    }

    mutating func unit(_ x: Value, groups: Int) -> Value {
        let (result, size, kernels) = (makeValue(rows: x.rows, x.width), x.width / groups, kernels)
        forEachRows(of: x) { block in
            for part in block.lowerBound * groups..<block.upperBound * groups {
                let (source, target) = (x.pointer + part * size, result.pointer + part * size)
                let factor = 1 / max(kernels.dot(source, source, PITH_F32, Int64(size)).squareRoot(), 1e-12)
                for i in 0..<size { target[i] = source[i] * factor }
            }
        }
        return result
    }

    mutating func sums(_ x: Value, groups: Int) -> Value {
        let (result, size) = (makeValue(rows: x.rows, x.width), x.width / groups)
        forEachRows(of: x) { block in
            for part in block.lowerBound * groups..<block.upperBound * groups {
                var sum: Float = 0
                for i in 0..<size { sum += x.pointer[part * size + i] }
                (result.pointer + part * size).update(repeating: sum, count: size)
            }
        }
        return result
    }
}
