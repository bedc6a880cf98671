import PithCore
import PithFormats
import PithModels

/// The length of the arithmetic code that a language model gives a text: Σ −log2 p(token | tokens before).
///
/// K(x | y) is the length of x read behind y and a line break. Coding itself adds less than a byte.
public struct ModelCodeLength: CodeLength {
    private let bits: TokenBits
    private let tokenizer: Tokenizer
    /// The model's name.
    public let identity: String

    /// Code lengths under `model`, called `name` in caches.
    public init(_ model: LanguageModel, tokenizer: Tokenizer, name: String) {
        bits = TokenBits(model, beginning: tokenizer.beginning)
        self.tokenizer = tokenizer
        identity = "model \(name)"
    }

    /// K(x) of each text.
    public func lengths(of texts: [String]) throws(PithError) -> [Double] {
        try lengths(of: texts, after: bits.beginning)
    }

    /// K(x | known) of each text.
    public func lengths(of texts: [String], given known: String) throws(PithError) -> [Double] {
        try lengths(of: texts, after: tokenizer.encodeFromBeginning(known + "\n"))
    }

    private func lengths(of texts: [String], after context: [Int]) throws(PithError) -> [Double] {
        // A long text before may crowd out what follows it, so at most half of the context is given to it.
        let room = max(1, bits.model.configuration.contextLength / 2)
        let kept =
            context.count <= room
            ? context : bits.beginning + context.suffix(max(0, room - bits.beginning.count))
        return try bits.bits(of: texts.map(tokens), after: kept).map { $0.reduce(0, +) }
    }

    private func tokens(_ text: String) -> [Int] { tokenizer.encode(text, .plain) }
}

/// One minus the cosine of the angle between the mean hidden states of two texts.
public struct EmbeddingDistance: TextDistance {
    private let model: LanguageModel
    private let tokenizer: Tokenizer

    /// Distances between what `model` makes of texts.
    public init(_ model: LanguageModel, tokenizer: Tokenizer) {
        self.model = model
        self.tokenizer = tokenizer
    }

    /// Distances of all pairs, in 0…2.
    public func distances(
        of queries: [String], from references: [String], quiet: Bool = true
    ) throws(PithError) -> [[Double]] {
        let left = try embeddings(of: queries)
        let right = try embeddings(of: references)
        return left.map { a in right.map { b in 1 - zip(a, b).reduce(0) { $0 + $1.0 * $1.1 } } }
    }

    /// The mean of the last normalised hidden states of each text, of length 1.
    private func embeddings(of texts: [String]) throws(PithError) -> [[Double]] {
        var result: [[Double]] = []
        for text in texts {
            let tokens = tokenizer.encodeFromBeginning(text)
            guard !text.isEmpty, !tokens.isEmpty else { throw .data("an empty text has no place among the others") }
            let read = Array(tokens.prefix(model.configuration.contextLength))
            try model.requireMemory(reading: [read.count])
            var states = [model.makeState()]
            let hidden = try model.hiddenStates([read], states: &states)
            var mean = [Double](repeating: 0, count: hidden.columns)
            for row in 0..<hidden.rows { for i in mean.indices { mean[i] += Double(hidden[row, i]) } }
            let norm = mean.reduce(0) { $0 + $1 * $1 }.squareRoot()
            result.append(mean.map { $0 / max(norm, .leastNormalMagnitude) })
        }
        return result
    }
}
