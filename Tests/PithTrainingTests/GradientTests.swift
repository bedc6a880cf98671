import PithModels
import PithTensor
import PithTraining
import Testing

/// Numbers of one input of an operation under test.
struct Input {
    let rows: Int
    let columns: Int
    var values: [Float]

    init(_ rows: Int, _ columns: Int, _ generator: inout SeededGenerator, around mean: Float = 0) {
        self.rows = rows
        self.columns = columns
        values = (0..<rows * columns).map { _ in mean + generator.normal() }
    }
}

/// Compares the gradients that a tape finds with central differences of the operation's output.
///
/// The output is made a number by a fixed random weighting; differences are taken in double precision of outputs in
/// single, so a step of 1e-2 leaves some 1e-4 of noise.
func checkGradients(
    of inputs: [Input], tolerance: Double = 3e-3, sourceLocation: SourceLocation = #_sourceLocation,
    _ operation: (Tape, [Variable]) -> Variable
) {
    func weighting(_ count: Int) -> [Float] {
        var generator = SeededGenerator(seed: 99)
        return (0..<count).map { _ in generator.normal() }
    }
    func value(_ inputs: [Input]) -> Double {
        let tape = Tape(isRecording: false)
        let output = operation(tape, inputs.map { tape.input($0.values, rows: $0.rows, columns: $0.columns) })
        return zip(weighting(output.count), 0..<output.count).reduce(0) {
            $0 + Double($1.0) * Double(output.values[$1.1])
        }
    }
    let tape = Tape()
    let variables = inputs.map { tape.input($0.values, rows: $0.rows, columns: $0.columns) }
    let output = operation(tape, variables)
    tape.backward(from: output, gradient: weighting(output.count))
    for (n, variable) in variables.enumerated() {
        guard let gradient = variable.gradient else {
            Issue.record("input \(n) has no gradient", sourceLocation: sourceLocation)
            continue
        }
        for i in 0..<variable.count {
            var (above, below) = (inputs, inputs)
            above[n].values[i] += 1e-2
            below[n].values[i] -= 1e-2
            let step = Double(above[n].values[i]) - Double(below[n].values[i])
            let difference = (value(above) - value(below)) / step
            let error = abs(difference - Double(gradient[i])) / max(1, abs(difference))
            #expect(
                error < tolerance, "input \(n), element \(i): \(gradient[i]) is not \(difference)",
                sourceLocation: sourceLocation)
        }
    }
}

@Suite("Gradients agree with finite differences")
struct GradientTests {
    var generator = SeededGenerator(seed: 7)

    @Test mutating func linear() {
        let inputs = [Input(5, 7, &generator), Input(3, 7, &generator)]
        checkGradients(of: inputs) { $0.linear($1[0], $1[1]) }
    }

    @Test mutating func linearWithResidual() {
        let inputs = [Input(5, 7, &generator), Input(3, 7, &generator), Input(5, 3, &generator)]
        checkGradients(of: inputs) { $0.linear($1[0], $1[1], addedTo: $1[2]) }
    }

    @Test mutating func sumAndScale() {
        let inputs = [Input(2, 19, &generator), Input(2, 19, &generator)]
        checkGradients(of: inputs) { $0.add($0.scale($1[0], by: -0.7), $1[1]) }
    }

    @Test("a variable used more than once gets the sum of what flows back")
    mutating func sharedVariable() {
        let inputs = [Input(4, 4, &generator), Input(4, 4, &generator)]
        checkGradients(of: inputs) { tape, x in
            let y = tape.linear(x[0], x[1], addedTo: x[0])
            let z = tape.activate(y, .silu, times: y)
            return tape.add(tape.rmsNorm(z, tape.input([1, 2, -1, 0.5], rows: 1, columns: 4), epsilon: 1e-5), y)
        }
    }

    @Test mutating func embedding() {
        let inputs = [Input(6, 5, &generator)]
        let tokens = [3, 0, 3, 5]
        checkGradients(of: inputs) { $0.gather($1[0], tokens) }
    }

    @Test("rows shorter, as long and longer than a vector", arguments: [1, 5, 16, 35])
    func rmsNorm(columns: Int) {
        var generator = generator
        let inputs = [Input(3, columns, &generator), Input(1, columns, &generator, around: 1)]
        checkGradients(of: inputs) { $0.rmsNorm($1[0], $1[1], epsilon: 0.1) }
    }

    @Test mutating func normsOfHeads() {
        let inputs = [Input(3, 15, &generator), Input(1, 5, &generator, around: 1)]
        checkGradients(of: inputs) { $0.rmsNorm($1[0], $1[1], epsilon: 0.1, groups: 3) }
    }

    @Test(arguments: [1, 16, 35], [1, 2]) func layerNorm(columns: Int, groups: Int) {
        var generator = generator
        let width = columns * groups
        // One element is its own mean.
        guard columns > 1 else { return }
        for weights in [columns, width] {
            let inputs = [
                Input(3, width, &generator), Input(1, weights, &generator, around: 1), Input(1, weights, &generator),
            ]
            checkGradients(of: inputs) { $0.layerNorm($1[0], $1[1], bias: $1[2], epsilon: 0.1, groups: groups) }
        }
    }

    @Test mutating func splitting() {
        let inputs = [Input(3, 12, &generator)]
        checkGradients(of: inputs) { tape, x in
            let parts = tape.split(x[0], widths: [1, 3, 2], groups: 2)
            return tape.activate(tape.add(parts[2], tape.split(parts[1], widths: [4, 2])[0]), .silu)
        }
    }

    @Test mutating func rowsByTheirFactors() {
        let inputs = [Input(4, 5, &generator), Input(4, 1, &generator)]
        checkGradients(of: inputs) { $0.scale($1[0], byRow: $0.activate($1[1], .sigmoid)) }
    }

    @Test mutating func gatheredRows() {
        let inputs = [Input(4, 5, &generator)]
        checkGradients(of: inputs) { $0.gather($1[0], [3, 0, 3]) }
    }

    @Test mutating func linearWithBias() {
        let inputs = [Input(3, 4, &generator), Input(5, 4, &generator), Input(1, 5, &generator)]
        checkGradients(of: inputs) { $0.linear($1[0], $1[1], bias: $1[2]) }
    }

    @Test(arguments: [Activation.silu, .geluTanh, .gelu, .sigmoid]) func activations(activation: Activation) {
        var generator = generator
        checkGradients(of: [Input(3, 21, &generator)]) { $0.activate($1[0], activation) }
    }

    @Test(arguments: [Activation.silu, .geluTanh, .gelu, .sigmoid]) func gates(activation: Activation) {
        var generator = generator
        let inputs = [Input(3, 21, &generator), Input(3, 21, &generator)]
        checkGradients(of: inputs) { $0.activate($1[0], activation, times: $1[1]) }
    }

    @Test mutating func rotation() {
        let inputs = [Input(6, 12, &generator)]
        let angles = RotaryAngles(RotaryOptions(headDimension: 4, theta: 100), length: 3)
        checkGradients(of: inputs) { tape, x in
            let y = tape.scale(x[0], by: 1)
            tape.rotate(y, angles)
            return y
        }
    }

    private func options(
        _ heads: Int, _ keyValueHeads: Int, _ headDimension: Int, window: Int? = nil, softcap: Float? = nil
    ) -> AttentionOptions {
        AttentionOptions(
            headCount: heads,
            cacheShape: CacheShape(headCount: keyValueHeads, headDimension: headDimension, window: window),
            cache: CacheID(index: 0), softcap: softcap)
    }

    @Test("one and several sequences, equal and shared key heads")
    mutating func attention() {
        for (length, heads, keyValueHeads, window, cap) in [
            (5, 2, 2, nil, nil), (4, 4, 2, nil, nil), (1, 2, 1, nil, nil), (5, 2, 1, 2, nil), (4, 2, 2, nil, 1.5),
        ] as [(Int, Int, Int, Int?, Float?)] {
            let options = options(heads, keyValueHeads, 6, window: window, softcap: cap)
            let rows = 2 * length
            let inputs = [
                Input(rows, heads * 6, &generator), Input(rows, keyValueHeads * 6, &generator),
                Input(rows, keyValueHeads * 6, &generator),
            ]
            checkGradients(of: inputs) { $0.attention($1[0], $1[1], $1[2], length: length, options) }
        }
    }

    @Test("attention over more than one block of queries, along random directions")
    mutating func longAttention() {
        let options = options(2, 1, 8)
        let inputs = [Input(300, 16, &generator), Input(300, 8, &generator), Input(300, 8, &generator)]
        let weighting = (0..<300 * 16).map { _ in generator.normal() }
        func value(_ inputs: [Input]) -> Double {
            let tape = Tape(isRecording: false)
            let x = inputs.map { tape.input($0.values, rows: $0.rows, columns: $0.columns) }
            let y = tape.attention(x[0], x[1], x[2], length: 300, options)
            return (0..<y.count).reduce(0) { $0 + Double(y.values[$1]) * Double(weighting[$1]) }
        }
        let tape = Tape()
        let x = inputs.map { tape.input($0.values, rows: $0.rows, columns: $0.columns) }
        tape.backward(from: tape.attention(x[0], x[1], x[2], length: 300, options), gradient: weighting)
        for n in 0..<3 {
            let direction = (0..<x[n].count).map { _ in generator.normal() }
            var (above, below) = (inputs, inputs)
            for i in 0..<x[n].count {
                above[n].values[i] += 1e-3 * direction[i]
                below[n].values[i] -= 1e-3 * direction[i]
            }
            let difference = (value(above) - value(below)) / 2e-3
            let slope = (0..<x[n].count).reduce(0) { $0 + Double(x[n].gradient?[$1] ?? 0) * Double(direction[$1]) }
            #expect(abs(slope - difference) < 5e-3 * max(1, abs(difference)), "input \(n): \(slope), \(difference)")
        }
    }

    @Test("cross-entropy, over more rows than one chunk")
    mutating func crossEntropy() throws {
        let (rows, columns, vocabulary) = (130, 3, 11)
        let inputs = [Input(rows, columns, &generator), Input(vocabulary, columns, &generator)]
        let targets = (0..<rows).map { _ in Int32(generator.index(below: vocabulary)) }
        func loss(_ inputs: [Input], _ tape: Tape) -> (Double, [Variable]) {
            let x = inputs.map { tape.input($0.values, rows: $0.rows, columns: $0.columns) }
            let loss = targets.withUnsafeBufferPointer { tape.crossEntropy(x[0], head: x[1], targets: $0, scale: 0.5) }
            return (loss, x)
        }
        let tape = Tape()
        let (_, x) = loss(inputs, tape)
        for n in 0..<2 {
            let gradient = try #require(x[n].gradient)
            for i in 0..<x[n].count {
                var (above, below) = (inputs, inputs)
                above[n].values[i] += 1e-2
                below[n].values[i] -= 1e-2
                let difference =
                    (loss(above, Tape(isRecording: false)).0 - loss(below, Tape(isRecording: false)).0) / 2e-2
                #expect(abs(0.5 * difference - Double(gradient[i])) < 3e-3 * max(1, abs(difference)))
            }
        }
    }

    @Test("the loss of certain rows is what the definition says")
    func crossEntropyValue() {
        // Logits 1, 2, 3 and 0, 0, 0: losses log(e + e² + e³) - 2 and log 3.
        let tape = Tape(isRecording: false)
        let x = tape.input([1, 0], rows: 2, columns: 1)
        let head = tape.input([1, 2, 3], rows: 3, columns: 1)
        let targets: [Int32] = [1, 0]
        let loss = targets.withUnsafeBufferPointer { tape.crossEntropy(x, head: head, targets: $0) }
        #expect(abs(loss - (1.407_605_96 + 1.098_612_29)) < 1e-5)
    }
}
