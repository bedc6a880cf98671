import PithCore
import PithFormats

/// BERT (Devlin et al. 2019): an encoder, whose tokens see each other in both directions. What a pre-training head makes
/// of its hidden states is left out.
struct Bert: Architecture {
    static let modelTypes = ["bert"]
    static let classNames = ["BertModel", "BertForMaskedLM", "BertForPreTraining"]
    static let ggufNames = ["bert"]

    let configuration: ModelConfiguration
    private let activation: Activation
    private let typeCount: Int

    /// Stands before the names of parameters where a model has a head.
    private static let prefix = "bert."

    init(_ keys: JSONReader) throws(PithError) {
        var configuration = try ModelConfiguration(keys)
        configuration.normEpsilon = try keys.optional("layer_norm_eps")?.real(in: 0...1) ?? 1e-12
        guard configuration.headCount * configuration.headDimension == configuration.hiddenSize,
            configuration.keyValueHeadCount == configuration.headCount
        else { throw keys.failure("the heads do not have the width of the hidden states together") }
        self.configuration = configuration
        try keys.require("position_embedding_type", "absolute")
        try keys.refuseFlag("is_decoder")
        try keys.refuseFlag("add_cross_attention")
        activation = try keys.activation("hidden_act", default: .gelu)
        typeCount = try keys.optional("type_vocab_size")?.integer(in: 1...ModelConfiguration.sizeLimit) ?? 2
    }

    static func complete(_ keys: inout JSONObject, from file: GGUFFile) {
        keys["layer_norm_eps"] = keys["rms_norm_eps"]
        keys["type_vocab_size"] = file[tensor: "token_types.weight"]?.shape.first.map { .integer($0) }
    }

    /// The pooler and the heads of pre-training, and positions that follow from their number.
    static func isUnused(_ name: String) -> Bool {
        let own = name.hasPrefix(prefix) ? String(name.dropFirst(prefix.count)) : name
        return own.hasPrefix("pooler.") || name.hasPrefix("cls.") || own == "embeddings.position_ids"
            || own == "embeddings.token_type_ids"
    }

    func describe() -> ModelDescription {
        let c = configuration
        var description = ModelDescription(layerCount: c.layerCount, layers: "bert.encoder.layer") { list in
            func table(_ name: String, _ gguf: String, _ rows: Int) -> ParameterID {
                list.table("bert.embeddings.\(name).weight", gguf: "\(gguf).weight", rows, c.hiddenSize)
            }
            let words = table("word_embeddings", "token_embd", c.vocabularySize)
            let positions = table("position_embeddings", "position_embd", c.contextLength)
            // Only pairs of texts have tokens of another type than the first.
            let types = table("token_type_embeddings", "token_types", typeCount)
            return TokenInput(
                table: words, others: [(positions, .position(offset: 0)), (types, .row(0))],
                norm: list.layerNorm(
                    "bert.embeddings.LayerNorm", gguf: "token_embd_norm", c.hiddenSize, epsilon: c.normEpsilon))
        } layer: { index, list in
            return layer(&list)
        } output: { _, _ in
            nil
        }
        description.optionalPrefix = Self.prefix
        return description
    }

    private func layer(_ list: inout ModelDescription.Parameters) -> EncoderLayer {
        let c = configuration
        let (width, units) = (c.hiddenSize, c.intermediateSize)
        func linear(_ name: String, _ gguf: String, _ outputs: Int, _ inputs: Int, entersStream: Bool = false) -> Linear
        {
            list.linear(name, gguf: gguf, outputs, inputs, hasBias: true, entersStream: entersStream)
        }
        let query = linear("attention.self.query", "attn_q", width, width)
        let key = linear("attention.self.key", "attn_k", width, width)
        let value = linear("attention.self.value", "attn_v", width, width)
        let output = linear("attention.output.dense", "attn_output", width, width, entersStream: true)
        let attentionNorm = list.layerNorm(
            "attention.output.LayerNorm", gguf: "attn_output_norm", width, epsilon: c.normEpsilon)
        let up = linear("intermediate.dense", "ffn_up", units, width)
        let down = linear("output.dense", "ffn_down", width, units, entersStream: true)
        let shape = CacheShape(headCount: c.headCount, headDimension: c.headDimension)
        return EncoderLayer(
            attention: SelfAttention(
                input: .separate(query: query, key: key, value: value), output: output,
                options: AttentionOptions(
                    headCount: c.headCount, cacheShape: shape, cache: list.cache(shape), isCausal: false)),
            attentionNorm: attentionNorm,
            feedForward: PlainFeedForward(up: up, down: down, activation: activation),
            feedForwardNorm: list.layerNorm(
                "output.LayerNorm", gguf: "layer_output_norm", width, epsilon: c.normEpsilon))
    }
}
