import PithCore
import PithTensor

/// The sizes of a decoder, as `config.json` tells them: what all families share.
public struct ModelConfiguration: Equatable, Sendable {
    /// The width of the residual stream.
    public var hiddenSize: Int
    /// The number of decoder layers.
    public var layerCount: Int
    /// The number of query heads; 0 of a model without attention, which has no key heads and no head size either.
    public var headCount: Int
    /// The number of key and value heads, which divides `headCount`.
    public var keyValueHeadCount: Int
    /// The width of a head, even.
    public var headDimension: Int
    /// The width of the feed-forward block.
    public var intermediateSize: Int
    /// The number of rows of the embedding.
    public var vocabularySize: Int
    /// The longest sequence that the model was made for; `sizeLimit` where nothing limits it.
    public var contextLength: Int
    /// What is added to the mean square in RMSNorm.
    public var normEpsilon: Double
    /// The base of the rotary frequencies.
    public var ropeTheta: Double
    /// How the rotary frequencies are scaled.
    public var ropeScaling: RotaryScaling
    /// Whether the head is the embedding.
    public var tiesEmbeddings: Bool
    /// The token that begins a text.
    public var bosToken: Int?
    /// The tokens that end a text.
    public var eosTokens: [Int]
    /// The element type that the weights were published in.
    public var elementType: ElementType?

    /// The name of the file in a Hugging Face folder.
    public static let fileName = "config.json"

    /// Creates a configuration of which every value has been checked.
    public init(
        hiddenSize: Int, layerCount: Int, headCount: Int, keyValueHeadCount: Int? = nil, headDimension: Int? = nil,
        intermediateSize: Int, vocabularySize: Int, contextLength: Int, normEpsilon: Double = 1e-5,
        ropeTheta: Double = 10000, ropeScaling: RotaryScaling = .none, tiesEmbeddings: Bool = false,
        bosToken: Int? = nil, eosTokens: [Int] = [], elementType: ElementType? = .float32
    ) throws(PithError) {
        self.hiddenSize = hiddenSize
        self.layerCount = layerCount
        self.headCount = headCount
        self.keyValueHeadCount = keyValueHeadCount ?? headCount
        self.headDimension = headDimension ?? (headCount > 0 ? hiddenSize / headCount : 0)
        self.intermediateSize = intermediateSize
        self.vocabularySize = vocabularySize
        self.contextLength = contextLength
        self.normEpsilon = normEpsilon
        self.ropeTheta = ropeTheta
        self.ropeScaling = ropeScaling
        self.tiesEmbeddings = tiesEmbeddings
        self.bosToken = bosToken
        self.eosTokens = eosTokens
        self.elementType = elementType
        try check()
    }

    /// Bounds that keep all later arithmetic on sizes far from overflow.
    public static let sizeLimit = 1 << 24
    static let layerLimit = 4096
    private static let weightLimit = 1e15

    private func check() throws(PithError) {
        func require(_ name: String, _ value: Int, _ range: ClosedRange<Int>) throws(PithError) {
            guard range.contains(value) else {
                throw .data(
                    "is \(value)", at: "key \(name)", remedy: "it should be in \(range.lowerBound)…\(range.upperBound)")
            }
        }
        let sizes = 1...Self.sizeLimit
        try require("hidden_size", hiddenSize, sizes)
        try require("num_hidden_layers", layerCount, 1...Self.layerLimit)
        try require("num_attention_heads", headCount, 0...1 << 16)
        let hasAttention = headCount > 0
        try require("num_key_value_heads", keyValueHeadCount, hasAttention ? 1...headCount : 0...0)
        try require("head_dim", headDimension, hasAttention ? 2...1 << 16 : 0...0)
        try require("intermediate_size", intermediateSize, sizes)
        try require("vocab_size", vocabularySize, sizes)
        try require("max_position_embeddings", contextLength, 1...Self.sizeLimit)
        guard !hasAttention || headCount % keyValueHeadCount == 0 else {
            throw .data(
                "\(keyValueHeadCount) does not divide the \(headCount) heads", at: "key num_key_value_heads")
        }
        guard headDimension % 2 == 0 else { throw .data("\(headDimension) is odd", at: "key head_dim") }
        try require("num_attention_heads · head_dim", headCount * headDimension, 0...Self.sizeLimit)
        guard normEpsilon.isFinite, (0...1).contains(normEpsilon) else {
            throw .data("is \(normEpsilon)", at: "key rms_norm_eps", remedy: "it should be in 0…1")
        }
        guard ropeTheta.isFinite, (1...1e12).contains(ropeTheta) else {
            throw .data("is \(ropeTheta)", at: "key rope_theta", remedy: "it should be in 1…1e12")
        }
        // Counted in floating point, for what it shall prevent is an overflow.
        let matrices = Double(hiddenSize) * (2 * Double(headDimension) * Double(headCount + keyValueHeadCount))
        let layer = matrices + 3 * Double(hiddenSize) * Double(intermediateSize)
        guard Double(layerCount) * layer + 2 * Double(vocabularySize) * Double(hiddenSize) < Self.weightLimit else {
            throw .data(
                "the sizes make more than \(Self.weightLimit) weights", at: "key num_hidden_layers",
                remedy: "do all sizes belong to one model?")
        }
        let tokens = 0...vocabularySize - 1
        if let bosToken { try require("bos_token_id", bosToken, tokens) }
        for token in eosTokens { try require("eos_token_id", token, tokens) }
    }
}
