import PithCore
import PithFormats

/// BERT (Devlin et al. 2019): an encoder, whose tokens see each other in both directions. What a pre-training head makes
/// of its hidden states is left out.
struct Bert: Architecture {
    static let modelTypes = ["bert"]
    static let classNames = ["BertModel", "BertForMaskedLM", "BertForPreTraining"]
    /// Their tokenizers and pooling are not read yet.
    static let ggufNames: [String] = []

    let configuration: ModelConfiguration
    private let activation: Activation
    private let typeCount: Int

    /// Stands before the names of parameters where a model has a head.
    private static let prefix = "bert."

    init(_ keys: JSONReader) throws(PithError) {
        var configuration = try ModelConfiguration(keys)
        configuration.normEpsilon = try keys.optional("layer_norm_eps")?.real(in: 0...1) ?? 1e-12
        guard configuration.headCount * configuration.headSize == configuration.hiddenSize,
            configuration.keyValueHeadCount == configuration.headCount
        else { throw keys.failure("the heads do not have the width of the hidden states together") }
        self.configuration = configuration
        try keys.require("position_embedding_type", "absolute")
        try keys.refuseFlag("is_decoder")
        try keys.refuseFlag("add_cross_attention")
        activation = try Self.activation(keys)
        typeCount = try keys.optional("type_vocab_size")?.integer(in: 1...ModelConfiguration.sizeLimit) ?? 2
    }

    private static func activation(_ keys: JSONReader) throws(PithError) -> Activation {
        guard let function = try keys.optional("hidden_act") else { return .gelu }
        switch try function.text() {
        case "gelu": return .gelu
        case "gelu_new", "gelu_pytorch_tanh": return .geluTanh
        case "relu": return .relu
        case "silu", "swish": return .silu
        case let name:
            throw function.failure(
                "'\(name.shortened)' is not supported", remedy: "gelu, gelu_new, gelu_pytorch_tanh, relu and silu are")
        }
    }

    /// Models with a head have a prefix, and the oldest other names for the parameters of norms.
    static func storedName(of name: String, isThere: (String) -> Bool) -> String {
        var old = name
        for (new, before) in [("LayerNorm.weight", "LayerNorm.gamma"), ("LayerNorm.bias", "LayerNorm.beta")]
        where name.hasSuffix(new) {
            old = name.dropLast(new.count) + before
        }
        return [name, prefix + name, old, prefix + old].first(where: isThere) ?? name
    }

    /// The pooler and the heads of pre-training, and positions that follow from their number.
    static func isUnused(_ name: String) -> Bool {
        let own = name.hasPrefix(prefix) ? String(name.dropFirst(prefix.count)) : name
        return own.hasPrefix("pooler.") || name.hasPrefix("cls.") || own == "embeddings.position_ids"
            || own == "embeddings.token_type_ids"
    }

    func describe() -> ModelDescription {
        let c = configuration
        return ModelDescription(layerCount: c.layerCount) { list in
            list.prefixed("embeddings.", gguf: "")
            defer { list.prefixed("", gguf: "") }
            let words = list.table("word_embeddings.weight", gguf: nil, c.vocabularySize, c.hiddenSize)
            let positions = list.table("position_embeddings.weight", gguf: nil, c.contextLength, c.hiddenSize)
            // Only pairs of texts have tokens of another type than the first.
            let types = list.table("token_type_embeddings.weight", gguf: nil, typeCount, c.hiddenSize)
            return TokenInput(
                table: words, others: [(positions, .position(offset: 0)), (types, .row(0))],
                norm: norm("LayerNorm", &list))
        } layer: { index, list in
            list.prefixed("encoder.layer.\(index).", gguf: "")
            defer { list.prefixed("", gguf: "") }
            return layer(&list)
        } output: { _, _ in
            nil
        }
    }

    private typealias List = ModelDescription.Parameters

    private func layer(_ list: inout List) -> EncoderLayer {
        let c = configuration
        let width = c.hiddenSize
        let query = linear("attention.self.query", width, width, &list)
        let key = linear("attention.self.key", width, width, &list)
        let value = linear("attention.self.value", width, width, &list)
        let output = linear("attention.output.dense", width, width, &list, entersStream: true)
        let attentionNorm = norm("attention.output.LayerNorm", &list)
        let up = linear("intermediate.dense", c.intermediateSize, width, &list)
        let down = linear("output.dense", width, c.intermediateSize, &list, entersStream: true)
        let shape = CacheShape(headCount: c.headCount, headSize: c.headSize)
        return EncoderLayer(
            attention: SelfAttention(
                input: .separate(query: query, key: key, value: value), output: output, rotary: nil,
                options: AttentionOptions(
                    headCount: c.headCount, cacheShape: shape, cache: list.cache(shape), isCausal: false)),
            attentionNorm: attentionNorm,
            feedForward: PlainFeedForward(up: up, down: down, activation: activation),
            feedForwardNorm: norm("output.LayerNorm", &list))
    }

    private func norm(_ name: String, _ list: inout List) -> Norm {
        .layer(
            list.normWeight("\(name).weight", gguf: nil, configuration.hiddenSize),
            bias: list.bias("\(name).bias", gguf: nil, configuration.hiddenSize), epsilon: configuration.normEpsilon)
    }

    private func linear(
        _ name: String, _ outputs: Int, _ inputs: Int, _ list: inout List, entersStream: Bool = false
    ) -> Linear {
        Linear(
            list.matrix("\(name).weight", gguf: nil, outputs, inputs, entersStream: entersStream),
            bias: list.bias("\(name).bias", gguf: nil, outputs))
    }
}
