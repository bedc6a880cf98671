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

    /// A look-up.
    public init(table: ParameterID, scale: Float = 1) {
        (self.table, self.scale) = (table, scale)
    }

    /// [rows, hidden].
    public func run<E: Engine>(_ engine: inout E) -> E.Value {
        let x = engine.embed(table)
        return scale == 1 ? x : engine.scale(x, by: scale)
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
