import PithCore
import PithFormats

/// Qwen 3 with experts (Yang et al. 2025): as Qwen 3, with routed experts in the place of the feed-forward part.
struct Qwen3Mixture: GatedArchitecture {
    static let modelTypes = ["qwen3_moe"]
    static let classNames = ["Qwen3MoeForCausalLM"]
    static let ggufNames = ["qwen3moe"]

    let decoder: GatedDecoder

    init(_ keys: JSONReader) throws(PithError) {
        var decoder = try GatedDecoder(keys)
        decoder.hasHeadNorms = true
        decoder.window = try LayerWindows(used: keys, decoder.configuration) { _ in true }.window
        try decoder.readAttentionBias(keys)
        decoder.experts = try SparseExperts(
            keys, layerCount: decoder.configuration.layerCount,
            intermediateSize: keys.size("moe_intermediate_size") ?? 768
        ).experts(ofLayer:)
        self.decoder = decoder
    }

    /// What GGUF files leave unsaid.
    static func complete(_ keys: inout JSONObject, from file: GGUFFile) { keys["norm_topk_prob"] = true }
}
