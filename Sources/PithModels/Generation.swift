import PithCore

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

    /// Reads the prompt, which may go on from what was read before, so that the first token can follow; writes at most
    /// `maximumCount` tokens.
    public init(
        _ model: LanguageModel, after prompt: [Int], beginning: ReadSequence? = nil, options: SamplingOptions,
        maximumCount: Int = .max
    ) throws(PithError) {
        batch = BatchedGeneration(model, promptChunk: 512)
        batch.keepsEnded = true
        _ = try batch.add(prompt, after: beginning, options: options, maximumCount: maximumCount)
        while first == nil, !batch.isEmpty { first = try step() }
    }

    private mutating func step() throws(PithError) -> Int? {
        let token = try batch.step().first?.token
        cacheSize = max(cacheSize, ByteCount((batch.storedBits + 7) / 8))
        return token
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

    /// All tokens that are left.
    public mutating func rest() throws(PithError) -> [Int] {
        var tokens: [Int] = []
        while let token = try next() { tokens.append(token) }
        return tokens
    }
}
