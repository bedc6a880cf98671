import CPithKernels
import PithTensor

extension Tape {
    /// Each row, or each of `groups` equal parts of it, divided by its root mean square and multiplied by `weight`, [1,
    /// columns / groups] or [1, columns].
    public func rmsNorm(_ x: Variable, _ weight: Variable, epsilon: Float, groups: Int = 1) -> Variable {
        let parts = NormParts(x, weight, groups: groups)
        let y = makeVariable(rows: x.rows, columns: x.columns)
        parts.forEach { start, place in
            kernels.rms_norm(x.values + start, weight.values + place, epsilon, parts.width, y.values + start)
        }
        record(y) { [unowned self] dy in
            let (dx, isFirst) = gradientTarget(x)
            let dw = zeroedGradient(weight)
            parts.forEach { start, place in
                training.rms_norm_backward(
                    x.values + start, weight.values + place, dy + start, epsilon, parts.width, isFirst ? 0 : 1,
                    dx + start, dw + place)
            }
        }
        return y
    }

    /// Each row, or each of `groups` equal parts of it, less its mean and divided by its standard deviation, times
    /// `weight` plus `bias`, [1, columns / groups] or [1, columns].
    public func layerNorm(
        _ x: Variable, _ weight: Variable, bias: Variable, epsilon: Float, groups: Int = 1
    ) -> Variable {
        precondition(bias.count == weight.count, "the bias does not fit the weight")
        let parts = NormParts(x, weight, groups: groups)
        let y = makeVariable(rows: x.rows, columns: x.columns)
        parts.forEach { start, place in
            kernels.layer_norm(
                x.values + start, weight.values + place, bias.values + place, epsilon, parts.width, y.values + start)
        }
        record(y) { [unowned self] dy in
            let (dx, isFirst) = gradientTarget(x)
            let (dw, db) = (zeroedGradient(weight), zeroedGradient(bias))
            parts.forEach { start, place in
                training.layer_norm_backward(
                    x.values + start, weight.values + place, dy + start, epsilon, parts.width, isFirst ? 0 : 1,
                    dx + start, dw + place, db + place)
            }
        }
        return y
    }
}

/// The parts of rows that are normalised by themselves.
private struct NormParts {
    /// Elements of a part.
    let width: Int64
    private let count: Int
    private let weightCount: Int

    init(_ x: Variable, _ weight: Variable, groups: Int) {
        (width, count, weightCount) = (Int64(x.columns / groups), x.rows * groups, weight.count)
        precondition(
            weight.count * groups == x.columns || weight.count == x.columns, "the weight does not fit the rows")
    }

    /// Calls `body` with where each part begins, and where its weights do.
    func forEach(_ body: (_ start: Int, _ place: Int) -> Void) {
        for part in 0..<count {
            let start = part * Int(width)
            body(start, start % weightCount)
        }
    }
}
