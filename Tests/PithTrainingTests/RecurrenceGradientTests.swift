import PithModels
import PithTensor
import PithTraining
import Testing

@Suite("Gradients of recurrences agree with finite differences")
struct RecurrenceGradientTests {
    var generator = SeededGenerator(seed: 8)

    private mutating func inputs(_ shapes: [(Int, Int)], around mean: Float = 0, scale: Float = 1) -> [Input] {
        shapes.map { rows, columns in
            var input = Input(rows, columns, &generator)
            input.values = input.values.map { mean + scale * $0 }
            return input
        }
    }

    @Test(arguments: [Activation.tanh, .softplus, .squaredReLU, .decay, .boundedDecay])
    func functions(activation: Activation) {
        var generator = generator
        let inputs = [Input(3, 21, &generator), Input(3, 21, &generator)]
        checkGradients(of: [inputs[0]]) { $0.activate($1[0], activation) }
        checkGradients(of: inputs) { $0.activate($1[0], activation, times: $1[1]) }
    }

    @Test mutating func elements() {
        let shapes = [(4, 6), (4, 6), (4, 6)]
        checkGradients(of: inputs(shapes)) { $0.interpolate($0.multiply($1[0], $1[1]), toward: $1[1], by: $1[2]) }
        checkGradients(of: inputs([(1, 5)])) { $0.rows(of: $1[0], count: 3) }
        checkGradients(of: inputs([(3, 2), (3, 4)])) { $0.join([$1[0], $1[1], $1[0]]) }
        checkGradients(of: inputs([(3, 8)])) { $0.multiply($0.unit($1[0], groups: 2), $0.sums($1[0], groups: 4)) }
    }

    /// A vector of length 0 has no direction, and no gradient that is no number.
    @Test func zerosHaveNoDirection() {
        let tape = Tape()
        let x = tape.input([0, 0, 3, 4], rows: 2, columns: 2)
        let y = tape.unit(x, groups: 1)
        #expect([y.values[0], y.values[1]] == [0, 0])
        #expect(abs(y.values[2] - 0.6) < 1e-6 && abs(y.values[3] - 0.8) < 1e-6)
        tape.backward(from: y, gradient: [0, 0, 1, 1])
        for i in 0..<4 { #expect(x.gradient?[i].isFinite == true) }
    }

    @Test("sequences of one row and of several", arguments: [1, 3, 6])
    func shiftAndConvolution(length: Int) {
        var generator = generator
        let inputs = [Input(6, 5, &generator), Input(1, 20, &generator), Input(1, 5, &generator)]
        checkGradients(of: [inputs[0]]) { $0.previous($0.scale($1[0], by: 2), length: length) }
        checkGradients(of: inputs) { $0.convolve($1[0], $1[1], bias: $1[2], length: length) }
    }

    @Test(arguments: [1, 4]) func selectiveScan(length: Int) {
        var generator = generator
        let (width, size) = (3, 5)
        var inputs = [
            Input(4, width, &generator), Input(4, width, &generator, around: 1), Input(4, size, &generator),
            Input(4, size, &generator), Input(1, width * size, &generator), Input(1, width, &generator),
        ]
        inputs[1].values = inputs[1].values.map { abs($0) }
        checkGradients(of: inputs, tolerance: 1e-2) { tape, x in
            tape.scan(
                x: x[0], steps: x[1], writes: x[2], reads: x[3], rates: x[4], skips: x[5], length: length)
        }
    }

    @Test("with and without what is taken away", arguments: [1, 4], [false, true])
    func matrices(length: Int, hasRemoval: Bool) {
        var generator = generator
        let inputs = (0..<6).map { _ in
            var input = Input(4, 6, &generator)
            input.values = input.values.map { 0.6 * $0 }
            return input
        }
        checkGradients(of: hasRemoval ? inputs : Array(inputs[..<4])) { tape, x in
            tape.recur(
                RecurrenceInputs(
                    receptances: x[0], decays: x[1], keys: x[2], values: x[3],
                    removal: hasRemoval ? (x[4], x[5]) : nil), heads: 2, length: length)
        }
    }

    @Test(arguments: [1, 4]) func averages(length: Int) {
        var generator = generator
        let inputs = [
            Input(4, 3, &generator), Input(4, 3, &generator), Input(1, 3, &generator), Input(1, 3, &generator),
        ]
        checkGradients(of: inputs) { tape, x in
            tape.average(keys: x[0], values: x[1], decays: x[2], bonuses: x[3], length: length)
        }
    }
}
