import PithCore
import PithModels
import PithTensor

/// How much of the text before a token the model sees.
struct ContextWindow: Sendable {
    /// Tokens that the model reads before it begins anew.
    let length: Int
    /// Tokens that it then reads once more, so that all but the first see at least so many.
    let overlap: Int

    /// A window of at most `length` tokens, of which the share `overlap` is read again.
    init(length: Int, overlap: Double, of model: LanguageModel) throws(PithError) {
        self.length = min(length, model.configuration.contextLength)
        self.overlap = Int(Double(self.length) * overlap)
        guard self.overlap + 2 <= self.length else {
            throw .usage("a window of \(self.length) tokens is too small", remedy: "models that code read at least 4")
        }
    }
}

/// One sequence of tokens that is predicted token by token, in a window that moves on as it is full.
///
/// When the window moves depends on the number of tokens alone; so it is the same whether they are read one by one,
/// as a decoder must, or many at once.
struct SlidingContext {
    private let window: ContextWindow
    private let beginToken: Int
    fileprivate(set) var state: SequenceState
    /// Tokens that the next prediction needs to have read.
    fileprivate var pending: [Int]
    // What was read since the window moved and may be read again.
    private var history: [Int] = []

    /// A sequence that begins.
    init(_ model: LanguageModel, window: ContextWindow, beginToken: Int) {
        (self.window, self.beginToken) = (window, beginToken)
        state = model.makeState()
        pending = [beginToken]
    }

    /// Moves the window if it is full; how many tokens can be predicted before it moves again.
    @discardableResult
    mutating func makeRoom(_ model: LanguageModel) -> Int {
        if state.position + pending.count > window.length {
            state = model.makeState()
            pending = [beginToken] + history.suffix(window.overlap)
            history.removeAll(keepingCapacity: true)
            history += pending.dropFirst()
        }
        return window.length - state.position - pending.count + 1
    }

    /// Takes in the token that was predicted last.
    mutating func append(_ token: Int) {
        pending.append(token)
        history.append(token)
    }

    /// Takes in tokens of which all but the last are read with the next prediction's.
    fileprivate mutating func take() -> [Int] {
        defer { pending.removeAll(keepingCapacity: true) }
        return pending
    }
}

/// Runs a model over sequences.
final class TokenPredictor {
    let model: LanguageModel
    private let workspace = ForwardWorkspace()

    init(_ model: LanguageModel) { self.model = model }

    /// The hidden states that predict each of `tokens` in its turn, [tokens, hidden], which must find room.
    func hiddenStates(predicting tokens: [Int], _ context: inout SlidingContext) throws(PithError) -> Tensor {
        let skipped = context.pending.count - 1
        for token in tokens.dropLast() { context.append(token) }
        var contexts = [context]
        context.state = SequenceState(caches: [])  // so that the caches are not copied
        let hidden = try read(&contexts)
        context = contexts[0]
        if let last = tokens.last { context.append(last) }
        return hidden.rows(skipped..<hidden.rows)
    }

    /// The logits that predict the next token of each sequence, [contexts, vocabulary].
    func nextLogits(_ contexts: inout [SlidingContext]) throws(PithError) -> Tensor {
        var (rows, row) = ([Int](), 0)
        for context in contexts {
            row += context.pending.count
            rows.append(row - 1)
        }
        return try model.logits(of: try read(&contexts), rows: rows, workspace: workspace)
    }

    /// Logits of some rows of hidden states, [rows, vocabulary].
    func logits(of hidden: Tensor, rows: Range<Int>) throws(PithError) -> Tensor {
        try model.logits(of: hidden, rows: rows, workspace: workspace)
    }

    /// Reads all pending tokens: hidden states, [tokens, hidden].
    private func read(_ contexts: inout [SlidingContext]) throws(PithError) -> Tensor {
        var (tokens, states) = ([[Int]](), [SequenceState]())
        for index in contexts.indices {
            tokens.append(contexts[index].take())
            states.append(contexts[index].state)
            contexts[index].state = SequenceState(caches: [])  // so that the caches are not copied
        }
        defer { for index in contexts.indices { contexts[index].state = states[index] } }
        try model.requireMemory(reading: tokens.map(\.count), behind: states.map(\.position), logits: contexts.count)
        return try model.hiddenStates(tokens, states: &states, workspace: workspace)
    }
}
