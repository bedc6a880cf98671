/// A layer of RWKV (Peng et al. 2023): x + timeMix(norm(x)), then x + channelMix(norm(x)).
///
/// From version 7 on (Peng et al. 2025) the stream has a second part of the same width: the values of the first layer,
/// which later ones take in.
struct RecurrentLayer: Block {
    /// In front of what mixes rows.
    let timeNorm: Norm
    /// What mixes rows.
    let timeMix: any TimeMix
    /// Back to the residual stream, [hidden, hidden].
    let output: Linear
    /// In front of what mixes channels.
    let channelNorm: Norm
    /// What mixes channels.
    let channelMix: ChannelMix
    /// The width of the two parts of the stream; nil where it has one part.
    let part: Int?

    func run<E: Engine>(_ x: E.Value, _ engine: inout E) -> E.Value {
        let parts = part.map { engine.split(x, widths: [$0, $0], groups: 1) }
        var y = parts?[0] ?? x
        let mixed = timeMix.mix(engine.normalize(y, timeNorm), parts?[1], &engine)
        y = engine.linear(mixed.output, output, addedTo: y)
        y = channelMix.run(engine.normalize(y, channelNorm), addedTo: y, &engine)
        return parts == nil ? y : engine.join([y, mixed.values])
    }
}

/// How rows of a sequence come to know of each other without attention.
protocol TimeMix: Sendable {
    /// What each row of x makes of itself and the rows before, [rows, hidden], and the values that later layers take
    /// in; `values` are those of the first layer.
    func mix<E: Engine>(
        _ x: E.Value, _ values: E.Value?, _ engine: inout E
    ) -> (output: E.Value, values: E.Value)
}

/// Each row together with the one before it, of which it takes a share in each channel.
struct TokenShift: Sendable {
    /// The row before.
    let state: StateID
    /// Whether a share is that of the row itself (up to version 5), not of the one before.
    let isOwn: Bool

    /// The row before each row.
    func previous<E: Engine>(_ x: E.Value, _ engine: inout E) -> E.Value { engine.previous(x, state) }

    /// Both mixed by a share for each element.
    func mix<E: Engine>(_ x: E.Value, _ before: E.Value, _ share: E.Value, _ engine: inout E) -> E.Value {
        isOwn ? engine.interpolate(before, toward: x, by: share) : engine.interpolate(x, toward: before, by: share)
    }

    /// Both mixed by a share for each channel, [hidden].
    func mix<E: Engine>(_ x: E.Value, _ before: E.Value, _ share: ParameterID, _ engine: inout E) -> E.Value {
        mix(x, before, engine.rows(of: share), &engine)
    }
}

/// The feed-forward part of RWKV: Value · max(Key x, 0)², up to version 6 times sigmoid(Receptance x).
struct ChannelMix: Sendable {
    let shift: TokenShift
    /// Shares of x, [hidden]; the second is that of receptances.
    let shares: (key: ParameterID, receptance: ParameterID?)
    /// To hidden units, [intermediate, hidden].
    let key: Linear
    /// Back, [hidden, intermediate].
    let value: Linear
    /// To gates, [hidden, hidden]; nil for none.
    let receptance: Linear?

    func run<E: Engine>(_ x: E.Value, addedTo stream: E.Value, _ engine: inout E) -> E.Value {
        let before = shift.previous(x, &engine)
        let units = engine.activate(
            engine.linear(shift.mix(x, before, shares.key, &engine), key), .squaredReLU)
        guard let receptance, let share = shares.receptance else {
            return engine.linear(units, value, addedTo: stream)
        }
        let gate = engine.linear(shift.mix(x, before, share, &engine), receptance)
        return engine.add(engine.activate(gate, .sigmoid, times: engine.linear(units, value)), to: stream)
    }
}
