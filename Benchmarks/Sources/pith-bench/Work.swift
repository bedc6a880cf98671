import Pith

/// What a model has to do at least for a token: what its speed is bounded by.
struct Work: Sendable {
    /// Tokens of the prompt.
    let prefill: Int
    /// Tokens that are written one by one into an empty context.
    let decode: Int
    /// Bytes that are read for a written token: all matrices, one row of an untied embedding, the mean cache.
    let decodeBytes: Double
    /// Multiply-adds with weights for a token of the prompt. Those of attention are not counted: the bound is above.
    let prefillMultiplyAdds: Double
    /// What they are done in.
    let arithmetic: Arithmetic

    /// The work of one of Pith's models; `cacheBytes` is what its cache holds after `decode` tokens.
    init(_ model: LanguageModel, _ layout: Layout, prefill: Int, decode: Int, cacheBytes: Int) {
        let c = model.configuration
        let description = model.description
        let layers = description.layers.indices.flatMap { description.matrices(ofLayer: $0) }
            .reduce(0) { $0 + model[matrix: $1].storedBits }
        let head = description.output.map { model[matrix: $0.matrix].storedBits } ?? 0
        let row = c.tiesEmbeddings ? 0 : model[matrix: description.input.table].storedBits / c.vocabularySize
        self.init(
            c, matrixBytes: Double(layers + head + row) / 8, cacheBytes: cacheBytes,
            density: layout.density, layout.arithmetic, prefill: prefill, decode: decode)
    }

    /// The work of another program on a file of one type.
    init(_ configuration: ModelConfiguration, _ type: GGUFType, prefill: Int, decode: Int) {
        let c = configuration
        let weights = c.layerWeightCount * c.layerCount + c.vocabularySize * c.hiddenSize
        let row = c.tiesEmbeddings ? 0 : c.hiddenSize
        // Keys and values are kept in F16 there.
        let cacheBytes = decode * c.layerCount * 2 * c.keyValueHeadCount * c.headDimension * 2
        self.init(
            c, matrixBytes: Double(weights + row) * type.bitsPerWeight / 8, cacheBytes: cacheBytes, density: 1,
            type.arithmetic, prefill: prefill, decode: decode)
    }

    private init(
        _ configuration: ModelConfiguration, matrixBytes: Double, cacheBytes: Int, density: Double,
        _ arithmetic: Arithmetic, prefill: Int, decode: Int
    ) {
        let c = configuration
        let norms = Double((2 * c.layerCount + 1) * c.hiddenSize * 4)
        self.prefill = prefill
        self.decode = decode
        // The cache grows from nothing, so that half of it is read on average.
        decodeBytes = matrixBytes + norms + Double(cacheBytes) / 2
        // Logits are computed for the last token of a prompt only.
        let head = Double(c.vocabularySize * c.hiddenSize) / Double(prefill)
        prefillMultiplyAdds = Double(c.layerWeightCount * c.layerCount) * density + head
        self.arithmetic = arithmetic
    }

    /// The most tokens per second that limits allow.
    func bound(_ limits: Limits) -> Speeds {
        Speeds(
            prefill: limits.multiplyAddsPerSecond / prefillMultiplyAdds, decode: limits.bytesPerSecond / decodeBytes)
    }
}

extension ModelConfiguration {
    /// The parameters of a Llama of these sizes.
    var parameters: [ParameterSpec] { Llama(self).describe().parameters }

    /// The weights of the matrices of a layer.
    var layerWeightCount: Int {
        let description = Llama(self).describe()
        return description.matrices(ofLayer: 0).reduce(0) { $0 + description[$1].count }
    }
}

/// Tokens per second.
struct Speeds: Codable, Sendable {
    /// When a prompt is read at once.
    var prefill: Double
    /// When tokens are written one after the other.
    var decode: Double
}
