/// The part of a layer that treats each row by itself.
public protocol FeedForward: Sendable {
    /// What the part makes of x, [rows, hidden], added to `stream` if there is one, which is consumed.
    func run<E: Engine>(_ x: E.Value, addedTo stream: E.Value?, _ engine: inout E) -> E.Value
}

/// Two maps with a function between them: Down · activation(Up x).
public struct PlainFeedForward: FeedForward {
    /// To the hidden units, [intermediate, hidden].
    public let up: Linear
    /// Back to the residual stream, [hidden, intermediate].
    public let down: Linear
    /// What the hidden units go through.
    public let activation: Activation

    /// Both maps.
    public func run<E: Engine>(_ x: E.Value, addedTo stream: E.Value?, _ engine: inout E) -> E.Value {
        engine.linear(engine.activate(engine.linear(x, up), activation), down, addedTo: stream)
    }
}

/// A gated feed-forward part: Down · (activation(Gate x) · Up x) (Shazeer 2020).
public struct GatedFeedForward: FeedForward {
    /// To the gates and to the hidden units.
    public enum Input: Sendable {
        /// [intermediate, hidden] each.
        case separate(gate: Linear, up: Linear)
        /// The gates' rows, then the hidden units', [2 · intermediate, hidden].
        case fused(Linear, intermediateSize: Int)
    }

    /// To the gates and to the hidden units.
    public let input: Input
    /// Back to the residual stream, [hidden, intermediate].
    public let down: Linear
    /// What the gate goes through.
    public let activation: Activation

    /// All three.
    public func run<E: Engine>(_ x: E.Value, addedTo stream: E.Value?, _ engine: inout E) -> E.Value {
        engine.linear(hiddenUnits(x, &engine), down, addedTo: stream)
    }

    /// The hidden units of each row of x, [rows, intermediate].
    private func hiddenUnits<E: Engine>(_ x: E.Value, _ engine: inout E) -> E.Value {
        let projections =
            switch input {
            case .separate(let gate, let up): engine.linear(x, [gate, up])
            case .fused(let map, let size): engine.split(engine.linear(x, map), widths: [size, size], groups: 1)
            }
        return engine.activate(projections[0], activation, times: projections[1])
    }
}

/// A mixture of experts: each row goes to a few of many gated parts, and to a shared one if there is one.
public struct MixtureFeedForward: FeedForward {
    /// An expert that all rows go to.
    public struct Shared: Sendable {
        /// The expert.
        public let expert: GatedFeedForward
        /// Its weight for a row is the sigmoid of this, [1, hidden].
        public let gate: Linear
    }

    /// To the scores of the experts, [experts, hidden].
    public let router: Linear
    /// The experts that rows are sent to.
    public let experts: [GatedFeedForward]
    /// How they are sent.
    public let options: RoutingOptions
    /// The shared expert; nil for none.
    public let shared: Shared?

    /// The experts of each row, weighted.
    public func run<E: Engine>(_ x: E.Value, addedTo stream: E.Value?, _ engine: inout E) -> E.Value {
        var scores: E.Value
        var start = stream
        if let shared {
            let projections = engine.linear(x, [router, shared.gate])
            scores = projections[0]
            let weight = engine.activate(projections[1], .sigmoid)
            let y = engine.scale(shared.expert.run(x, addedTo: nil, &engine), byRow: weight)
            start = stream.map { engine.add(y, to: $0) } ?? y
        } else {
            scores = engine.linear(x, router)
        }
        return engine.mixture(x, scores: scores, options, addedTo: start) { index, rows, engine in
            experts[index].run(rows, addedTo: nil, &engine)
        }
    }
}
