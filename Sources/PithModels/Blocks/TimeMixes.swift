/// RWKV 4 (Peng et al. 2023): an average of values in each channel, gated by sigmoid(receptance).
struct AveragingTimeMix: TimeMix {
    let shift: TokenShift
    /// Shares of x, [hidden] each.
    let shares: (key: ParameterID, value: ParameterID, receptance: ParameterID)
    /// [hidden, hidden] each.
    let key: Linear, value: Linear, receptance: Linear
    /// [hidden] each.
    let decays: ParameterID, bonuses: ParameterID
    /// The sums of each channel.
    let state: StateID

    func mix<E: Engine>(
        _ x: E.Value, _ values: E.Value?, _ engine: inout E
    ) -> (output: E.Value, values: E.Value) {
        let before = shift.previous(x, &engine)
        let keys = engine.linear(shift.mix(x, before, shares.key, &engine), key)
        let values = engine.linear(shift.mix(x, before, shares.value, &engine), value)
        let gate = engine.linear(shift.mix(x, before, shares.receptance, &engine), receptance)
        let average = engine.average(keys: keys, values: values, decays: decays, bonuses: bonuses, state)
        return (engine.activate(gate, .sigmoid, times: average), values)
    }
}

/// What the versions with a matrix for each head share: its heads, and what a row's own key and value add.
struct MatrixHeads: Sendable {
    /// Heads.
    let count: Int
    /// The weight of a row's own key, [hidden].
    let bonus: ParameterID
    /// Normalises what each head read, [hidden].
    let norm: Norm
    /// The matrices.
    let state: StateID

    /// (Σ receptance · bonus · key) value, head by head.
    func own<E: Engine>(
        _ receptances: E.Value, _ keys: E.Value, _ values: E.Value, _ engine: inout E
    ) -> E.Value {
        let products = engine.multiply(engine.multiply(receptances, by: keys), by: engine.rows(of: bonus))
        return engine.multiply(engine.sums(products, groups: count), by: values)
    }
}

/// RWKV 5 and 6 (Peng et al. 2024): a matrix for each head, whose rows shrink by a decay for each channel, in version 6
/// for each row and channel; so do the shares of the row before.
struct MatrixTimeMix: TimeMix {
    /// How much of the row before each projection takes.
    enum Shares: Sendable {
        /// The same for all rows, [hidden]; the gate may be missing.
        case fixed(key: ParameterID, value: ParameterID, receptance: ParameterID, gate: ParameterID?)
        /// From the row itself: tanh(W₁ x) in parts of a rank, each to a share for decay, key, value, receptance and
        /// gate.
        case learned(share: ParameterID, down: Linear, up: [Linear], rank: Int)
    }

    let shift: TokenShift
    let shares: Shares
    /// [hidden, hidden] each.
    let key: Linear, value: Linear, receptance: Linear, gate: Linear?
    /// Decays, [hidden]; where rows have their own, to them from tanh(down x).
    let decays: (fixed: ParameterID?, down: Linear?, up: Linear?)
    let heads: MatrixHeads

    func mix<E: Engine>(
        _ x: E.Value, _ values: E.Value?, _ engine: inout E
    ) -> (output: E.Value, values: E.Value) {
        let before = shift.previous(x, &engine)
        let inputs = inputs(x, before, &engine)
        let receptances = engine.linear(inputs.receptance, receptance)
        let keys = engine.linear(inputs.key, key)
        let values = engine.linear(inputs.value, value)
        let gates = inputs.gate.flatMap { input in gate.map { engine.linear(input, $0) } }
        let decays = decays(inputs.decay, &engine)
        var y = engine.recur(
            RecurrenceInputs(receptances: receptances, decays: decays, keys: keys, values: values), heads: heads.count,
            heads.state)
        y = engine.add(heads.own(receptances, keys, values, &engine), to: y)
        y = engine.normalize(y, heads.norm, groups: heads.count)
        if let gates { y = engine.activate(gates, .silu, times: y) }
        return (y, values)
    }

    private struct Inputs<Value> {
        var decay: Value?, key: Value, value: Value, receptance: Value, gate: Value?
    }

    private func inputs<E: Engine>(_ x: E.Value, _ before: E.Value, _ engine: inout E) -> Inputs<E.Value> {
        switch shares {
        case .fixed(let key, let value, let receptance, let gate):
            return Inputs(
                decay: nil, key: shift.mix(x, before, key, &engine), value: shift.mix(x, before, value, &engine),
                receptance: shift.mix(x, before, receptance, &engine),
                gate: gate.map { shift.mix(x, before, $0, &engine) })
        case .learned(let share, let down, let up, let rank):
            let low = engine.activate(engine.linear(shift.mix(x, before, share, &engine), down), .tanh)
            let parts = engine.split(low, widths: up.map { _ in rank }, groups: 1)
            let mixed = zip(parts, up).map { part, up in shift.mix(x, before, engine.linear(part, up), &engine) }
            return Inputs(decay: mixed[0], key: mixed[1], value: mixed[2], receptance: mixed[3], gate: mixed[4])
        }
    }

    private func decays<E: Engine>(_ x: E.Value?, _ engine: inout E) -> E.Value {
        if let x, let down = decays.down, let up = decays.up {
            return engine.activate(engine.linear(engine.activate(engine.linear(x, down), .tanh), up), .decay)
        }
        guard let fixed = decays.fixed else { preconditionFailure("decays are fixed or follow from the row") }
        return engine.activate(engine.rows(of: fixed), .decay)
    }
}

/// RWKV 7 (Peng et al. 2025): the generalised delta rule. What a matrix holds under a key is taken away before the new
/// value is put there, and all but the first layer mix their values with the first layer's.
struct DeltaTimeMix: TimeMix {
    /// Two matrices of low rank, the second with a bias.
    struct LowRank: Sendable {
        let down: Linear
        let up: Linear
    }

    let shift: TokenShift
    /// Shares of the row before, [hidden] each.
    let shares:
        (
            receptance: ParameterID, decay: ParameterID, key: ParameterID, value: ParameterID, rate: ParameterID,
            gate: ParameterID
        )
    /// [hidden, hidden] each.
    let receptance: Linear, key: Linear, value: Linear
    /// To decays, rates and gates; and how much of the first layer's values is taken, nil in the first layer.
    let decay: LowRank, rate: LowRank, gate: LowRank, mixing: LowRank?
    /// What keys are times before they are removed by, and how far the rate moves keys, [hidden] each.
    let removal: ParameterID, replacement: ParameterID
    let heads: MatrixHeads

    func mix<E: Engine>(
        _ x: E.Value, _ first: E.Value?, _ engine: inout E
    ) -> (output: E.Value, values: E.Value) {
        let before = shift.previous(x, &engine)
        let receptances = engine.linear(shift.mix(x, before, shares.receptance, &engine), receptance)
        let decayInput = engine.linear(shift.mix(x, before, shares.decay, &engine), decay.down)
        let decays = engine.activate(engine.linear(engine.activate(decayInput, .tanh), decay.up), .boundedDecay)
        var keys = engine.linear(shift.mix(x, before, shares.key, &engine), key)
        let valueInput = shift.mix(x, before, shares.value, &engine)
        var values = engine.linear(valueInput, value)
        let rateInput = engine.linear(shift.mix(x, before, shares.rate, &engine), rate.down)
        let rates = engine.activate(engine.linear(rateInput, rate.up), .sigmoid)
        let gateInput = engine.linear(shift.mix(x, before, shares.gate, &engine), gate.down)
        let gates = engine.linear(engine.activate(gateInput, .sigmoid), gate.up)
        let directions = engine.unit(engine.multiply(keys, by: engine.rows(of: removal)), groups: heads.count)
        keys = engine.interpolate(
            keys, toward: engine.multiply(keys, by: rates), by: engine.rows(of: replacement))
        if let mixing, let first {
            let share = engine.linear(engine.linear(valueInput, mixing.down), mixing.up)
            values = engine.interpolate(values, toward: first, by: engine.activate(share, .sigmoid))
        }
        // Last, since scaling consumes the directions.
        let target = engine.multiply(directions, by: rates)
        let removed = (a: engine.scale(directions, by: -1), b: target)
        var y = engine.recur(
            RecurrenceInputs(
                receptances: receptances, decays: decays, keys: keys, values: values, removal: removed),
            heads: heads.count, heads.state)
        y = engine.normalize(y, heads.norm, groups: heads.count)
        y = engine.add(heads.own(receptances, keys, values, &engine), to: y)
        return (engine.multiply(y, by: gates), mixing == nil ? values : first ?? values)
    }
}
