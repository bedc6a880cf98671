import PithCore

/// The tokens of a tokenizer and their numbers: those of the model and those added to it.
struct TokenVocabulary: Sendable {
    private var numbers: [ExactString: UInt32] = [:]
    /// The tokens by number; nil where there is none.
    private var texts: [String?] = []
    /// How many tokens come from the model; these have the numbers of `numbers` before any was added.
    private(set) var modelTokens: [(token: UInt32, text: String)] = []

    /// One more than the highest number.
    var count: Int { texts.count }

    /// Reads `model.vocab` and the names and numbers of `added_tokens`.
    init(model: JSONReader, added: [AddedToken]) throws(PithError) {
        let entries = try model.object()
        let total = entries.count + added.count
        guard total <= Tokenizer.tokenLimit else { throw model.failure("has \(total) tokens, too many") }
        // Numbers may have gaps, but no file may make a table much larger than itself.
        let bound = min(2 * total + 4096, Tokenizer.tokenLimit)
        modelTokens.reserveCapacity(entries.count)
        numbers.reserveCapacity(total)
        for (text, value) in entries.members {
            guard case .integer(let number) = value, (0..<bound).contains(number) else {
                throw model.failure(
                    "the token '\(text.shortened)' has no proper number", remedy: "it should be in 0…\(bound - 1)")
            }
            try insert(text, number, bound: bound)
            modelTokens.append((UInt32(number), text))
        }
        for token in added { try insert(token.content, token.number, bound: bound) }
    }

    /// The tokens of a list, by place. Of equal texts the last has the number, as in llama.cpp.
    init(_ texts: [String]) throws(PithError) {
        guard texts.count <= Tokenizer.tokenLimit else { throw .data("has \(texts.count) tokens, too many") }
        numbers.reserveCapacity(texts.count)
        modelTokens.reserveCapacity(texts.count)
        for (number, text) in texts.enumerated() {
            numbers[ExactString(text)] = UInt32(number)
            modelTokens.append((UInt32(number), text))
        }
        self.texts = texts
    }

    private mutating func insert(_ text: String, _ number: Int, bound: Int) throws(PithError) {
        guard (0..<bound).contains(number) else {
            throw .data(
                "the token '\(text.shortened)' has the number \(number)", remedy: "it should be in 0…\(bound - 1)")
        }
        if number >= texts.count {
            texts.append(contentsOf: repeatElement(nil, count: number + 1 - texts.count))
        }
        if let taken = texts[number], ExactString(taken) != ExactString(text) {
            throw .data("the tokens '\(taken.shortened)' and '\(text.shortened)' both have the number \(number)")
        }
        if let other = numbers[ExactString(text)], other != UInt32(number) {
            throw .data("the token '\(text.shortened)' has the numbers \(other) and \(number)")
        }
        texts[number] = text
        numbers[ExactString(text)] = UInt32(number)
    }

    /// The number of a token.
    func token(_ text: String) -> UInt32? { numbers[ExactString(text)] }

    /// The token of a number.
    func text(_ number: Int) -> String? { texts.indices.contains(number) ? texts[number] : nil }
}
