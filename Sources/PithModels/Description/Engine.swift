import PithFormats

/// A linear map as a block uses it: W x, plus a bias if there is one.
public struct Linear: Sendable {
    /// W, [outputs, inputs].
    public let weight: ParameterID
    /// What is added, [outputs].
    public let bias: ParameterID?

    /// A map.
    public init(_ weight: ParameterID, bias: ParameterID? = nil) {
        (self.weight, self.bias) = (weight, bias)
    }
}

/// A normalisation of rows.
public struct Norm: Sendable {
    /// Its weights, [width].
    public let weight: ParameterID
    /// What is added to the mean square.
    public let epsilon: Float

    /// RMSNorm: each row divided by its root mean square, times the weights (Zhang and Sennrich 2019).
    public static func rms(_ weight: ParameterID, epsilon: Double) -> Norm {
        Norm(weight: weight, epsilon: Float(epsilon))
    }
}

/// An element-wise function.
public enum Activation: Sendable {
    /// x · sigmoid(x).
    case silu
    /// GELU by its approximation with a hyperbolic tangent (Hendrycks and Gimpel 2016).
    case geluTanh
    /// 1 / (1 + exp(-x)).
    case sigmoid
    /// The hyperbolic tangent.
    case tanh
    /// log(1 + exp(x)), which is positive.
    case softplus
    /// max(x, 0)².
    case squaredReLU
    /// exp(-exp(x)): what is left of a state, between 0 and 1.
    case decay
    /// exp(-0.606531 · sigmoid(x)), between 0.545 and 1.
    case boundedDecay
}

/// The angles of rotary position embedding (Su et al. 2021).
public struct RotaryOptions: Hashable, Sendable {
    /// Elements of a head; element i is paired with i + headSize / 2.
    public var headSize: Int
    /// The base of the frequencies.
    public var theta: Double
    /// How the frequencies are scaled.
    public var scaling: RotaryScaling

    /// Options.
    public init(headSize: Int, theta: Double, scaling: RotaryScaling = .none) {
        (self.headSize, self.theta, self.scaling) = (headSize, theta, scaling)
    }
}

/// The place of rotary options in the list of their model.
public struct RotaryID: Hashable, Sendable {
    package let index: Int
}

/// The place of one attention's cache in the list of its model.
public struct CacheID: Hashable, Sendable {
    let index: Int

    package init(index: Int) { self.index = index }
}

/// What one attention keeps of each position.
public struct CacheShape: Equatable, Sendable {
    /// Key and value heads.
    public var headCount: Int
    /// Elements of a head's key and of its value.
    public var headSize: Int
    /// Positions that are seen at a time, the last one included; nil for all.
    public var window: Int?

    /// A shape.
    public init(headCount: Int, headSize: Int, window: Int? = nil) {
        (self.headCount, self.headSize, self.window) = (headCount, headSize, window)
    }
}

/// The place of one recurrence's state in the list of its model.
public struct StateID: Hashable, Sendable {
    package let index: Int

    package init(index: Int) { self.index = index }
}

/// How attention mixes positions: softmax(cap(scale · Q Kᵀ)) V, each row seeing the rows before it and itself.
public struct AttentionOptions: Sendable {
    /// Query heads.
    public var headCount: Int
    /// Heads of keys and values, elements of a head, and the window.
    public var cacheShape: CacheShape
    /// Where keys and values are kept.
    public var cache: CacheID
    /// Multiplies the scores.
    public var scale: Float
    /// Scores s become cap · tanh(s / cap); nil leaves them.
    public var softcap: Float?

    /// Options; without a scale, that of the head size.
    public init(headCount: Int, cacheShape: CacheShape, cache: CacheID, scale: Float? = nil, softcap: Float? = nil) {
        (self.headCount, self.cacheShape, self.cache, self.softcap) = (headCount, cacheShape, cache, softcap)
        self.scale = scale ?? 1 / Float(cacheShape.headSize).squareRoot()
    }

    /// Floats of a position's queries, and of what attention makes of them.
    public var queryWidth: Int { headCount * cacheShape.headSize }
}

/// What blocks are written over. One engine runs models, with the kernels; the other records a tape and learns.
///
/// A value is a matrix with a row for each token that is read, [rows, width]. An operation may overwrite the values
/// that are marked as consumed.
public protocol Engine {
    /// A matrix of one row for each token.
    associatedtype Value

    /// The rows of a table that the tokens name.
    mutating func embed(_ table: ParameterID) -> Value
    /// W x for several maps of the same x.
    mutating func linear(_ x: Value, _ maps: [Linear]) -> [Value]
    /// W x + stream; consumes `stream`.
    mutating func linear(_ x: Value, _ map: Linear, addedTo stream: Value) -> Value
    /// Normalises rows, or each of `groups` equal parts of each row by itself.
    mutating func normalize(_ x: Value, _ norm: Norm, groups: Int) -> Value
    /// x + stream; consumes `stream`.
    mutating func add(_ x: Value, to stream: Value) -> Value
    /// factor · x; consumes `x`.
    mutating func scale(_ x: Value, by factor: Float) -> Value
    /// Turns each head of x by the angles of its row's position; consumes `x`.
    mutating func rotate(_ x: Value, _ rotary: RotaryID) -> Value
    /// What each row gathers from the rows that it sees, [rows, heads · headSize].
    mutating func attend(queries: Value, keys: Value, values: Value, _ options: AttentionOptions) -> Value
    /// activation(gate) · x; consumes `gate`.
    mutating func activate(gate: Value, times x: Value, _ activation: Activation) -> Value

    // Elements.

    /// activation(x); consumes `x`.
    mutating func activate(_ x: Value, _ activation: Activation) -> Value
    /// x · y, element by element.
    mutating func multiply(_ x: Value, by y: Value) -> Value
    /// x + (y - x) · share, element by element.
    mutating func interpolate(_ x: Value, toward y: Value, by share: Value) -> Value
    /// A vector in each row, [rows, count].
    mutating func rows(of vector: ParameterID) -> Value
    /// Consecutive columns of x, from the first on, as so many values of these widths.
    mutating func split(_ x: Value, _ widths: [Int]) -> [Value]
    /// Columns side by side.
    mutating func join(_ parts: [Value]) -> Value
    /// Each of `groups` equal parts of each row, divided by its length, or by 10⁻¹² if that is more.
    mutating func unit(_ x: Value, groups: Int) -> Value
    /// In the place of each element the sum of its part of the row, of `groups` equal parts.
    mutating func sums(_ x: Value, groups: Int) -> Value

    // From row to row of a sequence; a state is what is kept of the rows before.

    /// The row before each row, zeros before the first. The state is one row, [width].
    mutating func previous(_ x: Value, _ state: StateID) -> Value
    /// Each channel's last elements, times its weights, [width, length] with the row's own last, plus its bias. The state
    /// is the rows before, [length - 1, width].
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
/// Without a and b (RWKV 5 and 6, Peng et al. 2024) a row reads receptance · S before its own key and value are in; with
/// them, the generalised delta rule (RWKV 7, Peng et al. 2025), it reads the S behind.
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

extension Engine {
    /// W x.
    public mutating func linear(_ x: Value, _ map: Linear) -> Value { linear(x, [map])[0] }
    /// Normalises rows.
    public mutating func normalize(_ x: Value, _ norm: Norm) -> Value { normalize(x, norm, groups: 1) }
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
    /// How often the vectors stand in the stream, side by side: 2 gives layers room to hand a value on to later ones.
    public let copies: Int

    /// A look-up.
    public init(table: ParameterID, scale: Float = 1, copies: Int = 1) {
        (self.table, self.scale, self.copies) = (table, scale, copies)
    }

    /// [rows, copies · hidden].
    public func run<E: Engine>(_ engine: inout E) -> E.Value {
        var x = engine.embed(table)
        if scale != 1 { x = engine.scale(x, by: scale) }
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
    /// Columns of the stream that are read, from the first on; nil for all.
    public let width: Int?

    /// An output.
    public init(norm: Norm, matrix: ParameterID, softcap: Float? = nil, width: Int? = nil) {
        (self.norm, self.matrix, self.softcap, self.width) = (norm, matrix, softcap, width)
    }

    /// The normalised hidden states of a residual stream, [rows, hidden].
    public func normalize<E: Engine>(_ x: E.Value, _ engine: inout E) -> E.Value {
        engine.normalize(width.map { engine.split(x, [$0])[0] } ?? x, norm)
    }
}
