/// Attention of the tokens of a sequence to each other: O · attention(rotate(Q x), rotate(K x), V x).
public struct SelfAttention: Sendable {
    /// To queries, keys and values.
    public enum Input: Sendable {
        /// [heads · keySize, hidden], [keyValueHeads · keySize, hidden] and [keyValueHeads · valueSize, hidden].
        case separate(query: Linear, key: Linear, value: Linear)
        /// All three in one matrix: the rows of the first, of the second and of the third; or so by `groups` of heads.
        case fused(Linear, groups: Int)
    }

    /// To queries, keys and values.
    public let input: Input
    /// Back to the residual stream, [hidden, heads · valueSize].
    public let output: Linear
    /// Normalises each head's query, [keySize]; nil leaves it.
    public var queryNorm: Norm?
    /// Normalises each head's key, [keySize]; nil leaves it.
    public var keyNorm: Norm?
    /// Heads, angles, scale, window and cache.
    public let options: AttentionOptions

    /// What is gathered for each row of x, [rows, heads · valueSize], before the output projection.
    func gather<E: Engine>(_ x: E.Value, _ engine: inout E) -> E.Value {
        let projections = project(x, &engine)
        var (queries, keys) = (projections[0], projections[1])
        if let queryNorm { queries = engine.normalize(queries, queryNorm, groups: options.headCount) }
        if let keyNorm { keys = engine.normalize(keys, keyNorm, groups: options.cacheShape.headCount) }
        return engine.attend(queries: queries, keys: keys, values: projections[2], options)
    }

    private func project<E: Engine>(_ x: E.Value, _ engine: inout E) -> [E.Value] {
        switch input {
        case .separate(let query, let key, let value): return engine.linear(x, [query, key, value])
        case .fused(let map, let groups):
            let shape = options.cacheShape
            let widths = [options.queryWidth, shape.headCount * shape.keySize, shape.headCount * shape.valueSize]
            return engine.split(engine.linear(x, map), widths: widths.map { $0 / groups }, groups: groups)
        }
    }
}
