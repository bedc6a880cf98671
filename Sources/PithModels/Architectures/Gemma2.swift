import PithCore
import PithFormats

/// Gemma 2 (Gemma team 2024): norms before and behind each part, capped scores and logits, a window in every other
/// layer, GELU gates and scaled token vectors.
struct Gemma2: Architecture {
    static let modelTypes = ["gemma2"]
    static let classNames = ["Gemma2ForCausalLM"]
    static let ggufNames = ["gemma2"]

    let configuration: ModelConfiguration
    private let windows: LayerWindows
    private let scoreDivisor: Double
    private let softcaps: (scores: Float?, logits: Float?)

    init(_ keys: JSONReader) throws(PithError) {
        configuration = try ModelConfiguration(keys, headDimension: 256, tiesEmbeddings: true)
        try keys.requireGELU()
        try keys.refusePartialRotation()
        try keys.refuseFlag("attention_bias")
        windows = try LayerWindows(keys, configuration, default: 4096) { $0 % 2 == 0 }
        scoreDivisor = try keys.optional("query_pre_attn_scalar")?.real(in: 1e-3...1e6) ?? 256
        softcaps = (
            try keys.softcap("attn_logit_softcapping", default: 50),
            try keys.softcap("final_logit_softcapping", default: 30)
        )
    }

    /// What GGUF files leave unsaid.
    static func complete(_ keys: inout JSONObject, from file: GGUFFile) { keys.addGemmaScoreDivisor(largest: 46) }

    func describe() -> ModelDescription {
        var decoder = GatedDecoder(gemma: configuration, scoreDivisor: scoreDivisor)
        decoder.softcaps = softcaps
        decoder.window = windows.window
        return decoder.describe()
    }
}

extension GatedDecoder {
    /// What all of the Gemma family share.
    init(gemma configuration: ModelConfiguration, scoreDivisor: Double) {
        self.init(configuration)
        (hasOutputNorms, normArrangement, activation) = (true, .lessOne, .geluTanh)
        embeddingScale = Float(configuration.hiddenSize).squareRoot()
        self.scoreDivisor = scoreDivisor
    }
}

extension JSONObject {
    /// What scores are divided by the root of: the head size, and in the largest model of a family, which is known by its
    /// number of layers, the width of a head if heads shared the stream.
    mutating func addGemmaScoreDivisor(largest layerCount: Int) {
        guard case .integer(let layers)? = self["num_hidden_layers"], case .integer(let width)? = self["hidden_size"],
            case .integer(let heads)? = self["num_attention_heads"], heads > 0
        else { return }
        self["query_pre_attn_scalar"] = layers == layerCount ? .integer(width / heads) : self["head_dim"]
    }
}
