import PithCore
import PithFormats

/// A conversation with a model: what was said, and the model's state behind it, so that each answer reads only what is
/// new.
///
/// ```swift
/// var conversation = try Conversation(model, source, template)
/// conversation.say("Good morning.")
/// let answer = try conversation.answer(options: options) { print($0, terminator: "") }
/// ```
public struct Conversation {
    /// What an answer brought.
    public struct Answer: Sendable {
        /// What the model wrote.
        public let text: String
        /// Tokens that were read for it: what is new since the last answer.
        public let readCount: Int
        /// Tokens of the whole conversation before the answer.
        public let promptCount: Int
        /// Tokens that were written.
        public let writtenCount: Int
        /// Why it ended; nil where the caller stopped it.
        public let end: BatchedGeneration.End?
        /// Messages that no longer fit into the context and were left out, the oldest first.
        public let forgottenCount: Int
        /// Seconds until the first token was known.
        public let readSeconds: Double
        /// Seconds for all further tokens.
        public let writeSeconds: Double
    }

    /// What was said, in order.
    public var messages: [JSONObject] = []
    /// The functions that the model may call, as JSON schemas.
    public var tools: [JSONValue]?
    /// What else the template asks for.
    public var variables = JSONObject()

    private let model: LanguageModel
    private let tokenizer: Tokenizer
    private let template: ChatTemplate
    private let specialTexts: [String]
    /// What the model has read, and the text that it stands for.
    private var read: (text: String, sequence: ReadSequence)?

    /// An empty conversation.
    public init(_ model: LanguageModel, _ source: ModelSource, _ template: ChatTemplate) {
        var model = model
        model.endTokens = source.chatEndTokens(template)
        (self.model, tokenizer, self.template) = (model, source.tokenizer, template)
        specialTexts = source.tokenizer.specialTexts
    }

    /// Adds a message.
    public mutating func say(_ text: String, as role: String = "user") {
        messages.append(ChatRequest.message(text, role: role))
    }

    /// Whether the last message is the model's own, so that an answer would go on with it.
    private var isInsideAnswer: Bool { messages.last?["role"] == .string("assistant") }

    /// The text that the model reads to answer.
    public func prompt() throws(PithError) -> String { try prompt(messages).text }

    private func prompt(_ messages: [JSONObject]) throws(PithError) -> ChatPrompt {
        var request = ChatRequest(messages, tools: tools)
        request.variables = variables
        request.continuesLastMessage = isInsideAnswer
        return try template.prompt(request, protecting: specialTexts)
    }

    /// Lets the model answer, or go on with its own message if that is the last one, and adds what it writes.
    ///
    /// Text is given to `emit` as it comes. `isStopped` is asked before each token; what was written until then stays.
    /// A conversation that is longer than the context loses its oldest messages, the system's excepted.
    public mutating func answer(
        options: SamplingOptions, maximumCount: Int = .max, isStopped: () -> Bool = { false },
        emit: (String) -> Void = { _ in }
    ) throws(PithError) -> Answer {
        let (text, tokens, forgotten) = try fittingPrompt(room: maximumCount)
        let known = takeKnown(tokens)
        let readBefore = known?.state.position ?? 0
        let clock = ContinuousClock()
        let start = clock.now
        var generated = try GeneratedTokens(
            model, after: Array(tokens[(known?.tokens.count ?? 0)...]), beginning: known, options: options,
            maximumCount: maximumCount, isStopped: isStopped)
        let readSeconds = (clock.now - start).seconds
        let (written, count) = try generated.writeText(tokenizer, isStopped: isStopped, emit: emit)
        if let sequence = generated.sequence { read = (text + written, sequence) }
        // Nothing was said if it was stopped while it read.
        if count > 0 || generated.end != nil { add(written) }
        return Answer(
            text: written, readCount: tokens.count - readBefore, promptCount: tokens.count, writtenCount: count,
            end: generated.end, forgottenCount: forgotten, readSeconds: readSeconds,
            writeSeconds: (clock.now - start).seconds - readSeconds
        )
    }

    private mutating func add(_ answer: String) {
        guard isInsideAnswer, case .string(let before)? = messages[messages.count - 1]["content"] else {
            return say(answer, as: "assistant")
        }
        messages[messages.count - 1]["content"] = .string(before + answer)
    }

    /// The text of the messages that fit the context, its tokens, and how many messages were left out.
    private func fittingPrompt(room: Int) throws(PithError) -> (text: String, tokens: [Int], forgotten: Int) {
        let limit = model.configuration.contextLength
        var (kept, forgotten) = (messages, 0)
        while true {
            let prompt = try prompt(kept)
            let tokens = tokens(of: prompt)
            // A quarter of the context is left for the answer, unless less is asked for.
            if tokens.count <= limit - min(max(1, room), limit / 4) { return (prompt.text, tokens, forgotten) }
            let first = kept.firstIndex { $0["role"] != .string("system") } ?? 0
            // A turn goes as a whole: up to the next message of the user.
            let next = kept[first...].dropFirst().firstIndex { $0["role"] == .string("user") }
            guard let next else {
                throw .data(
                    "the last message and what stands before it take \(tokens.count) tokens",
                    remedy: "the context has \(limit); a shorter message leaves room for an answer")
            }
            kept.removeSubrange(first..<next)
            forgotten += next - first
        }
    }

    /// The tokens of a text of this conversation. What was read keeps its tokens, also where the model wrote them in
    /// another way than the tokenizer would have.
    private func tokens(of prompt: ChatPrompt) -> [Int] {
        guard let read, let rest = prompt.dropping(prefix: read.text) else { return tokenizer.encode(prompt) }
        return read.sequence.tokens + tokenizer.encode(rest)
    }

    /// What was read and is the beginning of `tokens`, its state taken back to there; at least one token is left to
    /// read.
    private mutating func takeKnown(_ tokens: [Int]) -> ReadSequence? {
        guard var known = read?.sequence else { return nil }
        read = nil
        let common = zip(known.tokens, tokens).prefix { $0 == $1 }.count
        let kept = min(common, known.state.position, tokens.count - 1)
        // A recurrent state, or a window, may not be able to go back; then all is read anew.
        if kept < known.state.position {
            do { try known.state.truncate(to: kept) } catch { return nil }
        }
        known.tokens = Array(tokens[..<kept])
        return kept > 0 ? known : nil
    }
}
