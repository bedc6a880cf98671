import PithCore

/// Tokens that a model writes after a prompt, one at a time, as they are asked for.
///
/// The sequence ends with an end-of-text token (which is not part of it), with the context, or when the caller stops.
public struct GeneratedTokens: Sequence, IteratorProtocol {
    private let model: LanguageModel
    private var state: SequenceState
    private var sampler: Sampler
    private var history: [Int]
    private var logits: [Float]
    private var remaining: Int

    /// Reads the prompt, so that the first token can follow; writes at most `maximumCount` tokens.
    public init(
        _ model: LanguageModel, after prompt: [Int], options: SamplingOptions, maximumCount: Int = .max
    ) throws(PithError) {
        self.model = model
        let expected = prompt.count + Swift.min(maximumCount, 4096)
        state = model.makeState(capacity: Swift.min(model.configuration.contextLength, expected))
        sampler = Sampler(options)
        history = prompt
        remaining = maximumCount
        logits = try model.nextLogits(prompt, state: &state)
    }

    /// The next token, or nil at the end.
    public mutating func next() -> Int? {
        guard remaining > 0 else { return nil }
        // The last token was not read yet: reading it only now spares the work behind the last one asked for.
        if state.position < history.count {
            guard state.position < model.configuration.contextLength,
                let logits = try? model.nextLogits(Array(history[state.position...]), state: &state)
            else { return nil }
            self.logits = logits
        }
        let token = sampler.next(logits, after: history)
        if model.configuration.eosTokens.contains(token) {
            remaining = 0
            return nil
        }
        remaining -= 1
        history.append(token)
        return token
    }
}
