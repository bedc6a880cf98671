import PithCore
import PithFormats

/// Llama (Touvron et al. 2023, Dubey et al. 2024) and Mistral (Jiang et al. 2023): RMSNorm, rotary positions,
/// grouped-query attention, in Mistral's case within a window, and a gated feed-forward part.
public struct Llama: Architecture {
    /// As `config.json` calls them.
    public static let modelTypes = ["llama", "mistral"]
    /// The classes that write on.
    public static let classNames = ["LlamaForCausalLM", "MistralForCausalLM"]
    /// As GGUF files call them.
    public static let ggufNames = ["llama"]

    /// The sizes.
    public let configuration: ModelConfiguration
    private let window: Int?
    private let hasAttentionBias: Bool
    private let hasFeedForwardBias: Bool

    /// The plain family, without biases and windows.
    public init(_ configuration: ModelConfiguration) {
        self.configuration = configuration
        (window, hasAttentionBias, hasFeedForwardBias) = (nil, false, false)
    }

    /// Reads a configuration.
    public init(_ keys: JSONReader) throws(PithError) {
        configuration = try ModelConfiguration(keys)
        try keys.require("hidden_act", "silu")
        try keys.refusePartialRotation()
        let isMistral = try keys.optional("model_type")?.text() == "mistral"
        let isLeftOut = try keys.object()["sliding_window"] == nil
        // Where it is left out, and not null, Mistral has a window all the same.
        window = isMistral ? (isLeftOut ? 4096 : try keys.positive("sliding_window")) : nil
        hasAttentionBias = try keys.optional("attention_bias")?.flag() ?? false
        hasFeedForwardBias = try keys.optional("mlp_bias")?.flag() ?? false
    }

    /// The parameters and the blocks.
    public func describe() -> ModelDescription {
        var decoder = GatedDecoder(configuration)
        (decoder.hasInputBias, decoder.hasOutputBias) = (hasAttentionBias, hasAttentionBias)
        decoder.hasFeedForwardBias = hasFeedForwardBias
        decoder.pairsRows = true
        let window = window
        decoder.window = { _ in window }
        return decoder.describe()
    }
}
