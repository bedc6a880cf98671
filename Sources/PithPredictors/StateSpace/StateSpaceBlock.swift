/// One layer over a block of steps: what it computed, and its way back.
///
/// u = norm(x); (s, z) = u · input; c = convolution of s over the last four steps; a = silu(c); (B, C) = a · selection;
/// Δ = softplus(scale · (a · step) + bias); h ← e^(Δ·A) ∘ h + Δ · a ⊗ B; y = h · C + D ∘ a; x ← x + (y ∘ silu(z)) · output.
struct StateSpaceBlock {
    private let shape: StateSpaceShape
    private let places: StateSpaceShape.Layer
    private let steps: Int
    // The values of all steps; each name below is the place of step 0.
    private let store: FloatBuffer
    private let values: UnsafeMutablePointer<Float>
    // Work for one step on the way back.
    private let work: FloatBuffer

    // Sizes, and the sum of the places before.
    private let (normed, scale, mixed, convolved, active, gate, selected, stepped, step):
        (
            Int, Int, Int, Int, Int, Int, Int, Int, Int
        )
    private let (decayed, state, output, gated): (Int, Int, Int, Int)
    /// A = −e^decay of [states, inner]; set by `refresh`.
    private let rates: FloatBuffer

    init(_ shape: StateSpaceShape, layer: Int, steps: Int) {
        (self.shape, self.steps) = (shape, steps)
        places = shape.layer(layer)
        let (inner, all) = (shape.inner, shape.inner * shape.states)
        var end = 0
        func take(_ size: Int, before: Int = 0) -> Int {
            defer { end += size * (steps + before) }
            return end + size * before
        }
        normed = take(shape.width)
        scale = take(16)
        mixed = take(inner, before: shape.taps - 1)
        convolved = take(inner)
        active = take(inner)
        gate = take(inner)
        selected = take(2 * shape.states)
        stepped = take(inner)
        step = take(inner)
        decayed = take(all)
        state = take(all, before: 1)
        output = take(inner)
        gated = take(inner)
        store = FloatBuffer(end)
        values = store.floats
        work = FloatBuffer(all + (7 + shape.taps) * inner + 2 * shape.states + 2 * shape.width)
        rates = FloatBuffer(all)
    }

    /// Takes over parameters that changed.
    func refresh(_ parameters: UnsafeMutablePointer<Float>) {
        for place in stride(from: 0, to: rates.count, by: 16) {
            rates.floats.store(-exponential(parameters.lanes(places.decay + place)), place)
        }
    }

    /// Makes the last steps of a block those before the first of the next.
    func carry() {
        let (inner, all) = (shape.inner, shape.inner * shape.states)
        for before in 1..<shape.taps {
            (values + mixed - before * inner).update(from: values + mixed + (steps - before) * inner, count: inner)
        }
        (values + state - all).update(from: values + state + (steps - 1) * all, count: all)
    }

    /// Runs step `t`: `stream` of [width] is changed in place.
    func forward(_ t: Int, _ stream: UnsafeMutablePointer<Float>, _ parameters: UnsafeMutablePointer<Float>) {
        let (width, inner, states) = (shape.width, shape.inner, shape.states)
        let normed = values + normed + t * width
        (values + scale + t * 16)[0] = normalize(stream, parameters + places.norm, width, into: normed)

        // The gate stands behind what is mixed, but each in its own array.
        let (mixed, gate) = (values + mixed + t * inner, values + gate + t * inner)
        for column in stride(from: 0, to: inner, by: 16) {
            var (left, right) = (Lanes(), Lanes())
            for row in 0..<width {
                let weight = places.input &+ row &* 2 &* inner &+ column
                left += parameters.lanes(weight) * normed[row]
                right += parameters.lanes(weight &+ inner) * normed[row]
            }
            mixed.store(left, column)
            gate.store(right, column)
        }

        let (convolved, active) = (values + convolved + t * inner, values + active + t * inner)
        for i in stride(from: 0, to: inner, by: 16) {
            var sum = parameters.lanes(places.convolutionBias + i)
            for tap in 0..<shape.taps {
                sum += parameters.lanes(places.convolution + tap * inner + i) * (mixed - tap * inner).lanes(i)
            }
            convolved.store(sum, i)
            active.store(sum * sigmoid(sum), i)
        }

        let selected = values + selected + t * 2 * states
        multiply(active, parameters + places.selection, rows: inner, columns: 2 * states, into: selected)
        let common = dot(active, parameters + places.step, inner)
        (values + scale + t * 16)[1] = common

        let (stepped, step) = (values + stepped + t * inner, values + step + t * inner)
        let (output, gated) = (values + output + t * inner, values + gated + t * inner)
        let all = inner * states
        let (decayed, state) = (values + decayed + t * all, values + state + t * all)
        for i in stride(from: 0, to: inner, by: 16) {
            let before = parameters.lanes(places.stepScale + i) * common + parameters.lanes(places.stepBias + i)
            let size = softplus(before)
            stepped.store(before, i)
            step.store(size, i)
            let a = active.lanes(i)
            let entering = size * a
            var y = parameters.lanes(places.skip + i) * a
            for j in 0..<states {
                let place = j * inner + i
                let factor = exponential(size * rates.floats.lanes(place))
                let h = factor * (state - all).lanes(place) + entering * selected[j]
                decayed.store(factor, place)
                state.store(h, place)
                y += h * selected[states + j]
            }
            output.store(y, i)
            let z = gate.lanes(i)
            gated.store(y * (z * sigmoid(z)), i)
        }
        for column in stride(from: 0, to: width, by: 16) {
            var sum = stream.lanes(column)
            for row in 0..<inner {
                sum += parameters.lanes(places.output &+ row &* width &+ column) * gated[row]
            }
            stream.store(sum, column)
        }
    }

    /// Goes back over the first `count` steps. `slopes` of [count, width] holds the loss's slope by what the layer gave
    /// to the stream, and then by what it took from it. Gradients are added.
    func backward(
        _ count: Int, _ slopes: UnsafeMutablePointer<Float>, inputs: UnsafeMutablePointer<Float>,
        _ parameters: UnsafeMutablePointer<Float>, _ gradient: UnsafeMutablePointer<Float>
    ) {
        let (width, inner, states) = (shape.width, shape.inner, shape.states)
        let all = inner * states
        work.floats.clear(work.count)
        let dState = work.floats  // [states, inner], what later steps want of the state
        let dConvolved = dState + all  // [taps, inner], of this step and the three behind it
        let dActive = dConvolved + shape.taps * inner
        let dGated = dActive + inner
        let dInput = dGated + inner  // [2 · inner]
        let dStepped = dInput + 2 * inner
        let dSelected = dStepped + inner
        let dNormed = dSelected + 2 * states
        for t in (0..<count).reversed() {
            let slope = slopes + t * width
            let active = values + active + t * inner

            addOuter(values + gated + t * inner, slope, rows: inner, columns: width, to: gradient + places.output)
            dGated.clear(inner)
            multiplyBack(slope, parameters + places.output, rows: inner, columns: width, addingTo: dGated)

            scanBack(
                t, dGated, dState, dActive: dActive, dGate: dInput + inner, dStepped: dStepped,
                dSelected: dSelected, parameters, gradient)

            let common = (values + scale + t * 16)[1]
            for i in stride(from: 0, to: inner, by: 16) {
                let d = dStepped.lanes(i)
                gradient.add(d * common, places.stepScale + i)
                gradient.add(d, places.stepBias + i)
            }
            let dCommon = dot(dStepped, parameters + places.stepScale, inner)
            for i in stride(from: 0, to: inner, by: 16) {
                gradient.add(active.lanes(i) * dCommon, places.step + i)
                dActive.add(parameters.lanes(places.step + i) * dCommon, i)
            }
            addOuter(active, dSelected, rows: inner, columns: 2 * states, to: gradient + places.selection)
            multiplyBack(
                dSelected, parameters + places.selection, rows: inner, columns: 2 * states, addingTo: dActive)

            convolveBack(t, dActive, dConvolved, dMixed: dInput, parameters, gradient)

            let normed = values + normed + t * width
            addOuter(normed, dInput, rows: width, columns: 2 * inner, to: gradient + places.input)
            dNormed.clear(width)
            multiplyBack(dInput, parameters + places.input, rows: width, columns: 2 * inner, addingTo: dNormed)
            normalizeBack(
                dNormed, inputs + t * width, parameters + places.norm, scale: (values + scale + t * 16)[0], width,
                gradient: gradient + places.norm, addingTo: slope)
        }
    }

    /// Back through the gate and the recurrence of step `t`. All but `dState` and the gradients is set, not added to.
    @inline(__always)
    private func scanBack(
        _ t: Int, _ dGated: UnsafeMutablePointer<Float>, _ dState: UnsafeMutablePointer<Float>,
        dActive: UnsafeMutablePointer<Float>, dGate: UnsafeMutablePointer<Float>,
        dStepped: UnsafeMutablePointer<Float>, dSelected: UnsafeMutablePointer<Float>,
        _ parameters: UnsafeMutablePointer<Float>, _ gradient: UnsafeMutablePointer<Float>
    ) {
        let (inner, states) = (shape.inner, shape.states)
        let all = inner * states
        let (gate, output) = (values + gate + t * inner, values + output + t * inner)
        let (active, step, stepped) = (
            values + active + t * inner, values + step + t * inner, values + stepped + t * inner
        )
        let (decayed, state) = (values + decayed + t * all, values + state + t * all)
        let selected = values + selected + t * 2 * states
        dSelected.clear(2 * states)
        for i in stride(from: 0, to: inner, by: 16) {
            let (z, d, y) = (gate.lanes(i), dGated.lanes(i), output.lanes(i))
            let open = sigmoid(z)
            let dy = d * (z * open)
            dGate.store(d * y * (open * (1 + z * (1 - open))), i)
            let (a, size) = (active.lanes(i), step.lanes(i))
            gradient.add(dy * a, places.skip + i)
            var (da, dSize, dEntering) = (dy * parameters.lanes(places.skip + i), Lanes(), Lanes())
            let entering = size * a
            for j in 0..<states {
                let place = j * inner + i
                let dh = dState.lanes(place) + dy * selected[states + j]
                dSelected[states + j] += laneSum(dy * state.lanes(place))
                dSelected[j] += laneSum(dh * entering)
                dEntering += dh * selected[j]
                let factor = decayed.lanes(place)
                // By Δ·A, the exponent of the factor.
                let dExponent = dh * (state - all).lanes(place) * factor
                let rate = rates.floats.lanes(place)
                dSize += dExponent * rate
                gradient.add(dExponent * (size * rate), places.decay + place)
                dState.store(dh * factor, place)
            }
            da += dEntering * size
            dSize += dEntering * a
            dActive.store(da, i)
            dStepped.store(dSize * sigmoid(stepped.lanes(i)), i)
        }
    }

    /// Back through the activation and the convolution of step `t`; `dConvolved` keeps four steps in turn.
    @inline(__always)
    private func convolveBack(
        _ t: Int, _ dActive: UnsafeMutablePointer<Float>, _ dConvolved: UnsafeMutablePointer<Float>,
        dMixed: UnsafeMutablePointer<Float>, _ parameters: UnsafeMutablePointer<Float>,
        _ gradient: UnsafeMutablePointer<Float>
    ) {
        let (inner, taps) = (shape.inner, shape.taps)
        let (convolved, mixed) = (values + convolved + t * inner, values + mixed + t * inner)
        for i in stride(from: 0, to: inner, by: 16) {
            let c = convolved.lanes(i)
            let open = sigmoid(c)
            let d = dActive.lanes(i) * (open * (1 + c * (1 - open)))
            dConvolved.store(d, (t & 3) * inner + i)
            gradient.add(d, places.convolutionBias + i)
            var sum = Lanes()
            for tap in 0..<taps {
                gradient.add(d * (mixed - tap * inner).lanes(i), places.convolution + tap * inner + i)
                // Step t + tap read this one through this tap.
                sum +=
                    dConvolved.lanes(((t + tap) & 3) * inner + i)
                    * parameters.lanes(places.convolution + tap * inner + i)
            }
            dMixed.store(sum, i)
        }
    }
}

/// y = x / √(mean x² + ε) ∘ weight; gives the factor.
@inline(__always)
func normalize(
    _ x: UnsafeMutablePointer<Float>, _ weight: UnsafeMutablePointer<Float>, _ width: Int,
    into y: UnsafeMutablePointer<Float>
) -> Float {
    let scale = 1 / (dot(x, x, width) / Float(width) + 1e-5).squareRoot()
    for i in stride(from: 0, to: width, by: 16) { y.store(x.lanes(i) * scale * weight.lanes(i), i) }
    return scale
}

/// The way back of `normalize`: adds to the slope by x and to the gradient of the weight.
@inline(__always)
func normalizeBack(
    _ dy: UnsafeMutablePointer<Float>, _ x: UnsafeMutablePointer<Float>, _ weight: UnsafeMutablePointer<Float>,
    scale: Float, _ width: Int, gradient: UnsafeMutablePointer<Float>, addingTo dx: UnsafeMutablePointer<Float>
) {
    var sum = Lanes()
    for i in stride(from: 0, to: width, by: 16) {
        let (d, value) = (dy.lanes(i), x.lanes(i))
        gradient.add(d * (value * scale), i)
        sum += d * weight.lanes(i) * value
    }
    let common = laneSum(sum) * (scale * scale * scale) / Float(width)
    for i in stride(from: 0, to: width, by: 16) {
        dx.add(dy.lanes(i) * weight.lanes(i) * scale - x.lanes(i) * common, i)
    }
}
