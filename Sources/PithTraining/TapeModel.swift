import PithCore
import PithModels
import PithTensor

/// The parameters of a model as a tape sees them, over a block of what learns and, where it learns, of gradients.
struct TapeWeights {
    private let parameters: [TapeWeight]
    private let changes: [ParameterID: (a: Variable, b: Variable, scale: Float)]
    /// Vectors in front of each sequence, [count, width]; nil for none.
    let prompt: Variable?
    /// What the input multiplies its rows by.
    let inputScale: Float

    init(_ model: LearnedModel, gradients: FloatBuffer?) {
        let variables = model.parameterSet.entries.map { entry in
            Variable(
                rows: entry.rows, columns: entry.columns, values: model.weights.pointer + entry.offset,
                gradient: gradients.map { $0.pointer + entry.offset })
        }
        parameters = model.places.enumerated().map { index, place in
            place.map { .values(variables[$0]) } ?? model.frozen(index)
        }
        changes = (model.adaptation?.lowRank ?? [:]).mapValues { (variables[$0.a], variables[$0.b], $0.scale) }
        prompt = (model.adaptation?.prompt).map { variables[$0] }
        inputScale = model.description.input.scale
    }

    /// A matrix, a table or a vector.
    subscript(_ id: ParameterID) -> TapeWeight { parameters[id.index] }

    /// What enters element by element, and so lies there as floats.
    func variable(_ id: ParameterID) -> Variable {
        guard case .values(let variable) = parameters[id.index] else {
            preconditionFailure("a matrix where a vector was expected")
        }
        return variable
    }

    /// What adapters add to a matrix.
    func change(of id: ParameterID) -> (a: Variable, b: Variable, scale: Float)? { changes[id] }

    /// Rows in front of each sequence.
    var promptLength: Int { prompt?.rows ?? 0 }
}

/// A model over a block of what learns and, where it learns, of gradients.
struct TapeModel {
    private let description: ModelDescription
    private let weights: TapeWeights
    private let recomputes: Bool

    /// `recomputes` says that layers run once more on the way back, so that what they make need not be kept; nor is it
    /// where there is no way back.
    init(_ model: LearnedModel, gradients: FloatBuffer?, recomputes: Bool = false) {
        description = model.description
        weights = TapeWeights(model, gradients: gradients)
        self.recomputes = recomputes
    }

    /// From the last hidden states to logits. An encoder has no such matrix: its token vectors stand for it, as in its
    /// pre-training.
    private var head: TapeWeight { weights[description.output?.matrix ?? description.input.table] }

    /// The summed loss, in nats, of predicting the targets of a group; that of each token goes to `rowLosses`.
    func loss(
        _ group: SequenceGroup, angles: SequenceAngles, scale: Float,
        rowLosses: UnsafeMutablePointer<Double>? = nil, on tape: Tape
    ) -> Double {
        let states = ownRows(states(group.inputs, angles, tape), length: angles.length, tape)
        return group.targets.withUnsafeBufferPointer { targets in
            tape.crossEntropy(
                states, head: head, softcap: description.output?.softcap, targets: targets, scale: scale,
                rowLosses: rowLosses)
        }
    }

    /// What is expected behind each of `tokens`, whole sequences in a row: [tokens, vocabulary].
    func logits(_ tokens: [Int32], angles: SequenceAngles, on tape: Tape) -> Variable {
        let logits = tape.linear(ownRows(states(tokens, angles, tape), length: angles.length, tape), head)
        if let cap = description.output?.softcap { tape.kernels.softcap(logits.values, cap, Int64(logits.count)) }
        return logits
    }

    /// The rows of tokens, without those in front.
    private func ownRows(_ x: Variable, length: Int, _ tape: Tape) -> Variable {
        let ahead = weights.promptLength
        return ahead == 0 ? x : tape.gather(x, (0..<x.rows).filter { $0 % length >= ahead })
    }

    private func states(_ tokens: [Int32], _ angles: SequenceAngles, _ tape: Tape) -> Variable {
        let tokens = tokens.map { Int($0) }
        var engine = TapeEngine(tape: tape, weights: weights, tokens: tokens, angles: angles)
        // x [rows, width of the stream]
        var x = description.input.run(&engine)
        for layer in description.layers {
            guard recomputes || !tape.isRecording else {
                x = layer.block.run(x, &engine)
                continue
            }
            x = tape.recomputed(x) { [weights] x, tape in
                var engine = TapeEngine(tape: tape, weights: weights, tokens: tokens, angles: angles)
                return layer.block.run(x, &engine)
            }
        }
        return description.output?.normalize(x, &engine) ?? x
    }
}

/// Sequences of one length that go through a model together.
struct SequenceGroup {
    /// Tokens of a sequence.
    let length: Int
    /// The tokens that are read, sequence after sequence.
    let inputs: [Int32]
    /// Those that follow them.
    let targets: [Int32]
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
