/// A layer of Mamba: x + Out(scan(conv(X n)) · silu(Z n)) with n = norm(x) (Gu and Dao 2023).
public struct SelectiveStateSpace: Block {
    /// In front of the layer.
    public let norm: Norm
    /// To X and Z, [2 · inner, hidden].
    public let input: Linear
    /// The convolution of each channel, [inner, 1, length].
    public let convolution: ParameterID
    /// What it adds, [inner]; nil for nothing.
    public let convolutionBias: ParameterID?
    /// To low-rank steps, and what is written and read, [rank + 2 · size, inner].
    public let selection: Linear
    /// From low-rank steps to those of each channel, [inner, rank].
    public let steps: Linear
    /// Logarithms of rates, [inner, size].
    public let rates: ParameterID
    /// What of its input a channel lets through, [inner].
    public let skips: ParameterID
    /// Back to the residual stream, [hidden, inner].
    public let output: Linear
    /// The channels, the elements of a channel's state, and the rank of steps.
    public let widths: (inner: Int, size: Int, rank: Int)
    /// The rows that the convolution sees again.
    public let window: StateID
    /// The state space.
    public let state: StateID

    /// The layer.
    public func run<E: Engine>(_ x: E.Value, _ engine: inout E) -> E.Value {
        let projected = engine.linear(engine.normalize(x, norm), input)
        let parts = engine.split(projected, widths: [widths.inner, widths.inner], groups: 1)
        var u = engine.convolve(parts[0], convolution, bias: convolutionBias, window)
        u = engine.activate(u, .silu)
        let selected = engine.split(
            engine.linear(u, selection), widths: [widths.rank, widths.size, widths.size], groups: 1)
        let moves = engine.activate(engine.linear(selected[0], steps), .softplus)
        let y = engine.scan(
            ScanInputs(x: u, steps: moves, writes: selected[1], reads: selected[2], rates: rates, skips: skips), state)
        return engine.linear(engine.activate(parts[1], .silu, times: y), output, addedTo: x)
    }
}
