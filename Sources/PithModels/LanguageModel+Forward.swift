import CPithKernels
import PithCore
import PithFormats
import PithTensor

/// The forward pass. Rows of several sequences go through the linear operators together; a row's result does not
/// depend on its company.
extension LanguageModel {
    /// Reads `tokens[s]` into `states[s]` and returns the normalised hidden states of all rows, [rows, hidden],
    /// sequence after sequence. Values that are no finite numbers are an error, which calls their row by `name`.
    public func hiddenStates(
        _ tokens: [[Int]], states: inout [SequenceState], workspace: ForwardWorkspace = ForwardWorkspace(),
        observer: (any ActivationObserver)? = nil, name: RowName? = nil
    ) throws(PithError) -> Tensor {
        try check(tokens, states)
        let hidden = pass(tokens, &states, workspace, observer)
        guard workspace.isFinite else {
            throw originOfNonFinite(tokens, states, name ?? Self.names(of: tokens, states))
        }
        return hidden
    }

    /// All layers and the last normalisation.
    func pass(
        _ tokens: [[Int]], _ states: inout [SequenceState], _ workspace: ForwardWorkspace,
        _ observer: (any ActivationObserver)?
    ) -> Tensor {
        var hidden = embed(tokens.flatMap { $0 })
        workspace.prepare(self, tokens.map(\.count), states)
        for layer in layers.indices {
            runLayer(layer, &hidden, &states, workspace, observer)
        }
        return normalizeForHead(hidden, workspace, observer)
    }

    /// `token 17`, or `sequence 2, token 17` of several, counted from 1; `states` have read the tokens.
    private static func names(of tokens: [[Int]], _ states: [SequenceState]) -> RowName {
        let places = zip(tokens, states).enumerated().flatMap { index, sequence in
            (0..<sequence.0.count).map { row in
                (tokens.count > 1 ? "sequence \(index + 1), " : "")
                    + "token \(sequence.1.position - sequence.0.count + row + 1)"
            }
        }
        return { places[$0] }
    }

    /// Logits of some rows of hidden states, [range, vocabulary]. Those that are no finite numbers are an error, which
    /// calls a row of `hidden` by `name`.
    public func logits(
        of hidden: Tensor, rows: Range<Int>, workspace: ForwardWorkspace = ForwardWorkspace(),
        observer: (any ActivationObserver)? = nil, name: RowName? = nil
    ) throws(PithError) -> Tensor {
        let width = configuration.vocabularySize
        let values = [Float](unsafeUninitializedCapacity: rows.count * width) { buffer, count in
            hidden.values.withUnsafeBufferPointer { input in
                guard let input = input.baseAddress, let output = buffer.baseAddress, !rows.isEmpty else { return }
                let block = workspace.block(precision)
                block.load(input + rows.lowerBound * hidden.columns, rows: rows.count, width: hidden.columns)
                block.multiply(by: LinearProduct(head, into: output), pool: pool)
                observer?.observe(.logits, layer: layers.count, output, rows: rows.count, width: width)
            }
            count = rows.count * width
        }
        let logits = Tensor(shape: [rows.count, width], values: values)
        try requireFinite(logits) { row in name?(rows.lowerBound + row) ?? "row \(rows.lowerBound + row)" }
        return logits
    }

    /// Logits of rows that need not follow each other, [rows, vocabulary].
    public func logits(
        of hidden: Tensor, rows: [Int], workspace: ForwardWorkspace, name: RowName? = nil
    ) throws(PithError) -> Tensor {
        let gathered = rows.flatMap { hidden.values[$0 * hidden.columns..<($0 + 1) * hidden.columns] }
        return try logits(
            of: Tensor(shape: [rows.count, hidden.columns], values: gathered), rows: 0..<rows.count,
            workspace: workspace, name: name.map { name in { name(rows[$0]) } })
    }

    /// Reads `tokens` of one sequence and returns the logits that follow the last of them, [vocabulary].
    public func nextLogits(
        _ tokens: [Int], state: inout SequenceState, workspace: ForwardWorkspace = ForwardWorkspace()
    ) throws(PithError) -> [Float] {
        var states = [state]
        state = SequenceState(stores: [])  // so that the stores are not copied
        defer { state = states[0] }
        let hidden = try hiddenStates([tokens], states: &states, workspace: workspace)
        let last = states[0].position
        return try logits(of: hidden, rows: tokens.count - 1..<tokens.count, workspace: workspace) { _ in
            "token \(last)"
        }.values
    }

    /// Refuses tokens that cannot be read.
    func check(_ tokens: [[Int]], _ states: [SequenceState]) throws(PithError) {
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
    public func normalizeForHead(
        _ hidden: Tensor, _ workspace: ForwardWorkspace, _ observer: (any ActivationObserver)? = nil
    ) -> Tensor {
        var result = Tensor(shape: hidden.shape)
        hidden.values.withUnsafeBufferPointer { source in
            result.values.withUnsafeMutableBufferPointer { target in
                normalize(source.baseAddress!, finalNorm, rows: hidden.rows, into: target.baseAddress!, workspace)
                observer?.observe(
                    .headInput, layer: layers.count, target.baseAddress!, rows: hidden.rows, width: hidden.columns)
            }
        }
        return result
    }

    private func normalize(
        _ source: UnsafePointer<Float>, _ weight: [Float], rows: Int, into target: UnsafeMutablePointer<Float>,
        _ workspace: ForwardWorkspace
    ) {
        let (kernels, width) = (kernels, configuration.hiddenSize)
        let epsilon = Float(configuration.normEpsilon)
        pool.forEachBlock(of: rows, grain: Self.rowsTogether) { block in
            for row in block {
                kernels.rms_norm(
                    source + row * width, weight, epsilon, Int64(width), target + row * width)
                workspace.see(target + row * width, count: width)
            }
        }
    }
}

extension LanguageModel {
    /// Rows that one thread takes at a time where each row is little work.
    private static let rowsTogether = 16
    /// Values that one thread looks at sooner than it would be called.
    private static let valuesTogether = 1 << 15

    /// Runs one layer over the residual stream `hidden`, [rows, hidden], in place.
    ///
    /// `workspace` was prepared for these rows. Calibration calls this layer by layer, so that compressed layers feed those behind them.
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
        let (keyWidth, queryWidth) = (c.keyValueHeadCount * c.headSize, c.headCount * c.headSize)
        func see(_ site: ActivationSite, _ values: UnsafePointer<Float>, _ width: Int) {
            observer?.observe(site, layer: index, values, rows: rows, width: width)
        }
        normalize(stream, layer.attentionNorm, rows: rows, into: w.normalized, w)
        see(.attentionInput, w.normalized, c.hiddenSize)
        w.input.load(w.normalized, rows: rows, width: c.hiddenSize)
        w.input.multiply(
            by: LinearProduct(layer[.query], into: w.queries), LinearProduct(layer[.key], into: w.keys),
            LinearProduct(layer[.value], into: w.values), pool: pool)
        rotate(w, rows: rows)
        see(.queries, w.queries, queryWidth)
        see(.keys, w.keys, keyWidth)
        see(.values, w.values, keyWidth)
        attendSequences(index, &states, w)
        see(.attentionOutput, w.attended, queryWidth)
        look(at: w.attended, rows: rows, width: queryWidth, w)
        w.input.load(w.attended, rows: rows, width: queryWidth)
        w.input.multiply(by: LinearProduct(layer[.output], into: w.update), pool: pool)
        add(w.update, rows: rows, to: stream)
    }

    /// hidden += Down · gate(Gate x, Up x) with x = norm(hidden).
    private func feedForward(
        _ index: Int, _ stream: UnsafeMutablePointer<Float>, _ rows: Int, _ w: ForwardWorkspace,
        _ observer: (any ActivationObserver)?
    ) {
        let (layer, c) = (layers[index], configuration)
        normalize(stream, layer.feedForwardNorm, rows: rows, into: w.normalized, w)
        observer?.observe(.feedForwardInput, layer: index, w.normalized, rows: rows, width: c.hiddenSize)
        w.input.load(w.normalized, rows: rows, width: c.hiddenSize)
        w.input.multiply(
            by: LinearProduct(layer[.gate], into: w.gate), LinearProduct(layer[.up], into: w.up), pool: pool)
        gate.apply(gate: w.gate, up: w.up, rows: rows, width: c.intermediateSize, into: w.gate, pool: pool)
        observer?.observe(.feedForwardHidden, layer: index, w.gate, rows: rows, width: c.intermediateSize)
        look(at: w.gate, rows: rows, width: c.intermediateSize, w)
        w.input.load(w.gate, rows: rows, width: c.intermediateSize)
        w.input.multiply(by: LinearProduct(layer[.down], into: w.update), pool: pool)
        add(w.update, rows: rows, to: stream)
    }

    /// Appends the keys and values of all sequences to their stores, and attends.
    private func attendSequences(_ layer: Int, _ states: inout [SequenceState], _ w: ForwardWorkspace) {
        let c = configuration
        let (keyWidth, queryWidth) = (c.keyValueHeadCount * c.headSize, c.headCount * c.headSize)
        let starts = w.counts.reduce(into: [0]) { $0.append($0.last! + $1) }
        states.withUnsafeMutableBufferPointer { states in
            func attend(_ s: Int) {
                let (row, count) = (starts[s], w.counts[s])
                states[s].stores[layer].append(
                    keys: w.keys + row * keyWidth, values: w.values + row * keyWidth, rows: count)
                states[s].stores[layer].attend(
                    w.queries + row * queryWidth, queryHeads: c.headCount, rows: count,
                    into: w.attended + row * queryWidth, pool: pool)
            }
            // A sequence with much to do gets all threads; those with little go side by side, a thread each.
            let work = states.indices.map { w.counts[$0] * (states[$0].stores[layer].count + w.counts[$0]) }
            let share = work.reduce(0, +) / (2 * pool.threadCount)
            for s in states.indices where work[s] > share { attend(s) }
            let small = states.indices.filter { work[$0] <= share }
            pool.forEachBlock(of: small.count, grain: 1) { block in
                for i in block { attend(small[i]) }
            }
        }
    }

    /// Shows [rows, width] values to the workspace.
    private func look(at values: UnsafePointer<Float>, rows: Int, width: Int, _ w: ForwardWorkspace) {
        pool.forEachBlock(of: rows, grain: max(1, Self.valuesTogether / max(1, width))) { block in
            w.see(values + block.lowerBound * width, count: block.count * width)
        }
    }

    /// target += update, [rows, hidden].
    private func add(_ update: UnsafePointer<Float>, rows: Int, to target: UnsafeMutablePointer<Float>) {
        let (kernels, width) = (kernels, configuration.hiddenSize)
        pool.forEachBlock(of: rows, grain: Self.rowsTogether) { block in
            let start = block.lowerBound * width
            kernels.add_scaled(update + start, 1, Int64(block.count * width), target + start)
        }
    }

    /// Rotates queries and keys in place, pairing element i of a head with i + headSize / 2.
    private func rotate(_ w: ForwardWorkspace, rows: Int) {
        let (kernels, c, half) = (kernels, configuration, configuration.headSize / 2)
        let (queryWidth, keyWidth) = (c.headCount * c.headSize, c.keyValueHeadCount * c.headSize)
        pool.forEachBlock(of: rows, grain: Self.rowsTogether) { block in
            for row in block {
                let (cosines, sines) = (w.cosines + row * half, w.sines + row * half)
                let (queries, keys) = (w.queries + row * queryWidth, w.keys + row * keyWidth)
                kernels.rotate(queries, Int64(c.headCount), Int64(half), cosines, sines)
                kernels.rotate(keys, Int64(c.keyValueHeadCount), Int64(half), cosines, sines)
                // A cache of 16 bits and the softmax would hide them.
                w.see(queries, count: queryWidth)
                w.see(keys, count: keyWidth)
                w.see(w.values + row * keyWidth, count: keyWidth)
            }
        }
    }
}
