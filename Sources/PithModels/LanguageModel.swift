import CPithKernels
import PithCore
import PithFormats
import PithTensor

/// One layer of a decoder: two normalisations and seven linear operators.
public struct DecoderLayer: Sendable {
    /// Weights of the normalisation before attention, [hidden].
    public var attentionNorm: [Float]
    /// Weights of the normalisation before the feed-forward block, [hidden].
    public var feedForwardNorm: [Float]
    private var operators: [any LinearOperator]

    /// A layer from its parts; `operator` gives the linear operator of a site.
    public init(
        attentionNorm: [Float], feedForwardNorm: [Float],
        operator: (LinearSite) throws(PithError) -> any LinearOperator
    ) throws(PithError) {
        self.attentionNorm = attentionNorm
        self.feedForwardNorm = feedForwardNorm
        operators = []
        for site in LinearSite.allCases { operators.append(try `operator`(site)) }
    }

    /// The linear operator of a site; planes put theirs here.
    public subscript(site: LinearSite) -> any LinearOperator {
        get { operators[site.index] }
        set {
            precondition(
                newValue.inputCount == self[site].inputCount && newValue.outputCount == self[site].outputCount,
                "an operator of another shape")
            operators[site.index] = newValue
        }
    }
}

/// A decoder of the Llama family: RMSNorm, rotary positions, grouped-query attention, a gated feed-forward block.
public struct LanguageModel: Sendable {
    /// Extents and constants.
    public let configuration: ModelConfiguration
    /// Token vectors, [vocabulary, hidden].
    public var embedding: any RowDecodable
    /// The layers, first to last.
    public var layers: [DecoderLayer]
    /// Weights of the last normalisation, [hidden].
    public var finalNorm: [Float]
    /// From hidden states to logits, [vocabulary, hidden]; the embedding itself when tied.
    public var head: any LinearOperator
    /// Between up, gate and down projections.
    public var gate: any ActivationGate = SwiGLU()
    /// How finely the inputs of matrices are kept.
    public var precision = ActivationPrecision.narrow
    /// The threads that loops run on.
    public var pool: ThreadPool
    /// The tokens that end a text that the model writes.
    public var endTokens: [Int]
    /// How keys and values are kept.
    public var cacheType = CacheType.float16
    let rotation: RotaryTable

    /// A model from its parts.
    public init(
        configuration: ModelConfiguration, embedding: any RowDecodable, layers: [DecoderLayer], finalNorm: [Float],
        head: any LinearOperator, pool: ThreadPool
    ) {
        self.configuration = configuration
        self.embedding = embedding
        self.layers = layers
        self.finalNorm = finalNorm
        self.head = head
        self.pool = pool
        endTokens = configuration.eosTokens
        rotation = RotaryTable(inverseFrequencies: configuration.inverseFrequencies())
    }

    /// The state of a sequence of which nothing was read yet.
    public func makeState() -> SequenceState {
        SequenceState(
            stores: layers.map { _ in
                PlainKeyValueStore(
                    headCount: configuration.keyValueHeadCount, headSize: configuration.headSize, type: cacheType)
            })
    }

    /// The number of weights: what bits per weight are counted over.
    public var weightCount: Int { configuration.weightCount }

    /// Exactly how many bits the weights occupy in their files.
    public var storedBits: Int { bits(\.storedBits) }
    /// Exactly how many bits the weights occupy in memory.
    public var memoryBits: Int { bits(\.memoryBits) }

    private func bits(_ bits: (any LinearOperator) -> Int) -> Int {
        let norms = (layers.count * 2 + 1) * configuration.hiddenSize * 32
        let operators = layers.reduce(0) { sum, layer in
            sum + LinearSite.allCases.reduce(0) { $0 + bits(layer[$1]) }
        }
        return norms + operators + bits(embedding) + (configuration.tiesEmbeddings ? 0 : bits(head))
    }
}

/// How far a sequence was read: the keys and values of every layer.
public struct SequenceState: Sendable {
    /// One store for each layer.
    public var stores: [any KeyValueStore]

    /// A state from stores, one for each layer.
    public init(stores: [any KeyValueStore]) { self.stores = stores }

    /// Positions read.
    public var position: Int { stores.first?.count ?? 0 }
    /// The bits of all stores.
    public var storedBits: Int { stores.reduce(0) { $0 + $1.storedBits } }

    /// Forgets all but the first `count` positions.
    public mutating func truncate(to count: Int) {
        for i in stores.indices { stores[i].truncate(to: count) }
    }
}

extension LinearSite {
    /// The place among all sites.
    var index: Int {
        switch self {
        case .query: 0
        case .key: 1
        case .value: 2
        case .output: 3
        case .gate: 4
        case .up: 5
        case .down: 6
        }
    }
}
