import PithCore
import PithFormats

/// Qwen 1.5 and 2 with experts (Yang et al. 2024): as Qwen 2, with routed experts and one that all tokens go to.
struct Qwen2Mixture: GatedArchitecture {
    static let modelTypes = ["qwen2_moe"]
    static let classNames = ["Qwen2MoeForCausalLM"]
    static let ggufNames = ["qwen2moe"]

    let decoder: GatedDecoder

    init(_ keys: JSONReader) throws(PithError) {
        var decoder = try GatedDecoder(keys)
        let end = try keys.optional("max_window_layers")?.integer(in: 0...Int.max) ?? 28
        decoder.window = try LayerWindows(used: keys, decoder.configuration) { $0 % 2 == 0 && $0 < end }.window
        decoder.hasInputBias = try keys.optional("qkv_bias")?.flag() ?? true
        decoder.experts = try SparseExperts(
            keys, layerCount: decoder.configuration.layerCount,
            intermediateSize: keys.size("moe_intermediate_size") ?? 1408,
            sharedSize: keys.size("shared_expert_intermediate_size") ?? 5632
        ).experts(ofLayer:)
        self.decoder = decoder
    }
}
