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
    /// Normalises rows, or each of `groups` equal parts of each row by itself. The weights are those of a part, or of
    /// all parts side by side.
    mutating func normalize(_ x: Value, _ norm: Norm, groups: Int) -> Value
    /// x + stream; consumes `stream`.
    mutating func add(_ x: Value, to stream: Value) -> Value
    /// factor · x; consumes `x`.
    mutating func scale(_ x: Value, by factor: Float) -> Value
    /// Each row of x times the row's one factor, [rows, 1]; consumes `x`.
    mutating func scale(_ x: Value, byRow factors: Value) -> Value
    /// Turns queries and keys by the angles of their rows' positions, and gathers for each row from the rows that it
    /// sees, [rows, heads · valueSize]; consumes `queries` and `keys`.
    mutating func attend(queries: Value, keys: Value, values: Value, _ options: AttentionOptions) -> Value
    /// activation(x), times `factors` if there are any; consumes `x`.
    mutating func activate(_ x: Value, _ activation: Activation, times factors: Value?) -> Value
    /// Σ weight · expert(x) over the experts that each row of x is sent to by its scores, [rows, experts], added to
    /// `stream` if there is one, which is consumed. `expert` is called for some of the rows.
    mutating func mixture(
        _ x: Value, scores: Value, _ options: RoutingOptions, addedTo stream: Value?,
        expert: (_ index: Int, _ x: Value, _ engine: inout Self) -> Value
    ) -> Value

    // Single elements, and columns.

    /// x · y, element by element.
    mutating func multiply(_ x: Value, by y: Value) -> Value
    /// x + (y - x) · share, element by element.
    mutating func interpolate(_ x: Value, toward y: Value, by share: Value) -> Value
    /// A vector in each row, [rows, count].
    mutating func rows(of vector: ParameterID) -> Value
    /// Columns side by side.
    mutating func join(_ parts: [Value]) -> Value
    /// Each of `groups` equal parts of each row, divided by its length, or by 10⁻¹² if that is more.
    mutating func unit(_ x: Value, groups: Int) -> Value
    /// In the place of each element the sum of its part of the row, of `groups` equal parts.
    mutating func sums(_ x: Value, groups: Int) -> Value

    // From row to row of a sequence; a state is what is kept of the rows before.

    /// The row before each row, zeros before the first. The state is one row, [width].
    mutating func previous(_ x: Value, _ state: StateID) -> Value
    /// Each channel's last elements, times its weights, [width, length] with the row's own last, plus its bias. The
    /// state is the rows before, [length - 1, width].
    mutating func convolve(_ x: Value, _ weights: ParameterID, bias: ParameterID?, _ state: StateID) -> Value
    /// A selective state space; the state is [width, size].
    mutating func scan(_ inputs: ScanInputs<Value>, _ state: StateID) -> Value
    /// A recurrence of matrices; the state is [heads, size, size].
    mutating func recur(_ inputs: RecurrenceInputs<Value>, heads: Int, _ state: StateID) -> Value
    /// The average of values weighted by exp(key), where what lies back loses exp(-exp(decay)) of its weight with each
    /// row, and a row's own is exp(bonus) times as large (RWKV 4, Peng et al. 2023). The state is [3, width].
    mutating func average(
        keys: Value, values: Value, decays: ParameterID, bonuses: ParameterID, _ state: StateID
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
    /// How often the result stands in the stream, side by side: 2 gives layers room to hand a value on to later ones.
    public let copies: Int

    /// A look-up.
    public init(
        table: ParameterID, scale: Float = 1, others: [(table: ParameterID, selector: RowSelector)] = [],
        norm: Norm? = nil, copies: Int = 1
    ) {
        (self.table, self.scale, self.others, self.norm, self.copies) = (table, scale, others, norm, copies)
    }

    /// [rows, copies · hidden].
    public func run<E: Engine>(_ engine: inout E) -> E.Value {
        var x = engine.embed(table, .token)
        if scale != 1 { x = engine.scale(x, by: scale) }
        for (table, selector) in others { x = engine.add(engine.embed(table, selector), to: x) }
        if let norm { x = engine.normalize(x, norm) }
        return copies == 1 ? x : engine.join(Array(repeating: x, count: copies))
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
    /// The widths of the stream's parts, of which the first is read; nil where it has one.
    public let parts: [Int]?

    /// An output.
    public init(norm: Norm, matrix: ParameterID, softcap: Float? = nil, parts: [Int]? = nil) {
        (self.norm, self.matrix, self.softcap, self.parts) = (norm, matrix, softcap, parts)
    }

    /// The normalised hidden states of a residual stream, [rows, hidden].
    public func normalize<E: Engine>(_ x: E.Value, _ engine: inout E) -> E.Value {
        engine.normalize(parts.map { engine.split(x, widths: $0, groups: 1)[0] } ?? x, norm)
    }
}
