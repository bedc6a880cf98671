import PithModels
import PithTensor

/// The engine that learns: records each operation of the blocks on a tape.
struct TapeEngine: Engine {
    typealias Value = Variable

    let tape: Tape
    /// In the order of the description.
    let parameters: [Variable]
    /// Whole sequences in a row.
    let tokens: UnsafeBufferPointer<Int32>
    /// The angles of one sequence, in the order of the description.
    let angles: SequenceAngles

    private func variable(_ id: ParameterID) -> Variable { parameters[id.index] }

    mutating func embed(_ table: ParameterID, _ selector: RowSelector) -> Variable {
        switch selector {
        case .token: tape.embed(tokens, variable(table))
        case .position(let offset): tape.gather(variable(table), tokens.indices.map { $0 % angles.length + offset })
        case .row(let row): tape.gather(variable(table), Array(repeating: row, count: tokens.count))
        }
    }

    mutating func linear(_ x: Variable, _ maps: [Linear]) -> [Variable] {
        maps.map { tape.linear(x, variable($0.weight), bias: $0.bias.map(variable)) }
    }

    mutating func linear(_ x: Variable, _ map: Linear, addedTo stream: Variable) -> Variable {
        tape.linear(x, variable(map.weight), bias: map.bias.map(variable), addedTo: stream)
    }

    mutating func normalize(_ x: Variable, _ norm: Norm, groups: Int) -> Variable {
        guard let bias = norm.bias else {
            return tape.rmsNorm(x, variable(norm.weight), epsilon: norm.epsilon, groups: groups)
        }
        return tape.layerNorm(
            x, variable(norm.weight), bias: variable(bias), epsilon: norm.epsilon, groups: groups)
    }

    mutating func split(_ x: Variable, widths: [Int], groups: Int) -> [Variable] {
        tape.split(x, widths: widths, groups: groups)
    }

    mutating func add(_ x: Variable, to stream: Variable) -> Variable { tape.add(stream, x) }

    mutating func scale(_ x: Variable, by factor: Float) -> Variable { tape.scale(x, by: factor) }

    mutating func scale(_ x: Variable, byRow factors: Variable) -> Variable { tape.scale(x, byRow: factors) }

    mutating func attend(
        queries: Variable, keys: Variable, values: Variable, _ options: AttentionOptions
    ) -> Variable {
        if let rotary = options.rotary { for x in [queries, keys] { tape.rotate(x, angles[rotary]) } }
        return tape.attention(queries, keys, values, length: angles.length, options)
    }

    mutating func activate(_ x: Variable, _ activation: Activation, times factors: Variable?) -> Variable {
        tape.activate(x, activation, times: factors)
    }

    mutating func multiply(_ x: Variable, by y: Variable) -> Variable { tape.multiply(x, y) }

    mutating func interpolate(_ x: Variable, toward y: Variable, by share: Variable) -> Variable {
        tape.interpolate(x, toward: y, by: share)
    }

    mutating func rows(of vector: ParameterID) -> Variable { tape.rows(of: variable(vector), count: tokens.count) }

    mutating func join(_ parts: [Variable]) -> Variable { tape.join(parts) }

    mutating func unit(_ x: Variable, groups: Int) -> Variable { tape.unit(x, groups: groups) }

    mutating func sums(_ x: Variable, groups: Int) -> Variable { tape.sums(x, groups: groups) }

    // Whole sequences begin without a state.

    mutating func previous(_ x: Variable, _ state: StateID) -> Variable { tape.previous(x, length: angles.length) }

    mutating func convolve(
        _ x: Variable, _ weights: ParameterID, bias: ParameterID?, _ state: StateID
    ) -> Variable {
        tape.convolve(x, variable(weights), bias: bias.map(variable), length: angles.length)
    }

    mutating func scan(_ inputs: ScanInputs<Variable>, _ state: StateID) -> Variable {
        tape.scan(
            x: inputs.x, steps: inputs.steps, writes: inputs.writes, reads: inputs.reads,
            rates: variable(inputs.rates), skips: variable(inputs.skips), length: angles.length)
    }

    mutating func recur(_ inputs: RecurrenceInputs<Variable>, heads: Int, _ state: StateID) -> Variable {
        tape.recur(inputs, heads: heads, length: angles.length)
    }

    mutating func average(
        keys: Variable, values: Variable, decays: ParameterID, bonuses: ParameterID, _ state: StateID
    ) -> Variable {
        tape.average(
            keys: keys, values: values, decays: variable(decays), bonuses: variable(bonuses), length: angles.length)
    }
}

/// A model over blocks of weights and, where it learns, of gradients.
struct TapeModel {
    private let description: ModelDescription
    private let parameters: [Variable]

    init(_ set: ParameterSet, weights: FloatBuffer, gradients: FloatBuffer?) {
        description = set.description
        parameters = set.entries.map { entry in
            Variable(
                rows: entry.rows, columns: entry.columns, values: weights.pointer + entry.offset,
                gradient: gradients.map { $0.pointer + entry.offset })
        }
    }

    /// From the last hidden states to logits. An encoder has no such matrix: its token vectors stand for it, as in its
    /// pre-training.
    private var head: Variable { parameters[(description.output?.matrix ?? description.input.table).index] }

    /// The summed loss, in nats, of predicting `targets` from `tokens`, both whole sequences in a row; that of each
    /// token goes to `rowLosses`.
    func loss(
        _ tokens: UnsafeBufferPointer<Int32>, targets: UnsafeBufferPointer<Int32>, angles: SequenceAngles,
        scale: Float, rowLosses: UnsafeMutablePointer<Double>? = nil, on tape: Tape
    ) -> Double {
        tape.crossEntropy(
            states(tokens, angles, tape), head: head, softcap: description.output?.softcap, targets: targets,
            scale: scale, rowLosses: rowLosses)
    }

    /// What is expected behind each of `tokens`, whole sequences in a row: [tokens, vocabulary].
    func logits(_ tokens: UnsafeBufferPointer<Int32>, angles: SequenceAngles, on tape: Tape) -> Variable {
        let logits = tape.linear(states(tokens, angles, tape), head)
        if let cap = description.output?.softcap { tape.kernels.softcap(logits.values, cap, Int64(logits.count)) }
        return logits
    }

    private func states(_ tokens: UnsafeBufferPointer<Int32>, _ angles: SequenceAngles, _ tape: Tape) -> Variable {
        var engine = TapeEngine(tape: tape, parameters: parameters, tokens: tokens, angles: angles)
        // x [tokens, hidden]
        var x = description.input.run(&engine)
        for layer in description.layers { x = layer.block.run(x, &engine) }
        return description.output?.normalize(x, &engine) ?? x
    }
}

/// The rotary angles of sequences of one length, for each kind that a model has.
struct SequenceAngles: Sendable {
    /// The tokens of a sequence.
    let length: Int
    private let angles: [RotaryAngles]

    init(_ description: ModelDescription, length: Int) {
        self.length = length
        angles = description.rotaries.map { RotaryAngles($0, length: length) }
    }

    subscript(_ rotary: RotaryID) -> RotaryAngles { angles[rotary.index] }
}
