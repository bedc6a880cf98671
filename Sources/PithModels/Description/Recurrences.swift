/// The place of one recurrence's state in the list of its model.
public struct StateID: Hashable, Sendable {
    package let index: Int

    package init(index: Int) { self.index = index }
}

/// What enters a selective state space (Gu and Dao 2023): for each channel, with h of `size` elements,
/// h = exp(-step · exp(rate)) · h + step · x · write, and the output is read · h + skip · x.
public struct ScanInputs<Value> {
    /// x, [rows, width].
    public var x: Value
    /// How far each channel moves on, [rows, width].
    public var steps: Value
    /// What is written and read, [rows, size].
    public var writes: Value, reads: Value
    /// Logarithms of rates, [width, size].
    public var rates: ParameterID
    /// [width].
    public var skips: ParameterID
}

/// What enters a recurrence of one matrix S for each head, [size, size], from keys to values:
/// S = diag(decay) S + b (aᵀ S) + key valueᵀ.
///
/// Without a and b (RWKV 5 and 6, Peng et al. 2024) a row reads receptance · S before its own key and value are in;
/// with them, the generalised delta rule (RWKV 7, Peng et al. 2025), it reads the S behind.
public struct RecurrenceInputs<Value> {
    /// [rows, heads · size] each.
    public var receptances: Value, decays: Value, keys: Value, values: Value
    /// What is taken away and where it goes, [rows, heads · size] each.
    public var removal: (a: Value, b: Value)?

    /// Inputs.
    public init(receptances: Value, decays: Value, keys: Value, values: Value, removal: (a: Value, b: Value)? = nil) {
        (self.receptances, self.decays, self.keys, self.values) = (receptances, decays, keys, values)
        self.removal = removal
    }
}
