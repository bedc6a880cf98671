import PithCore
import PithFormats

/// Qwen 2 and 2.5 (Yang et al. 2024): as Llama, with biases of queries, keys and values, and windows in later layers.
struct Qwen2: Architecture {
    static let modelTypes = ["qwen2"]
    static let classNames = ["Qwen2ForCausalLM"]
    static let ggufNames = ["qwen2"]

    let configuration: ModelConfiguration
    private let windows: LayerWindows

    init(_ keys: JSONReader) throws(PithError) {
        configuration = try ModelConfiguration(keys)
        try keys.require("hidden_act", "silu")
        try keys.refusePartialRotation()
        windows = try LayerWindows(qwen: keys, configuration)
    }

    func describe() -> ModelDescription {
        var decoder = GatedDecoder(configuration)
        decoder.hasInputBias = true
        decoder.window = windows.window
        return decoder.describe()
    }
}
