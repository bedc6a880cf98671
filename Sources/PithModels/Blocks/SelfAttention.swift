/// Attention of the tokens of a sequence to each other: O · attention(rotate(Q x), rotate(K x), V x).
public struct SelfAttention: Sendable {
    /// To queries, keys and values.
    public enum Input: Sendable {
        /// [heads · headSize, hidden], and [keyValueHeads · headSize, hidden] twice.
        case separate(query: Linear, key: Linear, value: Linear)
        /// All three in one matrix: the rows of the first, of the second and of the third; or so by `groups` of heads.
        case fused(Linear, groups: Int)
    }

    /// To queries, keys and values.
    public let input: Input
    /// Back to the residual stream, [hidden, heads · headSize].
    public let output: Linear
    /// Normalises each head's query, [headSize]; nil leaves it.
    public var queryNorm: Norm?
    /// Normalises each head's key, [headSize]; nil leaves it.
    public var keyNorm: Norm?
    /// The angles that queries and keys are turned by; nil where positions are told otherwise.
    public let rotary: RotaryID?
    /// Heads, scale, window and cache.
    public let options: AttentionOptions

    /// What is gathered for each row of x, [rows, heads · headSize], before the output projection.
    func gather<E: Engine>(_ x: E.Value, _ engine: inout E) -> E.Value {
        let projections = project(x, &engine)
        var (queries, keys) = (projections[0], projections[1])
        if let queryNorm { queries = engine.normalize(queries, queryNorm, groups: options.headCount) }
        if let keyNorm { keys = engine.normalize(keys, keyNorm, groups: options.cacheShape.headCount) }
        if let rotary { (queries, keys) = (engine.rotate(queries, rotary), engine.rotate(keys, rotary)) }
        return engine.attend(queries: queries, keys: keys, values: projections[2], options)
    }

    private func project<E: Engine>(_ x: E.Value, _ engine: inout E) -> [E.Value] {
        switch input {
        case .separate(let query, let key, let value): return engine.linear(x, [query, key, value])
        case .fused(let map, let groups):
            let keyWidth = options.cacheShape.headCount * options.cacheShape.headSize
            return engine.split(
                engine.linear(x, map), widths: [options.queryWidth, keyWidth, keyWidth].map { $0 / groups },
                groups: groups)
        }
    }
}
