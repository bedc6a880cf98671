/// A gated feed-forward part: Down · (activation(Gate x) · Up x) (Shazeer 2020).
public struct GatedFeedForward: Sendable {
    /// To the gate, [intermediate, hidden].
    public let gate: Linear
    /// To the hidden units, [intermediate, hidden].
    public let up: Linear
    /// Back to the residual stream, [hidden, intermediate].
    public let down: Linear
    /// What the gate goes through.
    public let activation: Activation

    /// The hidden units of each row of x, [rows, intermediate], before the down projection.
    func hiddenUnits<E: Engine>(_ x: E.Value, _ engine: inout E) -> E.Value {
        let projections = engine.linear(x, [gate, up])
        return engine.activate(gate: projections[0], times: projections[1], activation)
    }
}
