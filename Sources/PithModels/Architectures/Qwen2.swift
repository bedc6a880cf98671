import PithCore
import PithFormats

/// Qwen 2 and 2.5 (Yang et al. 2024): as Llama, with biases of queries, keys and values, and windows in later layers.
struct Qwen2: Architecture {
    static let modelTypes = ["qwen2"]
    static let classNames = ["Qwen2ForCausalLM"]
    static let ggufNames = ["qwen2"]

    let configuration: ModelConfiguration
    private let windows: LayerWindows
    private let activation: Activation

    init(_ keys: JSONReader) throws(PithError) {
        configuration = try ModelConfiguration(keys)
        activation = try keys.activation("hidden_act", default: .silu)
        try keys.refusePartialRotation()
        windows = try LayerWindows(qwen: keys, configuration)
    }

    func describe() -> ModelDescription {
        var decoder = GatedDecoder(configuration)
        decoder.hasInputBias = true
        (decoder.window, decoder.activation) = (windows.window, activation)
        return decoder.describe()
    }
}
