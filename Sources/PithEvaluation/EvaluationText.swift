import PithCore
import PithFormats
import PithModels

/// A text as a model reads it: windows of tokens, each with the bytes that it stands for.
public struct EvaluationText: Sendable {
    /// One stretch that is read from an empty context.
    struct Window: Sendable {
        /// What the model reads.
        var tokens: [Int]
        /// The first token that is predicted: behind what stands before every text, at least behind the first one.
        var firstPredicted: Int
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

    /// Cuts `text` into windows of at most `windowLength` tokens, what stands before every text included.
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
        let beginning = tokenizer.beginning.count
        let length = min(windowLength, configuration.contextLength)
        guard length > max(1, beginning) else {
            throw .usage(
                "a window of \(length) tokens predicts nothing", remedy: "\(max(1, beginning) + 1) are the fewest")
        }
        windows = documents.flatMap { document in
            let (tokens, byteCounts) = tokenizer.encodeCountingBytes(document)
            return stride(from: 0, to: tokens.count, by: length - beginning).compactMap { start in
                let range = start..<min(start + length - beginning, tokens.count)
                let read = tokenizer.withBeginning(tokens[range])
                let window = Window(
                    tokens: read, firstPredicted: max(1, beginning),
                    byteCounts: [Int](repeating: 0, count: read.count - range.count) + byteCounts[range])
                return read.count > window.firstPredicted ? window : nil
            }
        }
        guard !windows.isEmpty else {
            throw .data("the text is too short to measure anything on", at: name, remedy: "give some pages of text")
        }
    }

    /// What errors call each row of some windows, of which the first has the number `first`, counted from 0.
    static func names(of windows: [Window], first: Int) -> [String] {
        windows.enumerated().flatMap { index, window in
            window.tokens.indices.map { "window \(first + index + 1), token \($0 + 1)" }
        }
    }
}
