import PithCore
import PithFormats

/// Tokens that a model writes after a prompt, one at a time, as they are asked for.
///
/// The text ends with an end-of-text token (which is not part of it), with the context, or when the caller stops.
///
/// ```swift
/// var tokens = try GeneratedTokens(model, after: prompt, options: options)
/// while let token = try tokens.next() { print(token) }
/// ```
public struct GeneratedTokens {
    // A batch of one.
    private var batch: BatchedGeneration
    private var first: Int?
    /// The most that keys and values took.
    public private(set) var cacheSize = ByteCount(0)
    /// Why the text ended; nil before, or where the caller stopped it.
    public private(set) var end: BatchedGeneration.End?

    /// Reads the prompt, which may go on from what was read before, so that the first token can follow; writes at most
    /// `maximumCount` tokens. `isStopped` is asked before each part of the prompt.
    public init(
        _ model: LanguageModel, after prompt: [Int], beginning: ReadSequence? = nil, options: SamplingOptions,
        maximumCount: Int = .max, isStopped: () -> Bool = { false }
    ) throws(PithError) {
        batch = BatchedGeneration(model, promptChunk: 512)
        batch.keepsEnded = true
        _ = try batch.add(prompt, after: beginning, options: options, maximumCount: maximumCount)
        while first == nil, !batch.isEmpty, !isStopped() { first = try step() }
    }

    private mutating func step() throws(PithError) -> Int? {
        let output = try batch.step().first
        if let output { end = output.end }
        cacheSize = max(cacheSize, ByteCount((batch.storedBits + 7) / 8))
        return output?.token
    }

    /// All that was read and written, once the text has ended.
    public var sequence: ReadSequence? { batch.ended.first?.value }

    /// The next token, or nil at the end of the text.
    public mutating func next() throws(PithError) -> Int? {
        if let token = first {
            first = nil
            return token
        }
        return try step()
    }

    /// Writes the text to its end, or until `isStopped`, which is asked before each token is made: `emit` gets it as it
    /// comes. Returns all of it, without special tokens, and the number of tokens.
    public mutating func writeText(
        _ tokenizer: Tokenizer, isStopped: () -> Bool = { false }, emit: (String) -> Void
    ) throws(PithError) -> (text: String, count: Int) {
        var decoder = StreamingDecoder(tokenizer, skippingSpecialTokens: true)
        var (text, count) = ("", 0)
        func take(_ piece: String) {
            text += piece
            emit(piece)
        }
        while first != nil || !isStopped(), let token = try next() {
            take(decoder.push(token))
            count += 1
        }
        take(decoder.finish())
        batch.removeAll()
        return (text, count)
    }

    /// All tokens that are left.
    public mutating func rest() throws(PithError) -> [Int] {
        var tokens: [Int] = []
        while let token = try next() { tokens.append(token) }
        return tokens
    }
}
