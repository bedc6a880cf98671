/// Attention of the tokens of a sequence to each other: O · attention(rotate(Q x), rotate(K x), V x).
public struct SelfAttention: Sendable {
    /// To queries, [heads · headSize, hidden].
    public let query: Linear
    /// To keys, [keyValueHeads · headSize, hidden].
    public let key: Linear
    /// To values, [keyValueHeads · headSize, hidden].
    public let value: Linear
    /// Back to the residual stream, [hidden, heads · headSize].
    public let output: Linear
    /// Normalises each head's query, [headSize]; nil leaves it.
    public let queryNorm: Norm?
    /// Normalises each head's key, [headSize]; nil leaves it.
    public let keyNorm: Norm?
    /// The angles that queries and keys are turned by.
    public let rotary: RotaryID
    /// Heads, scale, window and cache.
    public let options: AttentionOptions

    /// What is gathered for each row of x, [rows, heads · headSize], before the output projection.
    func gather<E: Engine>(_ x: E.Value, _ engine: inout E) -> E.Value {
        let projections = engine.linear(x, [query, key, value])
        var (queries, keys) = (projections[0], projections[1])
        if let queryNorm { queries = engine.normalize(queries, queryNorm, groups: options.headCount) }
        if let keyNorm { keys = engine.normalize(keys, keyNorm, groups: options.cacheShape.headCount) }
        queries = engine.rotate(queries, rotary)
        keys = engine.rotate(keys, rotary)
        return engine.attend(queries: queries, keys: keys, values: projections[2], options)
    }
}
