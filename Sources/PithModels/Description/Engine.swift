/// What blocks are written over. One engine runs models, with the kernels; the other records a tape and learns.
///
/// A value is a matrix with a row for each token that is read, [rows, width]. An operation may overwrite the values
/// that are marked as consumed.
public protocol Engine {
    /// A matrix of one row for each token.
    associatedtype Value

    /// Rows of a table.
    mutating func embed(_ table: ParameterID, _ selector: RowSelector) -> Value
    /// W x for several maps of the same x.
    mutating func linear(_ x: Value, _ maps: [Linear]) -> [Value]
    /// W x + stream; consumes `stream`.
    mutating func linear(_ x: Value, _ map: Linear, addedTo stream: Value) -> Value
    /// Cuts each row into `groups` equal parts, and each of these into parts of some widths, which add up to its width:
    /// for each width the parts of all groups side by side, [rows, groups · width].
    mutating func split(_ x: Value, widths: [Int], groups: Int) -> [Value]
    /// Normalises rows, or each of `groups` equal parts of each row by itself. The weights are those of a part, or of all
    /// parts side by side.
    mutating func normalize(_ x: Value, _ norm: Norm, groups: Int) -> Value
    /// x + stream; consumes `stream`.
    mutating func add(_ x: Value, to stream: Value) -> Value
    /// factor · x; consumes `x`.
    mutating func scale(_ x: Value, by factor: Float) -> Value
    /// Each row of x times the row's one factor, [rows, 1]; consumes `x`.
    mutating func scale(_ x: Value, byRow factors: Value) -> Value
    /// Turns each head of x by the angles of its row's position; consumes `x`.
    mutating func rotate(_ x: Value, _ rotary: RotaryID) -> Value
    /// What each row gathers from the rows that it sees, [rows, heads · headSize].
    mutating func attend(queries: Value, keys: Value, values: Value, _ options: AttentionOptions) -> Value
    /// activation(x), times `factors` if there are any; consumes `x`.
    mutating func activate(_ x: Value, _ activation: Activation, times factors: Value?) -> Value
    /// Σ weight · expert(x) over the experts that each row of x is sent to by its scores, [rows, experts], added to
    /// `stream` if there is one, which is consumed. `expert` is called for some of the rows.
    mutating func mixture(
        _ x: Value, scores: Value, _ options: RoutingOptions, addedTo stream: Value?,
        expert: (_ index: Int, _ x: Value, _ engine: inout Self) -> Value
    ) -> Value
}

extension Engine {
    /// W x.
    public mutating func linear(_ x: Value, _ map: Linear) -> Value { linear(x, [map])[0] }
    /// W x, added to a stream if there is one, which is consumed.
    mutating func linear(_ x: Value, _ map: Linear, addedTo stream: Value?) -> Value {
        if let stream { linear(x, map, addedTo: stream) } else { linear(x, map) }
    }
    /// Normalises rows.
    public mutating func normalize(_ x: Value, _ norm: Norm) -> Value { normalize(x, norm, groups: 1) }
    /// activation(x); consumes `x`.
    public mutating func activate(_ x: Value, _ activation: Activation) -> Value {
        activate(x, activation, times: nil)
    }
}

/// A part of a model, from the residual stream to the residual stream, [rows, hidden], written once for all engines.
public protocol Block: Sendable {
    /// What the part makes of x, which it consumes.
    func run<E: Engine>(_ x: E.Value, _ engine: inout E) -> E.Value
}

/// From tokens to the residual stream.
public struct TokenInput: Sendable {
    /// Token vectors, [vocabulary, hidden].
    public let table: ParameterID
    /// Multiplies them.
    public let scale: Float
    /// Tables of which rows are added, such as learned positions, [positions, hidden].
    public let others: [(table: ParameterID, selector: RowSelector)]
    /// Behind the sum; nil for none.
    public let norm: Norm?

    /// A look-up.
    public init(
        table: ParameterID, scale: Float = 1, others: [(table: ParameterID, selector: RowSelector)] = [],
        norm: Norm? = nil
    ) {
        (self.table, self.scale, self.others, self.norm) = (table, scale, others, norm)
    }

    /// [rows, hidden].
    public func run<E: Engine>(_ engine: inout E) -> E.Value {
        var x = engine.embed(table, .token)
        if scale != 1 { x = engine.scale(x, by: scale) }
        for (table, selector) in others { x = engine.add(engine.embed(table, selector), to: x) }
        return norm.map { engine.normalize(x, $0) } ?? x
    }
}

/// From the residual stream to logits: a norm, then a matrix, [vocabulary, hidden].
public struct TokenOutput: Sendable {
    /// The last norm.
    public let norm: Norm
    /// From normalised hidden states to logits; the token table itself when tied.
    public let matrix: ParameterID
    /// Logits l become cap · tanh(l / cap); nil leaves them.
    public let softcap: Float?

    /// An output.
    public init(norm: Norm, matrix: ParameterID, softcap: Float? = nil) {
        (self.norm, self.matrix, self.softcap) = (norm, matrix, softcap)
    }
}
