import PithCore
import PithFormats

/// GPT-NeoX and Pythia (Black et al. 2022): LayerNorm, angles for a part of each head, attention and feed-forward part
/// side by side, and one matrix in which each head's query, key and value stand together.
struct GPTNeoX: Architecture {
    static let modelTypes = ["gpt_neox"]
    static let classNames = ["GPTNeoXForCausalLM"]
    static let ggufNames = ["gptneox"]

    let configuration: ModelConfiguration
    private let activation: Activation
    private let rotatedSize: Int
    private let isParallel: Bool
    private let hasAttentionBias: Bool

    init(_ keys: JSONReader) throws(PithError) {
        var object = try keys.object()
        for (own, usual) in [("rotary_emb_base", "rope_theta"), ("layer_norm_eps", "rms_norm_eps")]
        where object[usual] == nil { object[usual] = object[own] }
        object["rms_norm_eps"] = object["rms_norm_eps"] ?? .real(1e-5)
        configuration = try ModelConfiguration(JSONReader(.object(object)))
        activation = try keys.activation("hidden_act", default: .gelu)
        rotatedSize = try keys.rotatedSize(headDimension: configuration.headDimension, default: 0.25)
        isParallel = try keys.optional("use_parallel_residual")?.flag() ?? true
        hasAttentionBias = try keys.optional("attention_bias")?.flag() ?? true
    }

    func describe() -> ModelDescription {
        let c = configuration
        return ModelDescription(layerCount: c.layerCount, layers: "gpt_neox.layers") { list in
            TokenInput(
                table: list.table(
                    "gpt_neox.embed_in.weight", gguf: "token_embd.weight", c.vocabularySize, c.hiddenSize))
        } layer: { index, list in
            return layer(&list)
        } output: { input, list in
            TokenOutput(
                norm: list.layerNorm(
                    "gpt_neox.final_layer_norm", gguf: "output_norm", c.hiddenSize, epsilon: c.normEpsilon),
                matrix: list.head(c, tiedTo: input, name: "embed_out.weight", otherNames: ["lm_head.weight"]))
        }
    }

    private func layer(_ list: inout ModelDescription.Parameters) -> DecoderLayer {
        let c = configuration
        let (hidden, units, epsilon) = (c.hiddenSize, c.intermediateSize, c.normEpsilon)
        let attentionNorm = list.layerNorm("input_layernorm", gguf: "attn_norm", hidden, epsilon: epsilon)
        // GGUF files have all queries first, then all keys, then all values.
        let input = list.linear(
            "attention.query_key_value", gguf: "attn_qkv", 3 * hidden, hidden, hasBias: hasAttentionBias,
            ggufOrder: .joiningHeads(c.headCount, of: c.headDimension))
        let output = list.linear(
            "attention.dense", gguf: "attn_output", hidden, hidden, hasBias: hasAttentionBias, entersStream: true)
        let feedForwardNorm = list.layerNorm("post_attention_layernorm", gguf: "ffn_norm", hidden, epsilon: epsilon)
        let shape = CacheShape(headCount: c.headCount, headDimension: c.headDimension)
        return DecoderLayer(
            attentionNorm: attentionNorm,
            attention: SelfAttention(
                input: .fused(input, groups: c.headCount), output: output,
                options: AttentionOptions(
                    headCount: c.headCount, cacheShape: shape, cache: list.cache(shape),
                    rotary: list.rotary(
                        RotaryOptions(c, rotatedSize: rotatedSize)))),
            feedForwardNorm: feedForwardNorm,
            feedForward: PlainFeedForward(
                up: list.linear("mlp.dense_h_to_4h", gguf: "ffn_up", units, hidden, hasBias: true),
                down: list.linear(
                    "mlp.dense_4h_to_h", gguf: "ffn_down", hidden, units, hasBias: true, entersStream: true),
                activation: activation),
            isParallel: isParallel)
    }
}
