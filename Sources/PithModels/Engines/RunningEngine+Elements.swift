import CPithKernels

/// Operations on single elements. What is not in kernels is plain arithmetic, rounded once for each operation.
extension RunningEngine {
    /// Calls `body` for ranges of the elements of a value of some width, on all threads where there is work for them.
    private func forEachElements(width: Int, _ body: (Range<Int>) -> Void) {
        forEachRows(grain: max(1, Self.elementsTogether / max(1, width))) { block in
            body(block.lowerBound * width..<block.upperBound * width)
        }
    }

    /// Functions with bounds would hide what is not finite.
    func lookAtOperand(_ x: Value) {
        look(at: x)
        observe(.operand, x)
    }

    mutating func activate(_ x: Value, _ activation: Activation) -> Value {
        lookAtOperand(x)
        let (kernels, function) = (kernels, activation.function)
        forEachElements(width: x.width) { block in
            let start = x.pointer + block.lowerBound
            kernels.apply(function, start, Int64(block.count), start)
        }
        return x
    }

    mutating func multiply(_ x: Value, by y: Value) -> Value {
        let result = makeValue(x.width)
        forEachElements(width: x.width) { block in
            for i in block { result.pointer[i] = x.pointer[i] * y.pointer[i] }
        }
        return result
    }

    mutating func interpolate(_ x: Value, toward y: Value, by share: Value) -> Value {
        let result = makeValue(x.width)
        forEachElements(width: x.width) { block in
            for i in block { result.pointer[i] = x.pointer[i] + (y.pointer[i] - x.pointer[i]) * share.pointer[i] }
        }
        return result
    }

    mutating func rows(of vector: ParameterID) -> Value {
        let values = model[vector: vector]
        let result = makeValue(values.count)
        for row in 0..<rows { (result.pointer + row * values.count).update(from: values, count: values.count) }
        return result
    }

    mutating func split(_ x: Value, _ widths: [Int]) -> [Value] {
        var column = 0
        return widths.map { width in
            let result = makeValue(width)
            for row in 0..<rows {
                (result.pointer + row * width).update(from: x.pointer + row * x.width + column, count: width)
            }
            column += width
            return result
        }
    }

    mutating func join(_ parts: [Value]) -> Value {
        let result = makeValue(parts.reduce(0) { $0 + $1.width })
        var column = 0
        for part in parts {
            for row in 0..<rows {
                (result.pointer + row * result.width + column).update(
                    from: part.pointer + row * part.width, count: part.width)
            }
            column += part.width
        }
        return result
    }

    mutating func unit(_ x: Value, groups: Int) -> Value {
        let (result, size, kernels) = (makeValue(x.width), x.width / groups, kernels)
        forEachRows { block in
            for part in block.lowerBound * groups..<block.upperBound * groups {
                let (source, target) = (x.pointer + part * size, result.pointer + part * size)
                let factor = 1 / max(kernels.dot(source, source, PITH_F32, Int64(size)).squareRoot(), 1e-12)
                for i in 0..<size { target[i] = source[i] * factor }
            }
        }
        return result
    }

    mutating func sums(_ x: Value, groups: Int) -> Value {
        let (result, size) = (makeValue(x.width), x.width / groups)
        forEachRows { block in
            for part in block.lowerBound * groups..<block.upperBound * groups {
                var sum: Float = 0
                for i in 0..<size { sum += x.pointer[part * size + i] }
                (result.pointer + part * size).update(repeating: sum, count: size)
            }
        }
        return result
    }
}

extension Activation {
    /// As the kernels call it.
    package var function: pith_function {
        switch self {
        case .silu: PITH_SILU
        case .sigmoid: PITH_SIGMOID
        case .tanh: PITH_TANH
        case .softplus: PITH_SOFTPLUS
        case .squaredReLU: PITH_SQUARED_RELU
        case .decay: PITH_DECAY
        case .boundedDecay: PITH_BOUNDED_DECAY
        case .geluTanh: PITH_GELU_TANH
        }
    }
}
