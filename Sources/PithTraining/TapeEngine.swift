import PithModels
import PithTensor

/// The engine that learns: records each operation of the blocks on a tape.
struct TapeEngine: Engine {
    typealias Value = Variable

    let tape: Tape
    let weights: TapeWeights
    /// Whole sequences in a row.
    let tokens: [Int]
    /// The angles of one sequence, in the order of the description; its length counts what stands in front.
    let angles: SequenceAngles

    private func variable(_ id: ParameterID) -> Variable { weights.variable(id) }
    /// Rows of all sequences.
    private var rowCount: Int { tokens.count / (angles.length - weights.promptLength) * angles.length }

    mutating func embed(_ table: ParameterID, _ selector: RowSelector) -> Variable {
        let rows =
            switch selector {
            case .token: tokens
            case .position(let offset): (0..<rowCount).map { $0 % angles.length + offset }
            case .row(let row): Array(repeating: row, count: rowCount)
            }
        let vectors = tape.gather(weights[table], rows)
        guard case .token = selector, let prompt = weights.prompt else { return vectors }
        // The input scales all rows, and these are in the scale of the stream.
        let scaled = weights.inputScale == 1 ? prompt : tape.scale(prompt, by: 1 / weights.inputScale)
        return tape.prepend(scaled, to: vectors, length: angles.length - weights.promptLength)
    }

    mutating func linear(_ x: Variable, _ maps: [Linear]) -> [Variable] {
        maps.map { product(x, $0, addedTo: nil) }
    }

    mutating func linear(_ x: Variable, _ map: Linear, addedTo stream: Variable) -> Variable {
        product(x, map, addedTo: stream)
    }

    private func product(_ x: Variable, _ map: Linear, addedTo stream: Variable?) -> Variable {
        let y = tape.linear(x, weights[map.weight], bias: map.bias.map(variable), addedTo: stream)
        guard let change = weights.change(of: map.weight) else { return y }
        return tape.linear(tape.scale(tape.linear(x, change.a), by: change.scale), change.b, addedTo: y)
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

    mutating func rows(of vector: ParameterID) -> Variable { tape.rows(of: variable(vector), count: rowCount) }

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
