import CPithKernels
import PithCore
import PithFormats
import PithTensor

/// The forward pass. Rows of several sequences go through the linear operators together; a row's result does not
/// depend on its company.
extension LanguageModel {
    /// Reads `tokens[s]` into `states[s]` and returns the normalised hidden states of all rows, [rows, hidden],
    /// sequence after sequence.
    public func hiddenStates(
        _ tokens: [[Int]], states: inout [SequenceState], observer: (any ActivationObserver)? = nil
    ) throws(PithError) -> Tensor {
        try check(tokens, states)
        var hidden = embed(tokens.flatMap { $0 })
        var workspace = makeWorkspace(tokens.map(\.count), states)
        for layer in layers.indices {
            runLayer(layer, &hidden, &states, &workspace, observer)
        }
        return normalizeForHead(hidden, observer)
    }

    /// Logits of some rows of hidden states, [range, vocabulary].
    public func logits(of hidden: Tensor, rows: Range<Int>, observer: (any ActivationObserver)? = nil) -> Tensor {
        let width = configuration.vocabularySize
        let values = [Float](unsafeUninitializedCapacity: rows.count * width) { buffer, count in
            hidden.values.withUnsafeBufferPointer { input in
                guard let input = input.baseAddress, let output = buffer.baseAddress, !rows.isEmpty else { return }
                head.apply(
                    input + rows.lowerBound * hidden.columns, rows: rows.count, into: output, pool: pool)
                observer?.observe(.logits, layer: layers.count, output, rows: rows.count, width: width)
            }
            count = rows.count * width
        }
        return Tensor(shape: [rows.count, width], values: values)
    }

    /// Reads `tokens` of one sequence and returns the logits that follow the last of them, [vocabulary].
    public func nextLogits(_ tokens: [Int], state: inout SequenceState) throws(PithError) -> [Float] {
        var states = [state]
        state = SequenceState(stores: [])  // so that the stores are not copied
        defer { state = states[0] }
        let hidden = try hiddenStates([tokens], states: &states)
        return logits(of: hidden, rows: tokens.count - 1..<tokens.count).values
    }

    private func check(_ tokens: [[Int]], _ states: [SequenceState]) throws(PithError) {
        precondition(tokens.count == states.count, "a state for each sequence")
        for (sequence, state) in zip(tokens, states) {
            guard !sequence.isEmpty else { throw .usage("there are no tokens to read") }
            if let wrong = sequence.first(where: { $0 < 0 || $0 >= configuration.vocabularySize }) {
                throw .data("token \(wrong) is outside the vocabulary of \(configuration.vocabularySize)")
            }
            guard state.position + sequence.count <= configuration.contextLength else {
                throw .usage(
                    "\(state.position + sequence.count) tokens do not fit the context",
                    remedy: "this model reads at most \(configuration.contextLength)")
            }
        }
    }

    /// Token vectors, [tokens, hidden].
    public func embed(_ tokens: [Int]) -> Tensor {
        var hidden = Tensor(rows: tokens.count, columns: configuration.hiddenSize)
        hidden.values.withUnsafeMutableBufferPointer { buffer in
            for (row, token) in tokens.enumerated() {
                embedding.decodeRow(token, into: buffer.baseAddress! + row * configuration.hiddenSize)
            }
        }
        return hidden
    }

    /// The last normalisation, [rows, hidden].
    public func normalizeForHead(_ hidden: Tensor, _ observer: (any ActivationObserver)? = nil) -> Tensor {
        var result = Tensor(shape: hidden.shape)
        hidden.values.withUnsafeBufferPointer { source in
            result.values.withUnsafeMutableBufferPointer { target in
                normalize(source.baseAddress!, finalNorm, rows: hidden.rows, into: target.baseAddress!)
                observer?.observe(
                    .headInput, layer: layers.count, target.baseAddress!, rows: hidden.rows, width: hidden.columns)
            }
        }
        return result
    }

    private func normalize(
        _ source: UnsafePointer<Float>, _ weight: [Float], rows: Int, into target: UnsafeMutablePointer<Float>
    ) {
        let (kernels, width) = (kernels, configuration.hiddenSize)
        let epsilon = Float(configuration.normEpsilon)
        pool.forEachBlock(of: rows, grain: 32) { block in
            for row in block {
                kernels.rms_norm(
                    source + row * width, weight, epsilon, Int64(width), target + row * width)
            }
        }
    }
}

/// The buffers of a forward pass, reused by all layers, and the rotation of each row.
public struct ForwardWorkspace {
    /// Rows of each sequence.
    let counts: [Int]
    var normalized: [Float]  // [rows, hidden]
    var queries: [Float]  // [rows, heads · headSize]
    var keys: [Float]  // [rows, kvHeads · headSize]
    var values: [Float]  // [rows, kvHeads · headSize]
    var attended: [Float]  // [rows, heads · headSize]
    var gate: [Float]  // [rows, intermediate]
    var up: [Float]  // [rows, intermediate]
    var update: [Float]  // [rows, hidden]
    let cosines: [Float]  // [rows, headSize / 2]
    let sines: [Float]  // [rows, headSize / 2]
}

extension LanguageModel {
    /// Buffers for `counts[s]` rows that follow what `states[s]` holds.
    public func makeWorkspace(_ counts: [Int], _ states: [SequenceState]) -> ForwardWorkspace {
        let c = configuration
        let rows = counts.reduce(0, +)
        let positions = zip(counts, states).flatMap { count, state in (0..<count).map { state.position + $0 } }
        let angles = positions.flatMap { position in inverseFrequencies.map { Double(Float(position) * $0) } }
        func buffer(_ width: Int) -> [Float] { [Float](repeating: 0, count: rows * width) }
        return ForwardWorkspace(
            counts: counts, normalized: buffer(c.hiddenSize), queries: buffer(c.headCount * c.headSize),
            keys: buffer(c.keyValueHeadCount * c.headSize), values: buffer(c.keyValueHeadCount * c.headSize),
            attended: buffer(c.headCount * c.headSize), gate: buffer(c.intermediateSize),
            up: buffer(c.intermediateSize), update: buffer(c.hiddenSize), cosines: angles.map { Float(cosine($0)) },
            sines: angles.map { Float(sine($0)) })
    }

    /// Runs one layer over the residual stream `hidden`, [rows, hidden], in place.
    ///
    /// Calibration calls this layer by layer, so that compressed layers feed those behind them.
    public func runLayer(
        _ layer: Int, _ hidden: inout Tensor, _ states: inout [SequenceState], _ workspace: inout ForwardWorkspace,
        _ observer: (any ActivationObserver)? = nil
    ) {
        let rows = hidden.rows
        hidden.values.withUnsafeMutableBufferPointer { buffer in
            let stream = buffer.baseAddress!
            observer?.observe(.residual, layer: layer, stream, rows: rows, width: configuration.hiddenSize)
            attend(layer, stream, rows, &states, &workspace, observer)
            feedForward(layer, stream, rows, &workspace, observer)
        }
    }

    /// hidden += O · attention(rotate(Q x), rotate(K x), V x) with x = norm(hidden).
    private func attend(
        _ index: Int, _ stream: UnsafeMutablePointer<Float>, _ rows: Int, _ states: inout [SequenceState],
        _ w: inout ForwardWorkspace, _ observer: (any ActivationObserver)?
    ) {
        let (layer, c) = (layers[index], configuration)
        let keyWidth = c.keyValueHeadCount * c.headSize
        let queryWidth = c.headCount * c.headSize
        func see(_ site: ActivationSite, _ values: [Float], _ width: Int) {
            observer?.observe(site, layer: index, values, rows: rows, width: width)
        }
        normalize(stream, layer.attentionNorm, rows: rows, into: &w.normalized)
        see(.attentionInput, w.normalized, c.hiddenSize)
        layer[.query].apply(w.normalized, rows: rows, into: &w.queries, pool: pool)
        layer[.key].apply(w.normalized, rows: rows, into: &w.keys, pool: pool)
        layer[.value].apply(w.normalized, rows: rows, into: &w.values, pool: pool)
        rotate(&w.queries, heads: c.headCount, rows: rows, w.cosines, w.sines)
        rotate(&w.keys, heads: c.keyValueHeadCount, rows: rows, w.cosines, w.sines)
        see(.queries, w.queries, queryWidth)
        see(.keys, w.keys, keyWidth)
        see(.values, w.values, keyWidth)
        w.attended.withUnsafeMutableBufferPointer { attended in
            w.queries.withUnsafeBufferPointer { queries in
                w.keys.withUnsafeBufferPointer { keys in
                    w.values.withUnsafeBufferPointer { values in
                        var row = 0
                        for (s, count) in w.counts.enumerated() {
                            states[s].stores[index].append(
                                keys: keys.baseAddress! + row * keyWidth,
                                values: values.baseAddress! + row * keyWidth, rows: count)
                            states[s].stores[index].attend(
                                queries.baseAddress! + row * queryWidth, queryHeads: c.headCount, rows: count,
                                into: attended.baseAddress! + row * queryWidth, pool: pool)
                            row += count
                        }
                    }
                }
            }
        }
        see(.attentionOutput, w.attended, queryWidth)
        layer[.output].apply(w.attended, rows: rows, into: &w.update, pool: pool)
        kernels.add_scaled(w.update, 1, Int64(rows * c.hiddenSize), stream)
    }

    /// hidden += Down · gate(Gate x, Up x) with x = norm(hidden).
    private func feedForward(
        _ index: Int, _ stream: UnsafeMutablePointer<Float>, _ rows: Int, _ w: inout ForwardWorkspace,
        _ observer: (any ActivationObserver)?
    ) {
        let (layer, c) = (layers[index], configuration)
        normalize(stream, layer.feedForwardNorm, rows: rows, into: &w.normalized)
        observer?.observe(.feedForwardInput, layer: index, w.normalized, rows: rows, width: c.hiddenSize)
        layer[.gate].apply(w.normalized, rows: rows, into: &w.gate, pool: pool)
        layer[.up].apply(w.normalized, rows: rows, into: &w.up, pool: pool)
        w.gate.withUnsafeMutableBufferPointer { hidden in
            gate.apply(
                gate: hidden.baseAddress!, up: w.up, rows: rows, width: c.intermediateSize,
                into: hidden.baseAddress!, pool: pool)
        }
        observer?.observe(.feedForwardHidden, layer: index, w.gate, rows: rows, width: c.intermediateSize)
        layer[.down].apply(w.gate, rows: rows, into: &w.update, pool: pool)
        kernels.add_scaled(w.update, 1, Int64(rows * c.hiddenSize), stream)
    }

    /// Rotates [rows, heads · headSize] in place, pairing element i with i + headSize / 2.
    private func rotate(_ vectors: inout [Float], heads: Int, rows: Int, _ cosines: [Float], _ sines: [Float]) {
        let (kernels, half) = (kernels, configuration.headSize / 2)
        vectors.withUnsafeMutableBufferPointer { buffer in
            let base = buffer.baseAddress!
            cosines.withUnsafeBufferPointer { cosines in
                sines.withUnsafeBufferPointer { sines in
                    pool.forEachBlock(of: rows, grain: 64) { block in
                        for row in block {
                            kernels.rotate(
                                base + row * heads * 2 * half, Int64(heads), Int64(half),
                                cosines.baseAddress! + row * half, sines.baseAddress! + row * half)
                        }
                    }
                }
            }
        }
    }
}
