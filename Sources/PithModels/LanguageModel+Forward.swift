import CPithKernels
import PithCore
import PithFormats
import PithTensor

/// The forward pass. Rows of several sequences go through the linear operators together; a row's result does not
/// depend on its company.
extension LanguageModel {
    /// Reads `tokens[s]` into `states[s]` and returns the last hidden states of all rows, normalised as the output
    /// reads them if there is one, [rows, hidden], sequence after sequence. Values that are no finite numbers are an
    /// error, which calls their row by `name`.
    public func hiddenStates(
        _ tokens: [[Int]], states: inout [SequenceState], workspace: ForwardWorkspace = ForwardWorkspace(),
        observer: (any ActivationObserver)? = nil, name: RowName? = nil
    ) throws(PithError) -> Tensor {
        try check(tokens, states)
        // Recurrences do not find back by themselves.
        let recurrent = states.map(\.recurrent)
        let hidden = pass(tokens, &states, workspace, observer)
        guard workspace.isFinite else {
            throw originOfNonFinite(tokens, states, before: recurrent, name ?? Self.names(of: tokens, states))
        }
        return hidden
    }

    /// All layers and the last normalisation, if there is one.
    func pass(
        _ tokens: [[Int]], _ states: inout [SequenceState], _ workspace: ForwardWorkspace,
        _ observer: (any ActivationObserver)?
    ) -> Tensor {
        workspace.prepare(self, tokens.map(\.count), states)
        var hidden = embed(tokens.flatMap { $0 }, workspace)
        runLayers(description.layers.indices, &hidden, &states, workspace, observer)
        for index in states.indices { states[index].position += tokens[index].count }
        return normalizeForHead(&hidden, workspace, observer)
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
        guard let output = description.output else { throw .usage("an encoder has no logits") }
        let width = configuration.vocabularySize
        let values = [Float](unsafeUninitializedCapacity: rows.count * width) { buffer, count in
            hidden.values.withUnsafeBufferPointer { input in
                guard let input = input.baseAddress, let target = buffer.baseAddress, !rows.isEmpty else { return }
                let block = workspace.block(precision)
                block.load(input + rows.lowerBound * hidden.columns, rows: rows.count, width: hidden.columns)
                observer?.observe(
                    .input(of: [output.matrix]), layer: description.layers.count,
                    input + rows.lowerBound * hidden.columns, rows: rows.count, width: hidden.columns)
                block.multiply(by: [LinearProduct(self[matrix: output.matrix], into: target)], pool: pool)
            }
            count = rows.count * width
        }
        var logits = Tensor(shape: [rows.count, width], values: values)
        // Caps would hide what is not finite.
        try requireFinite(logits) { row in name?(rows.lowerBound + row) ?? "row \(rows.lowerBound + row)" }
        if let cap = output.softcap { self.cap(&logits, at: cap) }
        observer?.observe(
            .logits, layer: description.layers.count, logits.values, rows: rows.count, width: width)
        return logits
    }

    /// Logits l become cap · tanh(l / cap).
    private func cap(_ logits: inout Tensor, at cap: Float) {
        let (kernels, rows, width) = (kernels, logits.rows, logits.columns)
        pool.forEachBlock(of: rows, grain: 1, writing: &logits.values, width: width) { _, values in
            values.withUnsafeMutableBufferPointer { values in
                guard let base = values.baseAddress else { return }
                kernels.softcap(base, cap, Int64(values.count))
            }
        }
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
        state = SequenceState(caches: [])  // so that the caches are not copied
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
            guard state.rowCount + sequence.count <= configuration.contextLength else {
                throw .usage(
                    "\(state.rowCount + sequence.count) tokens do not fit the context",
                    remedy: "this model reads at most \(configuration.contextLength)")
            }
        }
    }

    /// What the first layer reads at the beginning of some sequences, [rows, width of the stream].
    public func embed(_ sequences: [[Int]]) -> Tensor {
        let workspace = ForwardWorkspace()
        workspace.prepare(self, sequences.map(\.count), sequences.map { _ in makeState() })
        return embed(sequences.flatMap { $0 }, workspace)
    }

    /// A state that has read the vectors in front of texts, [count, width].
    func stateBehind(_ prompt: Tensor, _ state: SequenceState) -> SequenceState {
        let workspace = ForwardWorkspace()
        var (states, count) = ([state], prompt.rows)
        workspace.prepare(self, [count], states)
        var hidden = Tensor(rows: count, columns: description.streamWidth)
        var engine = RunningEngine(self, workspace, vectors: prompt, states: [], observer: nil)
        hidden.values.withUnsafeMutableBufferPointer { buffer in
            if let base = buffer.baseAddress { engine.run(description.input, into: base) }
        }
        runLayers(description.layers.indices, &hidden, &states, workspace, nil)
        states[0].ahead = count
        return states[0]
    }

    private func embed(_ tokens: [Int], _ workspace: ForwardWorkspace) -> Tensor {
        var hidden = Tensor(rows: tokens.count, columns: description.streamWidth)
        var engine = RunningEngine(self, workspace, tokens: tokens, states: [], observer: nil)
        hidden.values.withUnsafeMutableBufferPointer { buffer in
            if let base = buffer.baseAddress { engine.run(description.input, into: base) }
        }
        return hidden
    }

    /// What the head multiplies where `hidden`, [rows, width of the stream], came out of the last layer, [rows, hidden];
    /// the rows are those of sequences of so many tokens each.
    package func headInputs(of hidden: Tensor, _ counts: [Int]) -> Tensor {
        let workspace = ForwardWorkspace()
        workspace.prepare(self, counts, counts.map { _ in makeState() })
        var hidden = hidden
        return normalizeForHead(&hidden, workspace, nil)
    }

    /// The last normalisation, [rows, hidden], if there is one.
    private func normalizeForHead(
        _ hidden: inout Tensor, _ workspace: ForwardWorkspace, _ observer: (any ActivationObserver)?
    ) -> Tensor {
        guard let output = description.output else {
            workspace.see(hidden.values, count: hidden.count)
            return hidden
        }
        var result = Tensor(rows: hidden.rows, columns: configuration.hiddenSize)
        var engine = RunningEngine(self, workspace, states: [], observer: observer)
        hidden.values.withUnsafeMutableBufferPointer { source in
            result.values.withUnsafeMutableBufferPointer { target in
                guard let source = source.baseAddress, let target = target.baseAddress else { return }
                engine.run(
                    output, layer: description.layers.count, source, width: description.streamWidth, into: target)
                workspace.see(target, count: workspace.rows * configuration.hiddenSize)
            }
        }
        return result
    }

    /// Runs one layer over the residual stream `hidden`, [rows, width of the stream], in place. The positions of
    /// `states` stay as they are, for the layers behind.
    ///
    /// `workspace` was prepared for these rows. Calibration calls this layer by layer, so that compressed layers feed
    /// those behind them.
    public func runLayer(
        _ layer: Int, _ hidden: inout Tensor, _ states: inout [SequenceState], _ workspace: ForwardWorkspace,
        _ observer: (any ActivationObserver)? = nil
    ) {
        runLayers(layer..<layer + 1, &hidden, &states, workspace, observer)
    }

    private func runLayers(
        _ layers: Range<Int>, _ hidden: inout Tensor, _ states: inout [SequenceState], _ workspace: ForwardWorkspace,
        _ observer: (any ActivationObserver)?
    ) {
        var engine = RunningEngine(self, workspace, states: states, observer: observer)
        states = []  // so that the caches are not copied
        hidden.values.withUnsafeMutableBufferPointer { buffer in
            guard let stream = buffer.baseAddress else { return }
            for layer in layers {
                engine.run(
                    description.layers[layer].block, layer: layer, stream, width: description.streamWidth)
            }
        }
        states = engine.states
    }
}
