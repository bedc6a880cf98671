import PithCore
import PithFormats

/// Gemma 3 (Gemma team 2025), text: as Gemma 2, with norms of queries and keys in the place of caps, and a window with
/// angles of its own in five of six layers.
struct Gemma3: Architecture {
    static let modelTypes = ["gemma3_text"]
    static let classNames = ["Gemma3ForCausalLM"]
    static let ggufNames = ["gemma3"]

    let configuration: ModelConfiguration
    private let windows: LayerWindows
    private let scoreDivisor: Double
    private let localTheta: Double
    private let softcaps: (scores: Float?, logits: Float?)

    init(_ keys: JSONReader) throws(PithError) {
        // The newer generation has the angles of both kinds of layers in one key.
        let rotary = try keys.optional("rope_parameters")
        let ofAll = try rotary?.optional("full_attention")
        var configuration = try ModelConfiguration(keys, headDimension: 256, ropeTheta: 1e6, tiesEmbeddings: true)
        if let ofAll {
            configuration.ropeTheta = try ofAll.optional("rope_theta")?.real(in: 1...1e12) ?? 1e6
            configuration.ropeScaling = try RotaryScaling(ofAll, contextLength: configuration.contextLength)
        }
        self.configuration = configuration
        try keys.requireGELU()
        try keys.refusePartialRotation()
        try keys.refuseFlag("attention_bias")
        try keys.refuseFlag("use_bidirectional_attention")
        let period = try keys.optional("sliding_window_pattern", "_sliding_window_pattern")?.integer(in: 1...4096) ?? 6
        windows = try LayerWindows(keys, configuration, default: 4096) { ($0 + 1) % period != 0 }
        scoreDivisor = try keys.optional("query_pre_attn_scalar")?.real(in: 1e-3...1e6) ?? 256
        let local = try rotary?.optional("sliding_attention")?.optional("rope_theta")
        let theta = if let local { local } else { try keys.optional("rope_local_base_freq") }
        localTheta = try theta?.real(in: 1...1e12) ?? 10000
        softcaps = (
            try keys.softcap("attn_logit_softcapping", default: nil),
            try keys.softcap("final_logit_softcapping", default: nil)
        )
    }

    /// What GGUF files leave unsaid.
    static func complete(_ keys: inout JSONObject, from file: GGUFFile) { keys.addGemmaScoreDivisor(largest: 62) }

    func describe() -> ModelDescription {
        let (c, windows, localTheta) = (configuration, windows, localTheta)
        var decoder = GatedDecoder(gemma: c, scoreDivisor: scoreDivisor)
        (decoder.hasHeadNorms, decoder.softcaps) = (true, softcaps)
        decoder.window = windows.window
        decoder.rotary = { layer in
            windows.window(layer) == nil
                ? RotaryOptions(headDimension: c.headDimension, theta: c.ropeTheta, scaling: c.ropeScaling)
                : RotaryOptions(headDimension: c.headDimension, theta: localTheta)
        }
        return decoder.describe()
    }
}
