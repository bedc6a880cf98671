import PithCore
import PithFormats

/// Qwen 1.5 and 2 with experts (Yang et al. 2024): as Qwen 2, with routed experts and one that all tokens go to.
struct Qwen2Mixture: Architecture {
    static let modelTypes = ["qwen2_moe"]
    static let classNames = ["Qwen2MoeForCausalLM"]
    static let ggufNames = ["qwen2moe"]

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
        let end = try keys.optional("max_window_layers")?.integer(in: 0...Int.max) ?? 28
        windows = try LayerWindows(used: keys, configuration) { $0 % 2 == 0 && $0 < end }
        hasBias = try keys.optional("qkv_bias")?.flag() ?? true
        var experts = try Experts(
            keys, .qwen, layerCount: configuration.layerCount,
            intermediateSize: keys.size("moe_intermediate_size") ?? 1408, isNormalized: false)
        experts.sharedSize = try keys.size("shared_expert_intermediate_size") ?? 5632
        self.experts = experts
        layers = try SparseLayers(keys)
    }

    func describe() -> ModelDescription {
        let (layers, experts) = (layers, experts)
        var decoder = GatedDecoder(configuration)
        (decoder.hasInputBias, decoder.activation) = (hasBias, activation)
        decoder.window = windows.window
        decoder.experts = { layers.contains($0) ? experts : nil }
        return decoder.describe()
    }
}
