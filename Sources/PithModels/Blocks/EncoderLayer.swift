/// One layer of an encoder: y = norm(x + attention(x)), then norm(y + feedForward(y)) (Vaswani et al. 2017).
public struct EncoderLayer: Block {
    /// Attention.
    public let attention: SelfAttention
    /// Behind the sum with attention.
    public let attentionNorm: Norm
    /// The feed-forward part.
    public let feedForward: any FeedForward
    /// Behind the sum with the feed-forward part.
    public let feedForwardNorm: Norm

    /// Both parts, one after the other.
    public func run<E: Engine>(_ x: E.Value, _ engine: inout E) -> E.Value {
        let gathered = attention.gather(x, &engine)
        let y = engine.normalize(engine.linear(gathered, attention.output, addedTo: x), attentionNorm)
        return engine.normalize(feedForward.run(y, addedTo: y, &engine), feedForwardNorm)
    }
}
