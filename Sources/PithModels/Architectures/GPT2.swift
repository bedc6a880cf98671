import PithCore
import PithFormats

/// GPT-2 (Radford et al. 2019): LayerNorm, learned positions, one matrix for queries, keys and values, and a plain
/// feed-forward part. Folders store matrices transposed.
struct GPT2: Architecture {
    static let modelTypes = ["gpt2"]
    static let classNames = ["GPT2LMHeadModel"]
    static let ggufNames = ["gpt2"]

    let configuration: ModelConfiguration
    private let activation: Activation
    private let scalesScores: Bool
    private let scalesByLayer: Bool

    /// The family's own words for what others call by the second ones.
    private static let words = [
        ("n_embd", "hidden_size"), ("n_layer", "num_hidden_layers"), ("n_head", "num_attention_heads"),
        ("n_positions", "max_position_embeddings"), ("n_inner", "intermediate_size"),
        ("layer_norm_epsilon", "rms_norm_eps"),
    ]

    init(_ keys: JSONReader) throws(PithError) {
        var object = try keys.object()
        for (own, usual) in Self.words where object[own] != nil { object[usual] = object[own] }
        if case .integer(let width)? = object["hidden_size"], object["intermediate_size"].isMissing {
            object["intermediate_size"] = .integer(4 * min(width, ModelConfiguration.sizeLimit))
        }
        object["rms_norm_eps"] = object["rms_norm_eps"] ?? .real(1e-5)
        configuration = try ModelConfiguration(JSONReader(.object(object)), tiesEmbeddings: true)
        activation = try keys.activation("activation_function", default: .geluTanh)
        scalesScores = try keys.optional("scale_attn_weights")?.flag() ?? true
        scalesByLayer = try keys.optional("scale_attn_by_inverse_layer_idx")?.flag() ?? false
        try keys.refuseFlag("add_cross_attention")
    }

    func describe() -> ModelDescription {
        let c = configuration
        var description = ModelDescription(layerCount: c.layerCount, layers: "transformer.h") { list in
            let table = list.table("transformer.wte.weight", gguf: "token_embd.weight", c.vocabularySize, c.hiddenSize)
            let positions = list.table(
                "transformer.wpe.weight", gguf: "position_embd.weight", c.contextLength, c.hiddenSize)
            return TokenInput(table: table, others: [(positions, .position(offset: 0))])
        } layer: { index, list in
            return layer(index, &list)
        } output: { input, list in
            TokenOutput(
                norm: list.layerNorm("transformer.ln_f", gguf: "output_norm", c.hiddenSize, epsilon: c.normEpsilon),
                matrix: list.head(c, tiedTo: input))
        }
        description.optionalPrefix = "transformer."
        return description
    }

    private func layer(_ index: Int, _ list: inout ModelDescription.Parameters) -> DecoderLayer {
        let c = configuration
        let (hidden, units) = (c.hiddenSize, c.intermediateSize)
        func linear(_ name: String, _ gguf: String, _ outputs: Int, _ inputs: Int, entersStream: Bool = false) -> Linear
        {
            list.linear(
                name, gguf: gguf, outputs, inputs, hasBias: true, entersStream: entersStream, arrangement: .transposed)
        }
        let attentionNorm = list.layerNorm("ln_1", gguf: "attn_norm", hidden, epsilon: c.normEpsilon)
        let input = linear("attn.c_attn", "attn_qkv", 3 * hidden, hidden)
        let output = linear("attn.c_proj", "attn_output", hidden, hidden, entersStream: true)
        let feedForwardNorm = list.layerNorm("ln_2", gguf: "ffn_norm", hidden, epsilon: c.normEpsilon)
        let shape = CacheShape(headCount: c.headCount, headDimension: c.headDimension)
        let scale = scalesScores ? 1 / Float(c.headDimension).squareRoot() : 1
        return DecoderLayer(
            attentionNorm: attentionNorm,
            attention: SelfAttention(
                input: .fused(input, groups: 1), output: output,
                options: AttentionOptions(
                    headCount: c.headCount, cacheShape: shape, cache: list.cache(shape),
                    scale: scalesByLayer ? scale / Float(index + 1) : scale)),
            feedForwardNorm: feedForwardNorm,
            feedForward: PlainFeedForward(
                up: linear("mlp.c_fc", "ffn_up", units, hidden),
                down: linear("mlp.c_proj", "ffn_down", hidden, units, entersStream: true), activation: activation))
    }
}

extension JSONValue? {
    /// Whether a key is missing or null.
    fileprivate var isMissing: Bool { self == nil || self == .some(.null) }
}
