import PithCore
import PithFormats

/// Gemma 2 (Gemma team 2024): norms before and behind each part, capped scores and logits, a window in every other
/// layer, GELU gates and scaled token vectors.
struct Gemma2: GatedArchitecture {
    static let modelTypes = ["gemma2"]
    static let classNames = ["Gemma2ForCausalLM"]
    static let ggufNames = ["gemma2"]

    let decoder: GatedDecoder

    init(_ keys: JSONReader) throws(PithError) {
        let configuration = try ModelConfiguration(keys, headDimension: 256, tiesEmbeddings: true)
        var decoder = try GatedDecoder(gemma: keys, configuration, softcaps: (50, 30))
        decoder.window = try LayerWindows(keys, configuration, default: 4096) { $0 % 2 == 0 }.window
        self.decoder = decoder
    }

    /// What GGUF files leave unsaid.
    static func complete(_ keys: inout JSONObject, from file: GGUFFile) { keys.addGemmaScoreDivisor(largest: 46) }
}

extension GatedDecoder {
    /// What all of the Gemma family share; `softcaps` stand for missing keys.
    init(
        gemma keys: JSONReader, _ configuration: ModelConfiguration, softcaps missing: (scores: Float?, logits: Float?)
    ) throws(PithError) {
        self.init(configuration)
        try keys.requireGELU()
        try keys.refusePartialRotation()
        try keys.refuseFlag("attention_bias")
        (hasOutputNorms, normArrangement, activation) = (true, .lessOne, .geluTanh)
        embeddingScale = Float(configuration.hiddenSize).squareRoot()
        scoreDivisor = try keys.optional("query_pre_attn_scalar")?.real(in: 1e-3...1e6) ?? 256
        softcaps = (
            try keys.softcap("attn_logit_softcapping", default: missing.scores),
            try keys.softcap("final_logit_softcapping", default: missing.logits)
        )
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
