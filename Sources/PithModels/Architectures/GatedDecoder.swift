import PithCore
import PithFormats

/// A family whose models are gated decoders: it reads the options of one.
protocol GatedArchitecture: Architecture {
    /// The options of the model.
    var decoder: GatedDecoder { get }
}

extension GatedArchitecture {
    var configuration: ModelConfiguration { decoder.configuration }

    func describe() -> ModelDescription { decoder.describe() }
}

/// What the decoders that descend from Llama have in common: their folders and GGUF files call the same parameters by
/// the same names. Each of these families is some of these options.
struct GatedDecoder: Sendable {
    let configuration: ModelConfiguration
    /// Biases of the query, key and value projections.
    var hasInputBias = false
    /// A bias of attention's output projection.
    var hasOutputBias = false
    /// Biases of the feed-forward part.
    var hasFeedForwardBias = false
    /// Queries, keys and values come from one matrix, gates and hidden units from another.
    var isFused = false
    /// Norms of each head's query and key.
    var hasHeadNorms = false
    /// Norms behind attention and behind the feed-forward part.
    var hasOutputNorms = false
    /// How folders store the weights of norms.
    var normArrangement = ParameterSpec.Arrangement.plain
    /// Whether GGUF files have those rows of queries and keys side by side that are rotated together.
    var pairsRows = false
    /// What the gate goes through.
    var activation = Activation.silu
    /// Multiplies token vectors.
    var embeddingScale: Float = 1
    /// What scores are divided by the root of; nil for the head size.
    var scoreDivisor: Double?
    /// The caps of scores and logits.
    var softcaps: (scores: Float?, logits: Float?) = (nil, nil)
    /// The window of a layer, nil for none.
    var window: @Sendable (_ layer: Int) -> Int? = { _ in nil }
    /// The angles of a layer; nil for those of the configuration.
    var rotary: (@Sendable (_ layer: Int) -> RotaryOptions)?
    /// The experts of a layer; nil where it has one feed-forward part for all rows.
    var experts: @Sendable (_ layer: Int) -> Experts? = { _ in nil }

    init(_ configuration: ModelConfiguration) { self.configuration = configuration }

    /// What most of the families read alike: the sizes, the gate's function, and that heads are rotated as a whole.
    init(_ keys: JSONReader, headDimension: Int? = nil) throws(PithError) {
        self.init(try ModelConfiguration(keys, headDimension: headDimension))
        activation = try keys.activation("hidden_act", default: .silu)
        try keys.refusePartialRotation()
    }

    /// Biases of attention where the key `attention_bias` says so.
    mutating func readAttentionBias(_ keys: JSONReader) throws(PithError) {
        let flag = try keys.optional("attention_bias")?.flag() ?? false
        (hasInputBias, hasOutputBias) = (flag, flag)
    }

    func describe() -> ModelDescription {
        let c = configuration
        return ModelDescription(layerCount: c.layerCount, layers: "model.layers") { list in
            TokenInput(
                table: list.table(
                    "model.embed_tokens.weight", gguf: "token_embd.weight", c.vocabularySize, c.hiddenSize),
                scale: embeddingScale)
        } layer: { index, list in
            return layer(index, &list)
        } output: { input, list in
            TokenOutput(
                norm: norm("model.norm", gguf: "output_norm", c.hiddenSize, &list),
                matrix: list.head(c, tiedTo: input),
                softcap: softcaps.logits)
        }
    }

    private typealias List = ModelDescription.Parameters

    private func layer(_ index: Int, _ list: inout List) -> DecoderLayer {
        let c = configuration
        // In the order in which they are used.
        let attentionNorm = norm("input_layernorm", gguf: "attn_norm", c.hiddenSize, &list)
        let attention = attention(index, &list)
        let attentionOutputNorm =
            hasOutputNorms ? norm("post_attention_layernorm", gguf: "post_attention_norm", c.hiddenSize, &list) : nil
        let feedForwardNorm = norm(
            hasOutputNorms ? "pre_feedforward_layernorm" : "post_attention_layernorm", gguf: "ffn_norm", c.hiddenSize,
            &list)
        let feedForward: any FeedForward =
            if let experts = experts(index) {
                experts.describe(hiddenSize: c.hiddenSize, activation, &list)
            } else { feedForward(&list) }
        let feedForwardOutputNorm =
            hasOutputNorms ? norm("post_feedforward_layernorm", gguf: "post_ffw_norm", c.hiddenSize, &list) : nil
        return DecoderLayer(
            attentionNorm: attentionNorm, attention: attention, attentionOutputNorm: attentionOutputNorm,
            feedForwardNorm: feedForwardNorm, feedForward: feedForward, feedForwardOutputNorm: feedForwardOutputNorm)
    }

    private func attention(_ index: Int, _ list: inout List) -> SelfAttention {
        let c = configuration
        let input = attentionInput(&list)
        let output = linear(
            "self_attn.o_proj", "attn_output", c.hiddenSize, c.headCount * c.headDimension, hasOutputBias, &list,
            entersStream: true)
        // One that is as long as the context hides nothing.
        let window = window(index).flatMap { $0 < c.contextLength ? $0 : nil }
        let shape = CacheShape(headCount: c.keyValueHeadCount, headDimension: c.headDimension, window: window)
        return SelfAttention(
            input: input, output: output,
            queryNorm: hasHeadNorms ? norm("self_attn.q_norm", gguf: "attn_q_norm", c.headDimension, &list) : nil,
            keyNorm: hasHeadNorms ? norm("self_attn.k_norm", gguf: "attn_k_norm", c.headDimension, &list) : nil,
            options: AttentionOptions(
                headCount: c.headCount, cacheShape: shape, cache: list.cache(shape),
                rotary: list.rotary(
                    rotary?(index) ?? RotaryOptions(c)),
                scale: scoreDivisor.map { 1 / Float($0).squareRoot() }, softcap: softcaps.scores))
    }

    private func attentionInput(_ list: inout List) -> SelfAttention.Input {
        let c = configuration
        let (queryWidth, keyWidth) = (c.headCount * c.headDimension, c.keyValueHeadCount * c.headDimension)
        if isFused {
            let fused = linear(
                "self_attn.qkv_proj", "attn_qkv", queryWidth + 2 * keyWidth, c.hiddenSize, hasInputBias, &list)
            return .fused(fused, groups: 1)
        }
        let halves: RowOrder = pairsRows ? .unpairingHeads(of: c.headDimension) : .stored
        return .separate(
            query: linear("self_attn.q_proj", "attn_q", queryWidth, c.hiddenSize, hasInputBias, &list, gguf: halves),
            key: linear("self_attn.k_proj", "attn_k", keyWidth, c.hiddenSize, hasInputBias, &list, gguf: halves),
            value: linear("self_attn.v_proj", "attn_v", keyWidth, c.hiddenSize, hasInputBias, &list))
    }

    private func feedForward(_ list: inout List) -> GatedFeedForward {
        let (hidden, units) = (configuration.hiddenSize, configuration.intermediateSize)
        let input: GatedFeedForward.Input =
            isFused
            ? .fused(
                linear("mlp.gate_up_proj", "ffn_up", 2 * units, hidden, hasFeedForwardBias, &list),
                intermediateSize: units)
            : .separate(
                gate: linear("mlp.gate_proj", "ffn_gate", units, hidden, hasFeedForwardBias, &list),
                up: linear("mlp.up_proj", "ffn_up", units, hidden, hasFeedForwardBias, &list))
        return GatedFeedForward(
            input: input,
            down: linear("mlp.down_proj", "ffn_down", hidden, units, hasFeedForwardBias, &list, entersStream: true),
            activation: activation)
    }

    private func norm(_ name: String, gguf: String, _ width: Int, _ list: inout List) -> Norm {
        .rms(
            list.normWeight("\(name).weight", gguf: "\(gguf).weight", width, arrangement: normArrangement),
            epsilon: configuration.normEpsilon)
    }

    private func linear(
        _ name: String, _ ggufName: String, _ outputs: Int, _ inputs: Int, _ hasBias: Bool, _ list: inout List,
        entersStream: Bool = false, gguf: RowOrder = .stored
    ) -> Linear {
        list.linear(
            name, gguf: ggufName, outputs, inputs, hasBias: hasBias, entersStream: entersStream, ggufOrder: gguf)
    }
}
