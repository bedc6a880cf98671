import PithCore
import PithFormats
import PithModels

/// A text as a model reads it: windows of tokens, each with the bytes that it stands for.
public struct EvaluationText: Sendable {
    /// One stretch that is read from an empty context.
    struct Window: Sendable {
        /// What the model reads.
        var tokens: [Int]
        /// The first token that is predicted: 1, behind the beginning-of-text token or the first one of the text.
        let firstPredicted = 1
        /// Bytes of text behind each of `tokens`.
        var byteCounts: [Int]
    }

    /// The name, for reports.
    public let name: String
    /// The windows, in the order of the text.
    let windows: [Window]

    /// The number of predicted tokens.
    public var tokenCount: Int { windows.reduce(0) { $0 + $1.tokens.count - $1.firstPredicted } }
    /// The bytes of the predicted tokens.
    public var byteCount: Int { windows.reduce(0) { $0 + $1.byteCounts[$1.firstPredicted...].reduce(0, +) } }

    /// Cuts `text` into windows of at most `windowLength` tokens, the beginning-of-text token included.
    public init(
        _ text: String, name: String, tokenizer: Tokenizer, configuration: ModelConfiguration, windowLength: Int
    ) throws(PithError) {
        try self.init(
            documents: [text], name: name, tokenizer: tokenizer, configuration: configuration,
            windowLength: windowLength)
    }

    /// The same for several documents, each of which begins a window.
    public init(
        documents: [String], name: String, tokenizer: Tokenizer, configuration: ModelConfiguration, windowLength: Int
    ) throws(PithError) {
        self.name = name
        let beginning = configuration.bosToken.map { [$0] } ?? []
        let length = min(windowLength, configuration.contextLength)
        guard length >= 2 else { throw .usage("a window of \(length) tokens predicts nothing") }
        let step = length - beginning.count
        windows = documents.flatMap { document in
            let tokens = tokenizer.encode(document, addingSpecialTokens: false)
            let byteCounts = Self.byteCounts(tokens, tokenizer)
            return stride(from: 0, to: tokens.count, by: step).compactMap { start in
                let range = start..<min(start + step, tokens.count)
                let window = Window(
                    tokens: beginning + tokens[range], byteCounts: beginning.map { _ in 0 } + byteCounts[range])
                return window.tokens.count >= 2 ? window : nil
            }
        }
        guard !windows.isEmpty else {
            throw .data("the text is too short to measure anything on", at: name, remedy: "give some pages of text")
        }
    }

    /// The bytes that each token adds to the text; special tokens, unknown characters among them, add none.
    private static func byteCounts(_ tokens: [Int], _ tokenizer: Tokenizer) -> [Int] {
        var decoder = StreamingDecoder(tokenizer, skippingSpecialTokens: true)
        var counts = tokens.map { decoder.push($0).utf8.count }
        if !counts.isEmpty { counts[counts.count - 1] += decoder.finish().utf8.count }
        return counts
    }
}
