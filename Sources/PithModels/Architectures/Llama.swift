import PithCore
import PithFormats

/// Llama (Touvron et al. 2023, Dubey et al. 2024), Mistral (Jiang et al. 2023) and Mixtral (Jiang et al. 2024): RMSNorm,
/// rotary positions, grouped-query attention, in Mistral's case within a window, and a gated feed-forward part, in
/// Mixtral's case of several experts.
public struct Llama: Architecture {
    /// As `config.json` calls them.
    public static let modelTypes = ["llama", "mistral", "mixtral"]
    /// The classes that write on.
    public static let classNames = ["LlamaForCausalLM", "MistralForCausalLM", "MixtralForCausalLM"]
    /// As GGUF files call them.
    public static let ggufNames = ["llama"]

    /// The sizes.
    public let configuration: ModelConfiguration
    private let window: Int?
    private let hasAttentionBias: Bool
    private let hasFeedForwardBias: Bool
    private let experts: Experts?
    private let activation: Activation

    /// The plain family, without biases and windows.
    public init(_ configuration: ModelConfiguration) {
        self.configuration = configuration
        (window, hasAttentionBias, hasFeedForwardBias, experts, activation) = (nil, false, false, nil, .silu)
    }

    /// Reads a configuration.
    public init(_ keys: JSONReader) throws(PithError) {
        configuration = try ModelConfiguration(keys)
        activation = try keys.activation("hidden_act", default: .silu)
        try keys.refusePartialRotation()
        let type = try keys.optional("model_type")?.text()
        let isLeftOut = try keys.object()["sliding_window"] == nil
        // Where it is left out, and not null, Mistral has a window all the same.
        window =
            switch type {
            case "mistral": isLeftOut ? 4096 : try keys.positive("sliding_window")
            case "mixtral": try keys.positive("sliding_window")
            default: nil
            }
        // GGUF files call all of them llama.
        experts =
            try keys.optional("num_local_experts") == nil
            ? nil
            : try Experts(
                keys, .mixtral, layerCount: configuration.layerCount,
                intermediateSize: configuration.intermediateSize, isNormalized: true)
        hasAttentionBias = try keys.optional("attention_bias")?.flag() ?? false
        hasFeedForwardBias = try keys.optional("mlp_bias")?.flag() ?? false
    }

    /// The parameters and the blocks.
    public func describe() -> ModelDescription {
        var decoder = GatedDecoder(configuration)
        (decoder.hasInputBias, decoder.hasOutputBias) = (hasAttentionBias, hasAttentionBias)
        decoder.hasFeedForwardBias = hasFeedForwardBias
        (decoder.pairsRows, decoder.activation) = (true, activation)
        let (window, experts) = (window, experts)
        decoder.window = { _ in window }
        decoder.experts = { _ in experts }
        return decoder.describe()
    }
}
