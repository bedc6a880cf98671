import PithCore
import PithFormats

/// Llama (Touvron et al. 2023, Dubey et al. 2024), Mistral (Jiang et al. 2023) and Mixtral (Jiang et al. 2024): RMSNorm,
/// rotary positions, grouped-query attention, in Mistral's case within a window, and a gated feed-forward part, in
/// Mixtral's case of several experts.
public struct Llama: GatedArchitecture {
    /// As `config.json` calls them.
    public static let modelTypes = ["llama", "mistral", "mixtral"]
    /// The classes that write on.
    public static let classNames = ["LlamaForCausalLM", "MistralForCausalLM", "MixtralForCausalLM"]
    /// As GGUF files call them.
    public static let ggufNames = ["llama"]

    let decoder: GatedDecoder

    /// The sizes.
    public var configuration: ModelConfiguration { decoder.configuration }

    /// The plain family, without biases and windows.
    public init(_ configuration: ModelConfiguration) {
        var decoder = GatedDecoder(configuration)
        decoder.pairsRows = true
        self.decoder = decoder
    }

    /// Reads a configuration.
    public init(_ keys: JSONReader) throws(PithError) {
        var decoder = try GatedDecoder(keys)
        decoder.pairsRows = true
        let isLeftOut = try keys.object()["sliding_window"] == nil
        // Where it is left out, and not null, Mistral has a window all the same.
        let window: Int? =
            switch try keys.optional("model_type")?.text() {
            case "mistral": isLeftOut ? 4096 : try keys.positive("sliding_window")
            case "mixtral": try keys.positive("sliding_window")
            default: nil
            }
        decoder.window = { _ in window }
        // GGUF files call all of them llama.
        if try keys.optional("num_local_experts") != nil {
            let sizes = decoder.configuration
            let experts = try Experts(
                keys, .mixtral, layerCount: sizes.layerCount, intermediateSize: sizes.intermediateSize,
                isNormalized: true)
            decoder.experts = { _ in experts }
        }
        try decoder.readAttentionBias(keys)
        decoder.hasFeedForwardBias = try keys.optional("mlp_bias")?.flag() ?? false
        self.decoder = decoder
    }

    /// What `config.json` says of the plain family with some sizes, as versions 4 and 5 of `transformers` read it.
    public static func document(_ configuration: ModelConfiguration) -> JSONValue {
        var keys: JSONObject = [
            "architectures": [.string(classNames[0])], "model_type": .string(modelTypes[0]), "attention_bias": false,
            "mlp_bias": false, "hidden_act": "silu",
        ]
        for (key, value) in configuration.keys.members { keys[key] = value }
        return .object(keys)
    }

    /// The parameters and the blocks.
    public func describe() -> ModelDescription { decoder.describe() }

    /// GGUF files say by their tensors alone whether there are biases.
    public static func complete(_ keys: inout JSONObject, from file: GGUFFile) {
        keys["attention_bias"] = .bool(file[tensor: "blk.0.attn_output.bias"] != nil)
        keys["mlp_bias"] = .bool(file[tensor: "blk.0.ffn_down.bias"] != nil)
    }
}
