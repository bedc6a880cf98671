/// One layer of a decoder: x + attention(norm(x)), then x + feedForward(norm(x)).
///
/// Where a part has a norm behind it as well, what it adds is normalised first.
public struct DecoderLayer: Block {
    /// In front of attention.
    public let attentionNorm: Norm
    /// Attention.
    public let attention: SelfAttention
    /// Behind attention; nil for none.
    public var attentionOutputNorm: Norm?
    /// In front of the feed-forward part.
    public let feedForwardNorm: Norm
    /// The feed-forward part.
    public let feedForward: any FeedForward
    /// Behind the feed-forward part; nil for none.
    public var feedForwardOutputNorm: Norm?
    /// Whether both parts read the same stream, and not the second what the first made of it.
    public var isParallel = false

    /// Both parts.
    public func run<E: Engine>(_ x: E.Value, _ engine: inout E) -> E.Value {
        let ahead = isParallel ? engine.normalize(x, feedForwardNorm) : nil
        let gathered = attention.gather(engine.normalize(x, attentionNorm), &engine)
        var y = x
        if let norm = attentionOutputNorm {
            y = engine.add(engine.normalize(engine.linear(gathered, attention.output), norm), to: x)
        } else {
            y = engine.linear(gathered, attention.output, addedTo: x)
        }
        let input = ahead ?? engine.normalize(y, feedForwardNorm)
        guard let norm = feedForwardOutputNorm else { return feedForward.run(input, addedTo: y, &engine) }
        return engine.add(engine.normalize(feedForward.run(input, addedTo: nil, &engine), norm), to: y)
    }
}
