import PithCore
import PithFormats

/// Qwen 3 (Yang et al. 2025), dense: as Qwen 2, with norms of queries and keys in the place of biases.
struct Qwen3: Architecture {
    static let modelTypes = ["qwen3"]
    static let classNames = ["Qwen3ForCausalLM"]
    static let ggufNames = ["qwen3"]

    let configuration: ModelConfiguration
    private let windows: LayerWindows
    private let activation: Activation
    private let hasBias: Bool

    init(_ keys: JSONReader) throws(PithError) {
        // Where it is left out, the family's own.
        configuration = try ModelConfiguration(keys, headDimension: 128)
        activation = try keys.activation("hidden_act", default: .silu)
        try keys.refusePartialRotation()
        windows = try LayerWindows(qwen: keys, configuration)
        hasBias = try keys.optional("attention_bias")?.flag() ?? false
    }

    func describe() -> ModelDescription {
        var decoder = GatedDecoder(configuration)
        (decoder.hasInputBias, decoder.hasOutputBias, decoder.hasHeadNorms) = (hasBias, hasBias, true)
        (decoder.window, decoder.activation) = (windows.window, activation)
        return decoder.describe()
    }
}
