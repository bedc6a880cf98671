import PithCore
import PithFormats

/// Qwen 2 and 2.5 (Yang et al. 2024): as Llama, with biases of queries, keys and values, and windows in later layers.
struct Qwen2: GatedArchitecture {
    static let modelTypes = ["qwen2"]
    static let classNames = ["Qwen2ForCausalLM"]
    static let ggufNames = ["qwen2"]

    let decoder: GatedDecoder

    init(_ keys: JSONReader) throws(PithError) {
        var decoder = try GatedDecoder(keys)
        decoder.hasInputBias = true
        decoder.window = try LayerWindows(qwen: keys, decoder.configuration).window
        self.decoder = decoder
    }
}
