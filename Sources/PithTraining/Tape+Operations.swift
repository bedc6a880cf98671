import CPithKernels
import PithModels
import PithTensor

extension Tape {
    /// x · Wᵀ, plus `bias` [1, outputs] and `residual` [rows, outputs] if there are: x is [rows, inputs], W [outputs,
    /// inputs], the result [rows, outputs].
    public func linear(
        _ x: Variable, _ weight: Variable, bias: Variable? = nil, addedTo residual: Variable? = nil
    ) -> Variable {
        linear(x, .values(weight), bias: bias, addedTo: residual)
    }

    /// The same of a matrix that may be stored in any form.
    func linear(
        _ x: Variable, _ weight: TapeWeight, bias: Variable? = nil, addedTo residual: Variable? = nil
    ) -> Variable {
        precondition(x.columns == weight.columns, "inner extents \(x.columns) and \(weight.columns) differ")
        let y = makeVariable(rows: x.rows, columns: weight.rows)
        if let residual {
            precondition(residual.rows == y.rows && residual.columns == y.columns, "the residual does not fit")
            y.values.update(from: residual.values, count: y.count)
        }
        weight.multiply(x.values, rows: x.rows, into: y.values, beta: residual == nil ? 0 : 1, buffers)
        if let bias {
            precondition(bias.count == y.columns, "the bias does not fit")
            for row in 0..<y.rows { kernels.add_scaled(bias.values, 1, Int64(y.columns), y.values + row * y.columns) }
        }
        record(y) { [unowned self] dy in
            if let bias { addColumnSums(dy, rows: y.rows, to: bias) }
            if !x.isFrozen {
                let (dx, isFirst) = gradientTarget(x)
                weight.multiplyBack(dy, rows: x.rows, into: dx, beta: isFirst ? 0 : 1, buffers)
            }
            addWeightGradient(dy, x.values, rows: x.rows, to: weight)
            if let residual { passGradient(of: y, to: residual) }
        }
        return y
    }

    /// dW += dyᵀ · x, if W learns: dy is [rows, outputs], x [rows, inputs].
    func addWeightGradient(
        _ dy: UnsafePointer<Float>, _ x: UnsafePointer<Float>, rows: Int, to weight: TapeWeight
    ) {
        guard case .values(let weight) = weight, !weight.isFrozen else { return }
        let (outputs, (dw, isFirst)) = (weight.rows, gradientTarget(weight))
        LinearAlgebra.multiply(
            dy, .transposed, lda: outputs, x, .plain, ldb: weight.columns,
            into: dw, ldc: weight.columns, m: outputs, n: weight.columns, k: rows, beta: isFirst ? 0 : 1)
    }

    /// Adds the sum of the rows of `dy` to the gradient of a row vector.
    func addColumnSums(_ dy: UnsafePointer<Float>, rows: Int, to vector: Variable) {
        guard !vector.isFrozen else { return }
        let target = zeroedGradient(vector)
        for row in 0..<rows { kernels.add_scaled(dy + row * vector.count, 1, Int64(vector.count), target) }
    }

    /// a + b.
    public func add(_ a: Variable, _ b: Variable) -> Variable {
        precondition(a.rows == b.rows && a.columns == b.columns, "shapes differ")
        let y = makeVariable(rows: a.rows, columns: a.columns)
        y.values.update(from: a.values, count: a.count)
        kernels.add_scaled(b.values, 1, Int64(b.count), y.values)
        record(y) { [unowned self] dy in
            addGradient(dy, to: a)
            passGradient(of: y, to: b)
        }
        return y
    }

    /// factor · x.
    public func scale(_ x: Variable, by factor: Float) -> Variable {
        let y = makeVariable(rows: x.rows, columns: x.columns)
        for i in 0..<x.count { y.values[i] = factor * x.values[i] }
        record(y) { [unowned self] dy in
            for i in 0..<x.count { dy[i] *= factor }
            passGradient(of: y, to: x)
        }
        return y
    }

    /// The rows of x whose numbers `rows` names: [rows, columns].
    public func gather(_ x: Variable, _ rows: [Int]) -> Variable {
        let columns = x.columns
        precondition(rows.allSatisfy { (0..<x.rows).contains($0) }, "a row is outside the table")
        let y = makeVariable(rows: rows.count, columns: columns, isFrozen: x.isFrozen)
        for (place, row) in rows.enumerated() {
            (y.values + place * columns).update(from: x.values + row * columns, count: columns)
        }
        guard !x.isFrozen else { return y }
        record(y) { [unowned self] dy in
            let target = zeroedGradient(x)
            for (place, row) in rows.enumerated() {
                kernels.add_scaled(dy + place * columns, 1, Int64(columns), target + row * columns)
            }
        }
        return y
    }

    /// Each row of x times its factor, `factors` [rows, 1].
    public func scale(_ x: Variable, byRow factors: Variable) -> Variable {
        precondition(factors.rows == x.rows && factors.columns == 1, "a factor for each row")
        let (y, columns) = (makeVariable(rows: x.rows, columns: x.columns), x.columns)
        for i in 0..<x.count { y.values[i] = factors.values[i / columns] * x.values[i] }
        record(y) { [unowned self] dy in
            let target = zeroedGradient(factors)
            for row in 0..<x.rows {
                target[row] += training.dot(dy + row * columns, x.values + row * columns, Int64(columns))
                for i in row * columns..<(row + 1) * columns { dy[i] *= factors.values[row] }
            }
            passGradient(of: y, to: x)
        }
        return y
    }

    /// Cuts each row into `groups` equal parts, and these into parts of `widths`: for each width [rows, groups · width].
    public func split(_ x: Variable, widths: [Int], groups: Int = 1) -> [Variable] {
        precondition(widths.reduce(0, +) * groups == x.columns, "the widths do not add up")
        var start = 0
        return widths.map { width in
            defer { start += width }
            let (y, offset) = (makeVariable(rows: x.rows, columns: width * groups), start)
            // Where each part of y begins in x.
            let places = (0..<x.rows * groups).map { $0 * (x.columns / groups) + offset }
            for (part, place) in places.enumerated() {
                (y.values + part * width).update(from: x.values + place, count: width)
            }
            record(y) { [unowned self] dy in
                let target = zeroedGradient(x)
                for (part, place) in places.enumerated() {
                    kernels.add_scaled(dy + part * width, 1, Int64(width), target + place)
                }
            }
            return y
        }
    }

    /// activation(x), element by element, times `factors` if there are any.
    public func activate(_ x: Variable, _ activation: Activation, times factors: Variable? = nil) -> Variable {
        precondition(factors.map { $0.rows == x.rows && $0.columns == x.columns } ?? true, "shapes differ")
        let (y, kind) = (makeVariable(rows: x.rows, columns: x.columns), activation.kernel)
        kernels.activate(kind, x.values, factors.map { UnsafePointer($0.values) }, Int64(y.count), y.values)
        record(y) { [unowned self] dy in
            withOwnGradient(x) { dx in
                guard let factors else {
                    training.activate_backward(kind, x.values, nil, dy, Int64(y.count), dx, nil)
                    return
                }
                withOwnGradient(factors) { dFactors in
                    training.activate_backward(kind, x.values, factors.values, dy, Int64(y.count), dx, dFactors)
                }
            }
        }
        return y
    }

    /// Turns each head of each row by the angles of the row's position, in place; row r has position r modulo the
    /// length of the angles.
    public func rotate(_ x: Variable, _ angles: RotaryAngles) {
        let (half, size) = (angles.half, angles.headDimension)
        let heads = x.columns / size
        func turn(_ target: UnsafeMutablePointer<Float>, _ sines: [Float]) {
            angles.cosines.withUnsafeBufferPointer { cosines in
                sines.withUnsafeBufferPointer { sines in
                    guard let cosines = cosines.baseAddress, let sines = sines.baseAddress else { return }
                    for row in 0..<x.rows {
                        let start = row % angles.length * half
                        kernels.rotate(
                            target + row * x.columns, Int64(heads), Int64(size), Int64(half), cosines + start,
                            sines + start)
                    }
                }
            }
        }
        turn(x.values, angles.sines)
        record(x, isOrigin: false) { dx in turn(dx, angles.negativeSines) }
    }

    /// Lets `body` write a contribution to the gradient of `variable`, and adds it to what there was.
    private func withOwnGradient(_ variable: Variable, _ body: (UnsafeMutablePointer<Float>) -> Void) {
        if variable.gradient == nil {
            body(gradientTarget(variable).pointer)
        } else {
            let contribution = buffers.take(variable.count)
            body(contribution)
            addGradient(contribution, to: variable)
            buffers.giveBack(contribution)
        }
    }
}

/// The angles of rotary position embedding at the first positions, [length, half] each.
public struct RotaryAngles: Sendable {
    /// The number of positions.
    public let length: Int
    /// Elements of a head.
    public let headDimension: Int
    /// Angles of a position: half the elements of a head that are turned.
    public let half: Int
    let cosines: [Float]
    let sines: [Float]
    /// For turning back.
    let negativeSines: [Float]

    /// The angles that a model with these options has when it runs.
    public init(_ options: RotaryOptions, length: Int) {
        (self.length, headDimension, half) = (length, options.headDimension, options.rotatedSize / 2)
        (cosines, sines) = RotaryTable(options).angles(0..<length)
        negativeSines = sines.map { -$0 }
    }
}
