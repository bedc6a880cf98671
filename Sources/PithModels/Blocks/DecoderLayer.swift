/// One layer of a decoder: x + attention(norm(x)), then x + feedForward(norm(x)).
///
/// Where a part has a norm behind it as well, what it adds is normalised first.
public struct DecoderLayer: Block {
    /// In front of attention.
    public let attentionNorm: Norm
    /// Attention.
    public let attention: SelfAttention
    /// Behind attention; nil for none.
    public let attentionOutputNorm: Norm?
    /// In front of the feed-forward part.
    public let feedForwardNorm: Norm
    /// The feed-forward part.
    public let feedForward: GatedFeedForward
    /// Behind the feed-forward part; nil for none.
    public let feedForwardOutputNorm: Norm?

    /// Both parts, one after the other.
    public func run<E: Engine>(_ x: E.Value, _ engine: inout E) -> E.Value {
        let gathered = attention.gather(engine.normalize(x, attentionNorm), &engine)
        let y = add(gathered, attention.output, attentionOutputNorm, to: x, &engine)
        let hidden = feedForward.hiddenUnits(engine.normalize(y, feedForwardNorm), &engine)
        return add(hidden, feedForward.down, feedForwardOutputNorm, to: y, &engine)
    }

    /// stream + norm(W x).
    private func add<E: Engine>(
        _ x: E.Value, _ map: Linear, _ norm: Norm?, to stream: E.Value, _ engine: inout E
    ) -> E.Value {
        guard let norm else { return engine.linear(x, map, addedTo: stream) }
        return engine.add(engine.normalize(engine.linear(x, map), norm), to: stream)
    }
}
