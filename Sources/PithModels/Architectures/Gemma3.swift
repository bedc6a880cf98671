import PithCore
import PithFormats

/// Gemma 3 (Gemma team 2025), text: as Gemma 2, with norms of queries and keys in the place of caps, and a window with
/// angles of its own in five of six layers.
struct Gemma3: GatedArchitecture {
    static let modelTypes = ["gemma3_text"]
    static let classNames = ["Gemma3ForCausalLM"]
    static let ggufNames = ["gemma3"]

    let decoder: GatedDecoder

    init(_ keys: JSONReader) throws(PithError) {
        // The newer generation has the angles of both kinds of layers in one key.
        let rotary = try keys.optional("rope_parameters")
        let ofAll = try rotary?.optional("full_attention")
        var configuration = try ModelConfiguration(keys, headDimension: 256, ropeTheta: 1e6, tiesEmbeddings: true)
        if let ofAll {
            configuration.ropeTheta = try ofAll.optional("rope_theta")?.real(in: 1...1e12) ?? 1e6
            configuration.ropeScaling = try RotaryScaling(ofAll, contextLength: configuration.contextLength)
        }
        var decoder = try GatedDecoder(gemma: keys, configuration, softcaps: (nil, nil))
        decoder.hasHeadNorms = true
        try keys.refuseFlag("use_bidirectional_attention")
        let period = try keys.optional("sliding_window_pattern", "_sliding_window_pattern")?.integer(in: 1...4096) ?? 6
        let windows = try LayerWindows(keys, configuration, default: 4096) { ($0 + 1) % period != 0 }
        decoder.window = windows.window
        let local = try rotary?.optional("sliding_attention")?.optional("rope_theta")
        let theta = if let local { local } else { try keys.optional("rope_local_base_freq") }
        let localRotary = RotaryOptions(
            headDimension: configuration.headDimension, theta: try theta?.real(in: 1...1e12) ?? 10000)
        let fullRotary = RotaryOptions(configuration)
        decoder.rotary = { windows.window($0) == nil ? fullRotary : localRotary }
        self.decoder = decoder
    }

    /// What GGUF files leave unsaid.
    static func complete(_ keys: inout JSONObject, from file: GGUFFile) { keys.addGemmaScoreDivisor(largest: 62) }
}
