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
        let workspace = makeWorkspace(tokens.map(\.count), states)
        for layer in layers.indices {
            runLayer(layer, &hidden, &states, workspace, observer)
        }
        return normalizeForHead(hidden, observer)
    }

    /// Logits of some rows of hidden states, [range, vocabulary].
    public func logits(of hidden: Tensor, rows: Range<Int>, observer: (any ActivationObserver)? = nil) -> Tensor {
        let width = configuration.vocabularySize
        let values = [Float](unsafeUninitializedCapacity: rows.count * width) { buffer, count in
            hidden.values.withUnsafeBufferPointer { input in
                guard let input = input.baseAddress, let output = buffer.baseAddress, !rows.isEmpty else { return }
                let block = ActivationBlock(precision: precision)
                block.load(input + rows.lowerBound * hidden.columns, rows: rows.count, width: hidden.columns)
                block.multiply(by: LinearProduct(head, into: output), pool: pool)
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

/// The buffers of a forward pass, used again by all layers, and the rotation of each row.
public final class ForwardWorkspace {
    /// Rows of each sequence.
    let counts: [Int]
    /// What the linear operators read.
    let input: ActivationBlock
    let normalized: UnsafeMutablePointer<Float>  // [rows, hidden]
    let queries: UnsafeMutablePointer<Float>  // [rows, heads · headSize]
    let keys: UnsafeMutablePointer<Float>  // [rows, kvHeads · headSize]
    let values: UnsafeMutablePointer<Float>  // [rows, kvHeads · headSize]
    let attended: UnsafeMutablePointer<Float>  // [rows, heads · headSize]
    let gate: UnsafeMutablePointer<Float>  // [rows, intermediate]
    let up: UnsafeMutablePointer<Float>  // [rows, intermediate]
    let update: UnsafeMutablePointer<Float>  // [rows, hidden]
    let cosines: [Float]  // [rows, headSize / 2]
    let sines: [Float]  // [rows, headSize / 2]
    private let memory = ScratchMemory()

    init(_ c: ModelConfiguration, _ precision: ActivationPrecision, counts: [Int], angles: [Double]) {
        self.counts = counts
        input = ActivationBlock(precision: precision)
        let rows = counts.reduce(0, +)
        let (queryWidth, keyWidth) = (c.headCount * c.headSize, c.keyValueHeadCount * c.headSize)
        let widths = [
            c.hiddenSize, queryWidth, keyWidth, keyWidth, queryWidth, c.intermediateSize, c.intermediateSize,
            c.hiddenSize,
        ]
        // Each buffer begins on a boundary of 64 bytes.
        var offsets = [0]
        for width in widths { offsets.append(offsets.last! + (rows * width + 15) / 16 * 16) }
        let base = memory.reserve(offsets.last! * 4).assumingMemoryBound(to: Float.self)
        (normalized, queries, keys, values) = (
            base, base + offsets[1], base + offsets[2], base + offsets[3]
        )
        (attended, gate, up, update) = (
            base + offsets[4], base + offsets[5], base + offsets[6], base + offsets[7]
        )
        cosines = angles.map { Float(cosine($0)) }
        sines = angles.map { Float(sine($0)) }
    }
}

extension LanguageModel {
    /// Buffers for `counts[s]` rows that follow what `states[s]` holds.
    public func makeWorkspace(_ counts: [Int], _ states: [SequenceState]) -> ForwardWorkspace {
        let positions = zip(counts, states).flatMap { count, state in (0..<count).map { state.position + $0 } }
        let angles = positions.flatMap { position in inverseFrequencies.map { Double(Float(position) * $0) } }
        return ForwardWorkspace(configuration, precision, counts: counts, angles: angles)
    }

    /// Runs one layer over the residual stream `hidden`, [rows, hidden], in place.
    ///
    /// Calibration calls this layer by layer, so that compressed layers feed those behind them.
    public func runLayer(
        _ layer: Int, _ hidden: inout Tensor, _ states: inout [SequenceState], _ workspace: ForwardWorkspace,
        _ observer: (any ActivationObserver)? = nil
    ) {
        let rows = hidden.rows
        hidden.values.withUnsafeMutableBufferPointer { buffer in
            let stream = buffer.baseAddress!
            observer?.observe(.residual, layer: layer, stream, rows: rows, width: configuration.hiddenSize)
            attend(layer, stream, rows, &states, workspace, observer)
            feedForward(layer, stream, rows, workspace, observer)
        }
    }

    /// hidden += O · attention(rotate(Q x), rotate(K x), V x) with x = norm(hidden).
    private func attend(
        _ index: Int, _ stream: UnsafeMutablePointer<Float>, _ rows: Int, _ states: inout [SequenceState],
        _ w: ForwardWorkspace, _ observer: (any ActivationObserver)?
    ) {
        let (layer, c) = (layers[index], configuration)
        let keyWidth = c.keyValueHeadCount * c.headSize
        let queryWidth = c.headCount * c.headSize
        func see(_ site: ActivationSite, _ values: UnsafePointer<Float>, _ width: Int) {
            observer?.observe(site, layer: index, values, rows: rows, width: width)
        }
        normalize(stream, layer.attentionNorm, rows: rows, into: w.normalized)
        see(.attentionInput, w.normalized, c.hiddenSize)
        w.input.load(w.normalized, rows: rows, width: c.hiddenSize)
        w.input.multiply(
            by: LinearProduct(layer[.query], into: w.queries), LinearProduct(layer[.key], into: w.keys),
            LinearProduct(layer[.value], into: w.values), pool: pool)
        rotate(w.queries, heads: c.headCount, rows: rows, w.cosines, w.sines)
        rotate(w.keys, heads: c.keyValueHeadCount, rows: rows, w.cosines, w.sines)
        see(.queries, w.queries, queryWidth)
        see(.keys, w.keys, keyWidth)
        see(.values, w.values, keyWidth)
        var row = 0
        for (s, count) in w.counts.enumerated() {
            states[s].stores[index].append(
                keys: w.keys + row * keyWidth, values: w.values + row * keyWidth, rows: count)
            states[s].stores[index].attend(
                w.queries + row * queryWidth, queryHeads: c.headCount, rows: count,
                into: w.attended + row * queryWidth, pool: pool)
            row += count
        }
        see(.attentionOutput, w.attended, queryWidth)
        w.input.load(w.attended, rows: rows, width: queryWidth)
        w.input.multiply(by: LinearProduct(layer[.output], into: w.update), pool: pool)
        kernels.add_scaled(w.update, 1, Int64(rows * c.hiddenSize), stream)
    }

    /// hidden += Down · gate(Gate x, Up x) with x = norm(hidden).
    private func feedForward(
        _ index: Int, _ stream: UnsafeMutablePointer<Float>, _ rows: Int, _ w: ForwardWorkspace,
        _ observer: (any ActivationObserver)?
    ) {
        let (layer, c) = (layers[index], configuration)
        normalize(stream, layer.feedForwardNorm, rows: rows, into: w.normalized)
        observer?.observe(.feedForwardInput, layer: index, w.normalized, rows: rows, width: c.hiddenSize)
        w.input.load(w.normalized, rows: rows, width: c.hiddenSize)
        w.input.multiply(
            by: LinearProduct(layer[.gate], into: w.gate), LinearProduct(layer[.up], into: w.up), pool: pool)
        gate.apply(gate: w.gate, up: w.up, rows: rows, width: c.intermediateSize, into: w.gate, pool: pool)
        observer?.observe(.feedForwardHidden, layer: index, w.gate, rows: rows, width: c.intermediateSize)
        w.input.load(w.gate, rows: rows, width: c.intermediateSize)
        w.input.multiply(by: LinearProduct(layer[.down], into: w.update), pool: pool)
        kernels.add_scaled(w.update, 1, Int64(rows * c.hiddenSize), stream)
    }

    /// Rotates [rows, heads · headSize] in place, pairing element i with i + headSize / 2.
    private func rotate(
        _ vectors: UnsafeMutablePointer<Float>, heads: Int, rows: Int, _ cosines: [Float], _ sines: [Float]
    ) {
        let (kernels, half) = (kernels, configuration.headSize / 2)
        cosines.withUnsafeBufferPointer { cosines in
            sines.withUnsafeBufferPointer { sines in
                pool.forEachBlock(of: rows, grain: 64) { block in
                    for row in block {
                        kernels.rotate(
                            vectors + row * heads * 2 * half, Int64(heads), Int64(half),
                            cosines.baseAddress! + row * half, sines.baseAddress! + row * half)
                    }
                }
            }
        }
    }
}
