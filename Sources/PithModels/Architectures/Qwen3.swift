import PithCore
import PithFormats

/// Qwen 3 (Yang et al. 2025), dense: as Qwen 2, with norms of queries and keys in the place of biases.
struct Qwen3: GatedArchitecture {
    static let modelTypes = ["qwen3"]
    static let classNames = ["Qwen3ForCausalLM"]
    static let ggufNames = ["qwen3"]

    let decoder: GatedDecoder

    init(_ keys: JSONReader) throws(PithError) {
        // Where it is left out, the family's own.
        var decoder = try GatedDecoder(keys, headDimension: 128)
        decoder.hasHeadNorms = true
        decoder.window = try LayerWindows(qwen: keys, decoder.configuration).window
        try decoder.readAttentionBias(keys)
        self.decoder = decoder
    }
}
