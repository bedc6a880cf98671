import PithFormats
import PithTensor

/// A decoder of the Llama family written with the operations of a tape.
struct Decoder {
    private struct Layer {
        let attentionNorm: Variable
        let query: Variable
        let key: Variable
        let value: Variable
        let output: Variable
        let feedForwardNorm: Variable
        let gate: Variable
        let up: Variable
        let down: Variable
    }

    let shape: ModelConfiguration
    private let embedding: Variable
    private let layers: [Layer]
    private let norm: Variable
    private let head: Variable

    /// A decoder over blocks of weights and, where it learns, of gradients.
    init(_ shape: ModelConfiguration, weights: FloatBuffer, gradients: FloatBuffer?) {
        self.shape = shape
        let layout = ParameterLayout(shape)
        var parameters = layout.entries.map { entry in
            Variable(
                rows: entry.rows, columns: entry.columns, values: weights.pointer + entry.offset,
                gradient: gradients.map { $0.pointer + entry.offset })
        }[...]
        // In the order of the layout.
        embedding = parameters.removeFirst()
        layers = (0..<shape.layerCount).map { _ in
            Layer(
                attentionNorm: parameters.removeFirst(), query: parameters.removeFirst(),
                key: parameters.removeFirst(), value: parameters.removeFirst(), output: parameters.removeFirst(),
                feedForwardNorm: parameters.removeFirst(), gate: parameters.removeFirst(),
                up: parameters.removeFirst(), down: parameters.removeFirst())
        }
        norm = parameters.removeFirst()
        head = shape.tiesEmbeddings ? embedding : parameters.removeFirst()
    }

    /// The summed loss, in nats, of predicting `targets` from `tokens`, both whole sequences of `length` in a row;
    /// that of each token goes to `rowLosses`.
    func loss(
        _ tokens: UnsafeBufferPointer<Int32>, targets: UnsafeBufferPointer<Int32>, angles: RotaryAngles,
        scale: Float, rowLosses: UnsafeMutablePointer<Double>? = nil, on tape: Tape
    ) -> Double {
        tape.crossEntropy(
            states(tokens, angles, tape), head: head, targets: targets, scale: scale, rowLosses: rowLosses)
    }

    /// What is expected behind each of `tokens`, whole sequences in a row: [tokens, vocabulary].
    func logits(_ tokens: UnsafeBufferPointer<Int32>, angles: RotaryAngles, on tape: Tape) -> Variable {
        tape.linear(states(tokens, angles, tape), head)
    }

    private func states(_ tokens: UnsafeBufferPointer<Int32>, _ angles: RotaryAngles, _ tape: Tape) -> Variable {
        // x [tokens, hidden]
        var x = tape.embed(tokens, embedding)
        for layer in layers {
            x = attend(x, layer, angles, tape)
            x = feedForward(x, layer, tape)
        }
        return tape.rmsNorm(x, norm, epsilon: Float(shape.normEpsilon))
    }

    private func attend(_ x: Variable, _ layer: Layer, _ angles: RotaryAngles, _ tape: Tape) -> Variable {
        let input = tape.rmsNorm(x, layer.attentionNorm, epsilon: Float(shape.normEpsilon))
        let q = tape.linear(input, layer.query)  // [tokens, querySize]
        let k = tape.linear(input, layer.key)  // [tokens, keyValueSize]
        let v = tape.linear(input, layer.value)
        tape.rotate(q, headSize: shape.headSize, angles)
        tape.rotate(k, headSize: shape.headSize, angles)
        let mixed = tape.attention(
            q, k, v,
            AttentionShape(
                length: angles.length, heads: shape.headCount, keyValueHeads: shape.keyValueHeadCount,
                headSize: shape.headSize))
        return tape.linear(mixed, layer.output, addedTo: x)
    }

    private func feedForward(_ x: Variable, _ layer: Layer, _ tape: Tape) -> Variable {
        let input = tape.rmsNorm(x, layer.feedForwardNorm, epsilon: Float(shape.normEpsilon))
        let hidden = tape.swiglu(gate: tape.linear(input, layer.gate), up: tape.linear(input, layer.up))
        return tape.linear(hidden, layer.down, addedTo: x)
    }
}
