import CPithKernels
import PithTensor

extension Tape {
    /// x · Wᵀ, plus `residual` if there is one: x is [rows, inputs], W [outputs, inputs], the result [rows, outputs].
    public func linear(_ x: Variable, _ weight: Variable, addedTo residual: Variable? = nil) -> Variable {
        precondition(x.columns == weight.columns, "inner extents \(x.columns) and \(weight.columns) differ")
        let y = makeVariable(rows: x.rows, columns: weight.rows)
        if let residual {
            precondition(residual.rows == y.rows && residual.columns == y.columns, "the residual does not fit")
            y.values.update(from: residual.values, count: y.count)
        }
        LinearAlgebra.multiply(
            x.values, .plain, lda: x.columns, weight.values, .transposed, ldb: weight.columns,
            into: y.values, ldc: y.columns, m: x.rows, n: weight.rows, k: x.columns, beta: residual == nil ? 0 : 1)
        record(y) { [unowned self] dy in
            // dx = dy · W
            let (dx, isFirst) = gradientTarget(x)
            LinearAlgebra.multiply(
                dy, .plain, lda: y.columns, weight.values, .plain, ldb: weight.columns,
                into: dx, ldc: x.columns, m: x.rows, n: x.columns, k: y.columns, beta: isFirst ? 0 : 1)
            addWeightGradient(dy, outputs: y.columns, x.values, rows: x.rows, to: weight)
            if let residual { passGradient(of: y, to: residual) }
        }
        return y
    }

    /// dW += dyᵀ · x: dy is [rows, outputs], x [rows, inputs].
    func addWeightGradient(
        _ dy: UnsafePointer<Float>, outputs: Int, _ x: UnsafePointer<Float>, rows: Int, to weight: Variable
    ) {
        let (dw, isFirst) = gradientTarget(weight)
        LinearAlgebra.multiply(
            dy, .transposed, lda: outputs, x, .plain, ldb: weight.columns,
            into: dw, ldc: weight.columns, m: outputs, n: weight.columns, k: rows, beta: isFirst ? 0 : 1)
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

    /// The rows of `table` that `tokens` names: [tokens, columns].
    public func embed(_ tokens: UnsafeBufferPointer<Int32>, _ table: Variable) -> Variable {
        let columns = table.columns
        precondition(tokens.allSatisfy { (0..<table.rows).contains(Int($0)) }, "a token is outside the table")
        let y = makeVariable(rows: tokens.count, columns: columns)
        for (row, token) in tokens.enumerated() {
            (y.values + row * columns).update(from: table.values + Int(token) * columns, count: columns)
        }
        record(y) { [unowned self] dy in
            let (target, isFirst) = gradientTarget(table)
            if isFirst { target.initialize(repeating: 0, count: table.count) }
            for (row, token) in tokens.enumerated() {
                kernels.add_scaled(dy + row * columns, 1, Int64(columns), target + Int(token) * columns)
            }
        }
        return y
    }

    /// Each row divided by its root mean square and multiplied by `weight` [1, columns].
    public func rmsNorm(_ x: Variable, _ weight: Variable, epsilon: Float) -> Variable {
        precondition(weight.count == x.columns, "the weight does not fit the rows")
        let (rows, columns) = (x.rows, x.columns)
        let y = makeVariable(rows: rows, columns: columns)
        for row in 0..<rows {
            kernels.rms_norm(
                x.values + row * columns, weight.values, epsilon, Int64(columns), y.values + row * columns)
        }
        record(y) { [unowned self] dy in
            let (dx, isFirst) = gradientTarget(x)
            let (dw, isFirstWeight) = gradientTarget(weight)
            if isFirstWeight { dw.initialize(repeating: 0, count: columns) }
            for row in 0..<rows {
                let start = row * columns
                training.rms_norm_backward(
                    x.values + start, weight.values, dy + start, epsilon, Int64(columns), isFirst ? 0 : 1,
                    dx + start, dw)
            }
        }
        return y
    }

    /// SiLU(gate) · up, element by element.
    public func swiglu(gate: Variable, up: Variable) -> Variable {
        precondition(gate.rows == up.rows && gate.columns == up.columns, "shapes differ")
        let y = makeVariable(rows: gate.rows, columns: gate.columns)
        kernels.swiglu(gate.values, up.values, Int64(y.count), y.values)
        record(y) { [unowned self] dy in
            withOwnGradient(gate) { dGate in
                withOwnGradient(up) { dUp in
                    training.swiglu_backward(gate.values, up.values, dy, Int64(y.count), dGate, dUp)
                }
            }
        }
        return y
    }

    /// Turns the vectors of `headSize` floats in each row by the angles of the row's position, in place;
    /// row r has position r modulo the length of the angles.
    public func rotate(_ x: Variable, headSize: Int, _ angles: RotaryAngles) {
        let heads = x.columns / headSize
        func turn(_ target: UnsafeMutablePointer<Float>, _ sines: [Float]) {
            let half = headSize / 2
            angles.cosines.withUnsafeBufferPointer { cosines in
                sines.withUnsafeBufferPointer { sines in
                    guard let cosines = cosines.baseAddress, let sines = sines.baseAddress else { return }
                    for row in 0..<x.rows {
                        let start = row % angles.length * half
                        kernels.rotate(
                            target + row * x.columns, Int64(heads), Int64(half), cosines + start, sines + start)
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

/// The angles of rotary position embedding, element i of a head paired with i + half: [length, half] each.
public struct RotaryAngles: Sendable {
    /// The number of positions.
    public let length: Int
    let cosines: [Float]
    let sines: [Float]
    /// For turning back.
    let negativeSines: [Float]

    /// Angles position / theta^(2 i / headSize).
    public init(length: Int, headSize: Int, theta: Double) {
        self.length = length
        let half = headSize / 2
        var (cosines, sines) = ([Float](), [Float]())
        for position in 0..<length {
            for i in 0..<half {
                let angle = Double(position) * power(theta, -2 * Double(i) / Double(headSize))
                cosines.append(Float(cosine(angle)))
                sines.append(Float(sine(angle)))
            }
        }
        (self.cosines, self.sines) = (cosines, sines)
        negativeSines = sines.map { -$0 }
    }
}
