import PithCore
import PithTensor

/// Texts that are written at the same time, each after its own prompt.
///
/// Sequences join and leave between steps. A step reads one token of each running sequence and a bounded number of
/// prompt tokens of new ones, in one forward pass; so a long prompt does not hold up the others. What a sequence says
/// does not depend on its company.
///
/// ```swift
/// var batch = BatchedGeneration(model)
/// let poem = try batch.add(prompt, options: options, maximumCount: 100)
/// while !batch.isEmpty {
///     for output in try batch.step() { print(output.sequence == poem, output.token, output.end) }
/// }
/// ```
public struct BatchedGeneration {
    /// Names a sequence of a batch; never used twice.
    public struct SequenceID: Hashable, Sendable { fileprivate let number: Int }

    /// Why a sequence ended.
    public enum End: Sendable {
        /// The model wrote an end-of-text token, which is not given out.
        case endOfText
        /// As many tokens as were asked for.
        case maximumCount
        /// No further token fits the context.
        case contextLength
    }

    /// What a step brought to one sequence.
    public struct Output: Sendable {
        /// The sequence.
        public let sequence: SequenceID
        /// The token that it goes on with; nil with `endOfText`.
        public let token: Int?
        /// Why it ended; nil while it runs. An ended sequence has left the batch.
        public let end: End?
    }

    private struct Running {
        let id: SequenceID
        var state: SequenceState
        var sampler: Sampler
        /// The prompt and what was written.
        var history: [Int]
        /// Tokens that may still be written.
        var remaining: Int

        var unread: Int { history.count - state.position }
    }

    private let model: LanguageModel
    private let promptChunk: Int
    private var sequences: [Running] = []
    private var added = 0
    /// Whether sequences that ended are kept, to be saved.
    public var keepsEnded = false
    /// Those that ended since `keepsEnded` was set.
    public private(set) var ended: [SequenceID: ReadSequence] = [:]
    private let workspace = ForwardWorkspace()

    /// An empty batch; a step reads at most `promptChunk` prompt tokens, of all new sequences together.
    public init(_ model: LanguageModel, promptChunk: Int = 256) {
        self.model = model
        self.promptChunk = max(1, promptChunk)
    }

    /// Sequences that have not ended.
    public var count: Int { sequences.count }
    /// Whether all sequences have ended.
    public var isEmpty: Bool { sequences.isEmpty }
    /// The bits of the keys and values of all sequences.
    public var storedBits: Int { sequences.reduce(0) { $0 + $1.state.storedBits } }

    /// Adds a sequence that is to write at most `maximumCount` tokens after `prompt`.
    ///
    /// `beginning` was read before, and the prompt goes on from it. A prompt that leaves nothing to read, is longer than
    /// the context, or has tokens outside the vocabulary is refused.
    public mutating func add(
        _ prompt: [Int], after beginning: ReadSequence? = nil, options: SamplingOptions, maximumCount: Int = .max
    ) throws(PithError) -> SequenceID {
        var state = beginning?.state ?? model.makeState()
        let history = (beginning?.tokens ?? []) + prompt
        state.promptEnd = history.count
        try model.check([Array(history[state.position...])], [state])
        defer { added += 1 }
        let id = SequenceID(number: added)
        if maximumCount > 0 {
            sequences.append(
                Running(
                    id: id, state: state, sampler: Sampler(options), history: history, remaining: maximumCount))
        }
        return id
    }

    /// Takes a sequence out, as when nobody waits for it any more; does nothing if it has ended.
    public mutating func remove(_ sequence: SequenceID) { sequences.removeAll { $0.id == sequence } }

    /// Takes all sequences out; they count as ended.
    mutating func removeAll() {
        keep(Set(sequences.map(\.id)))
        sequences = []
    }

    /// Keeps sequences that end now, if that was asked for.
    private mutating func keep(_ ending: Set<SequenceID>) {
        guard keepsEnded else { return }
        for sequence in sequences where ending.contains(sequence.id) {
            ended[sequence.id] = ReadSequence(tokens: sequence.history, state: sequence.state)
        }
    }

    /// Reads on in all sequences, and gives the next token of each that has read its prompt.
    public mutating func step() throws(PithError) -> [Output] {
        let shares = shares()
        let reading = sequences.indices.filter { shares[$0] > 0 }
        guard !reading.isEmpty else { return [] }
        let tokens = reading.map { Array(sequences[$0].history[sequences[$0].state.position...].prefix(shares[$0])) }
        try model.requireMemory(
            reading: tokens.map(\.count), behind: reading.map { sequences[$0].state.position }, logits: reading.count)
        let names = names(of: tokens, reading)
        let hidden = try read(tokens, of: reading) { names[$0] }
        var (rows, complete, row) = ([Int](), [Int](), 0)
        for (index, read) in zip(reading, tokens) {
            row += read.count
            guard sequences[index].unread == 0 else { continue }
            rows.append(row - 1)
            complete.append(index)
        }
        let logits = try model.logits(of: hidden, rows: rows, workspace: workspace) { names[$0] }
        let chosen = choose(complete, logits)
        let outputs = zip(complete, chosen).map { write($1, to: $0) }
        let ended = Set(outputs.filter { $0.end != nil }.map(\.sequence))
        keep(ended)
        if !ended.isEmpty { sequences.removeAll { ended.contains($0.id) } }
        return outputs
    }

    /// Tokens that each sequence reads in the next step: those that write one, those with a prompt in turn.
    private func shares() -> [Int] {
        var budget = promptChunk
        return sequences.map { sequence in
            if sequence.unread == 1 { return 1 }
            let share = min(sequence.unread, budget)
            budget -= share
            return share
        }
    }

    /// What errors call the tokens that are read: the place in the text, and of several texts which one.
    private func names(of tokens: [[Int]], _ reading: [Int]) -> [String] {
        zip(tokens, reading).flatMap { tokens, index in
            let (text, position) = (sequences[index].id.number, sequences[index].state.position)
            return tokens.indices.map { (added > 1 ? "text \(text + 1), " : "") + "token \(position + $0 + 1)" }
        }
    }

    /// The hidden states of all rows, [rows, hidden].
    private mutating func read(
        _ tokens: [[Int]], of reading: [Int], name: RowName
    ) throws(PithError) -> Tensor {
        var states: [SequenceState] = []
        for index in reading {
            states.append(sequences[index].state)
            sequences[index].state = SequenceState(caches: [])  // so that the caches are not copied
        }
        defer { for (index, state) in zip(reading, states) { sequences[index].state = state } }
        return try withoutActuallyEscaping(name) { (name) throws(PithError) in
            try model.hiddenStates(tokens, states: &states, workspace: workspace, name: name)
        }
    }

    /// A token for each of some sequences, given their logits, [sequences, vocabulary].
    private mutating func choose(_ complete: [Int], _ logits: Tensor) -> [Int] {
        let pool = model.pool
        return sequences.withUnsafeMutableBufferPointer { sequences in
            // Each of them stands in `complete` once.
            pool.map(complete.count, sharing: sequences) { i, sequences in
                let row = complete.count == 1 ? logits.values : logits.rows(i..<i + 1).values
                return sequences[complete[i]].sampler.next(row, after: sequences[complete[i]].history)
            }
        }
    }

    /// Takes a token that was chosen into its sequence.
    private mutating func write(_ token: Int, to index: Int) -> Output {
        let id = sequences[index].id
        if model.endTokens.contains(token) { return Output(sequence: id, token: nil, end: .endOfText) }
        sequences[index].history.append(token)
        sequences[index].remaining -= 1
        let isLast = sequences[index].remaining == 0
        let isFull = sequences[index].state.position == model.configuration.contextLength
        return Output(sequence: id, token: token, end: isLast ? .maximumCount : isFull ? .contextLength : nil)
    }
}
