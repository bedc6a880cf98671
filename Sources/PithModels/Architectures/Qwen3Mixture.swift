import PithCore
import PithFormats

/// Qwen 3 with experts (Yang et al. 2025): as Qwen 3, with routed experts in the place of the feed-forward part.
struct Qwen3Mixture: Architecture {
    static let modelTypes = ["qwen3_moe"]
    static let classNames = ["Qwen3MoeForCausalLM"]
    static let ggufNames = ["qwen3moe"]

    let configuration: ModelConfiguration
    private let windows: LayerWindows
    private let experts: Experts
    private let layers: SparseLayers
    private let hasBias: Bool
    private let activation: Activation

    init(_ keys: JSONReader) throws(PithError) {
        configuration = try ModelConfiguration(keys)
        activation = try keys.activation("hidden_act", default: .silu)
        try keys.refusePartialRotation()
        windows = try LayerWindows(used: keys, configuration) { _ in true }
        hasBias = try keys.optional("attention_bias")?.flag() ?? false
        experts = try Experts(
            keys, .qwen, layerCount: configuration.layerCount,
            intermediateSize: keys.size("moe_intermediate_size") ?? 768, isNormalized: false)
        layers = try SparseLayers(keys)
    }

    /// What GGUF files leave unsaid.
    static func complete(_ keys: inout JSONObject, from file: GGUFFile) { keys["norm_topk_prob"] = true }

    func describe() -> ModelDescription {
        let (layers, experts) = (layers, experts)
        var decoder = GatedDecoder(configuration)
        (decoder.hasInputBias, decoder.hasOutputBias, decoder.hasHeadNorms) = (hasBias, hasBias, true)
        (decoder.window, decoder.activation) = (windows.window, activation)
        decoder.experts = { layers.contains($0) ? experts : nil }
        return decoder.describe()
    }
}
