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
    /// LayerNorm takes the mean away first and adds this, [width]; RMSNorm has none.
    public let bias: ParameterID?
    /// What is added to the mean square.
    public let epsilon: Float

    /// RMSNorm: each row divided by its root mean square, times the weights (Zhang and Sennrich 2019).
    public static func rms(_ weight: ParameterID, epsilon: Double) -> Norm {
        Norm(weight: weight, bias: nil, epsilon: Float(epsilon))
    }

    /// LayerNorm: each row less its mean, divided by its standard deviation, times the weights, plus the bias
    /// (Ba et al. 2016).
    public static func layer(_ weight: ParameterID, bias: ParameterID, epsilon: Double) -> Norm {
        Norm(weight: weight, bias: bias, epsilon: Float(epsilon))
    }
}

/// An element-wise function.
public enum Activation: Sendable {
    /// x · sigmoid(x).
    case silu
    /// x · Φ(x), Φ the normal distribution function (Hendrycks and Gimpel 2016).
    case gelu
    /// The same by its approximation with a hyperbolic tangent.
    case geluTanh
    /// max(x, 0).
    case relu
    /// 1 / (1 + exp(−x)).
    case sigmoid
    /// The hyperbolic tangent.
    case tanh
    /// log(1 + exp(x)), which is positive.
    case softplus
    /// max(x, 0)².
    case squaredReLU
    /// exp(−exp(x)): what is left of a state, between 0 and 1.
    case decay
    /// exp(−0.606531 · sigmoid(x)), between 0.545 and 1.
    case boundedDecay

    /// Whether values that are no finite numbers may go in and look well when they come out.
    var hidesNonFinite: Bool {
        switch self {
        case .silu, .gelu, .geluTanh: false
        case .relu, .sigmoid, .tanh, .softplus, .squaredReLU, .decay, .boundedDecay: true
        }
    }
}

/// Which row of a table each row of a value is looked up in.
public enum RowSelector: Sendable {
    /// The one that the token names.
    case token
    /// The one that the position names, counted from `offset`.
    case position(offset: Int)
    /// The same for all.
    case row(Int)
}

/// The angles of rotary position embedding (Su et al. 2021).
public struct RotaryOptions: Hashable, Sendable {
    /// Elements of a head.
    public var headDimension: Int
    /// How many of them are turned, from the first on: element i is paired with i + rotatedSize / 2.
    public var rotatedSize: Int
    /// The base of the frequencies.
    public var theta: Double
    /// How the frequencies are scaled.
    public var scaling: RotaryScaling

    /// Options; the whole head is turned unless `rotatedSize` says less.
    public init(headDimension: Int, rotatedSize: Int? = nil, theta: Double, scaling: RotaryScaling = .none) {
        (self.headDimension, self.rotatedSize, self.theta) = (headDimension, rotatedSize ?? headDimension, theta)
        self.scaling = scaling
    }

    /// What a configuration says of all its layers.
    init(_ configuration: ModelConfiguration, rotatedSize: Int? = nil) {
        self.init(
            headDimension: configuration.headDimension, rotatedSize: rotatedSize, theta: configuration.ropeTheta,
            scaling: configuration.ropeScaling)
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
    /// Elements of a head's key.
    public var keySize: Int
    /// Elements of a head's value.
    public var valueSize: Int
    /// Positions that are seen at a time, the last one included; nil for all.
    public var window: Int?

    /// A shape; values are as wide as keys unless `valueSize` says otherwise.
    public init(headCount: Int, headDimension: Int, valueSize: Int? = nil, window: Int? = nil) {
        (self.headCount, keySize, self.valueSize) = (headCount, headDimension, valueSize ?? headDimension)
        self.window = window
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
    /// The angles that queries and keys are turned by; nil where positions are told otherwise.
    public var rotary: RotaryID?
    /// Multiplies the scores.
    public var scale: Float
    /// Scores s become cap · tanh(s / cap); nil leaves them.
    public var softcap: Float?
    /// Whether a row sees itself and those before it only; else all rows that are read together see each other.
    public var isCausal: Bool

    /// Options; without a scale, that of the head size.
    public init(
        headCount: Int, cacheShape: CacheShape, cache: CacheID, rotary: RotaryID? = nil, scale: Float? = nil,
        softcap: Float? = nil, isCausal: Bool = true
    ) {
        (self.headCount, self.cacheShape, self.cache, self.softcap) = (headCount, cacheShape, cache, softcap)
        self.rotary = rotary
        self.scale = scale ?? 1 / Float(cacheShape.keySize).squareRoot()
        self.isCausal = isCausal
    }

    /// Floats of a position's queries.
    public var queryWidth: Int { headCount * cacheShape.keySize }
    /// Floats of what attention makes of them.
    public var outputWidth: Int { headCount * cacheShape.valueSize }
}

/// How rows are sent to experts (Shazeer et al. 2017): weights are the softmax of a row's scores, of which the largest
/// count.
public struct RoutingOptions: Sendable {
    /// Experts.
    public var expertCount: Int
    /// Experts that a row goes to.
    public var activeCount: Int
    /// Whether the weights of these are made to add up to 1.
    public var isNormalized: Bool

    /// Options.
    public init(expertCount: Int, activeCount: Int, isNormalized: Bool) {
        (self.expertCount, self.activeCount, self.isNormalized) = (expertCount, activeCount, isNormalized)
    }
}
