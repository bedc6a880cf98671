import PithCore
import PithFormats

/// Phi 3 and 4 (Abdin et al. 2024): as Llama, with one matrix for queries, keys and values and one for gates and hidden
/// units, and angles for a part of each head in the smaller ones of the fourth generation.
struct Phi3: GatedArchitecture {
    static let modelTypes = ["phi3"]
    static let classNames = ["Phi3ForCausalLM"]
    static let ggufNames = ["phi3"]

    let decoder: GatedDecoder

    init(_ keys: JSONReader) throws(PithError) {
        var configuration = try ModelConfiguration(keys)
        // Older files call the scaling by other names and mean this one.
        if let scaling = try keys.optional("rope_scaling"),
            ["yarn", "su"].contains(try scaling.optional("rope_type", "type")?.text())
        {
            var object = try scaling.object()
            (object["rope_type"], object["type"]) = ("longrope", nil)
            configuration.ropeScaling = try RotaryScaling(
                JSONReader(.object(object)), contextLength: configuration.contextLength,
                original: keys.positive("original_max_position_embeddings"))
        }
        let rotatedSize = try keys.rotatedSize(headDimension: configuration.headDimension, default: 1)
        let rotary = RotaryOptions(configuration, rotatedSize: rotatedSize)
        if case .longRope(let short, let long, _, _) = configuration.ropeScaling,
            short.count != rotatedSize / 2 || long.count != rotatedSize / 2
        {
            throw keys.failure(
                "short_factor has \(short.count) and long_factor \(long.count) numbers",
                remedy: "\(rotatedSize / 2) elements of a head are turned by angles of their own")
        }
        let window = try keys.positive("sliding_window")
        var decoder = GatedDecoder(configuration)
        decoder.isFused = true
        decoder.activation = try keys.activation("hidden_act", default: .silu)
        decoder.window = { _ in window }
        decoder.rotary = { _ in rotary }
        self.decoder = decoder
    }
}
