import PithCore
import PithTensor

extension ModelConfiguration {
    /// Reads the sizes that all families share from a configuration as `transformers` 4 or 5 writes it; the arguments
    /// stand for missing keys where a family has its own.
    public init(
        _ keys: JSONReader, headDimension missingHeadDimension: Int? = nil, ropeTheta missingTheta: Double = 10000,
        tiesEmbeddings missingTie: Bool = false
    ) throws(PithError) {
        let sizes = 1...Self.sizeLimit
        let headCount = try keys.member("num_attention_heads").integer(in: sizes)
        let hiddenSize = try keys.member("hidden_size").integer(in: sizes)
        let headDimension = try keys.optional("head_dim")?.integer(in: sizes) ?? missingHeadDimension
        guard headDimension != nil || hiddenSize % headCount == 0 else {
            throw .data("is \(hiddenSize), which \(headCount) heads do not divide", at: "key hidden_size")
        }
        let rotation = try Self.rotation(keys)
        let innerTheta = try rotation?.optional("rope_theta")
        let theta = if let innerTheta { innerTheta } else { try keys.optional("rope_theta") }
        let length = try keys.member("max_position_embeddings").integer(in: sizes)
        let original = try keys.optional("original_max_position_embeddings")?.integer(in: sizes)
        let scaling = try RotaryScaling(rotation, contextLength: length, original: original)
        try self.init(
            hiddenSize: hiddenSize, layerCount: try keys.member("num_hidden_layers").integer(in: sizes),
            headCount: headCount, keyValueHeadCount: try keys.optional("num_key_value_heads")?.integer(in: sizes),
            headDimension: headDimension, intermediateSize: try keys.member("intermediate_size").integer(in: sizes),
            vocabularySize: try keys.member("vocab_size").integer(in: sizes),
            contextLength: scaling.contextLength(length),
            normEpsilon: try keys.optional("rms_norm_eps")?.real() ?? 1e-6,
            ropeTheta: try theta?.real() ?? missingTheta, ropeScaling: scaling,
            tiesEmbeddings: try keys.optional("tie_word_embeddings")?.flag() ?? missingTie,
            bosToken: try keys.optional("bos_token_id")?.integer(),
            eosTokens: try keys.optional("eos_token_id")?.tokens() ?? [],
            elementType: try Self.elementType(keys))
    }

    /// Reads the sizes of a model without attention, which calls some of them by other names or none.
    public init(
        withoutAttention keys: JSONReader, intermediateSize: Int, normEpsilon missingEpsilon: Double,
        tiesEmbeddings missingTie: Bool, endToken missingEnd: Int? = nil
    ) throws(PithError) {
        let sizes = 1...Self.sizeLimit
        // A key that is there and null says that no token ends a text.
        let missingEnds = try keys.object()["eos_token_id"] == nil ? missingEnd.map { [$0] } : nil
        let eosTokens = try keys.optional("eos_token_id")?.tokens() ?? missingEnds ?? []
        try self.init(
            hiddenSize: try keys.member("hidden_size", or: "d_model").integer(in: sizes),
            layerCount: try keys.member("num_hidden_layers", or: "n_layer").integer(in: sizes),
            headCount: 0, intermediateSize: intermediateSize,
            vocabularySize: try keys.member("vocab_size").integer(in: sizes),
            contextLength: try keys.optional("max_position_embeddings")?.integer(in: sizes) ?? Self.sizeLimit,
            normEpsilon: try keys.optional("layer_norm_epsilon")?.real() ?? missingEpsilon,
            tiesEmbeddings: try keys.optional("tie_word_embeddings")?.flag() ?? missingTie,
            bosToken: try keys.optional("bos_token_id")?.integer(), eosTokens: eosTokens,
            elementType: try Self.elementType(keys))
    }

    /// All about rotation: version 4 of the writer has it in one key and version 5 in another. Where both say
    /// something, the older counts, as for the program that writes them.
    private static func rotation(_ reader: JSONReader) throws(PithError) -> JSONReader? {
        for key in ["rope_scaling", "rope_parameters"] {
            if let rotation = try reader.optional(key), try rotation.object().count > 0 { return rotation }
        }
        return nil
    }

    private static func elementType(_ reader: JSONReader) throws(PithError) -> ElementType? {
        guard let dtype = try reader.optional("dtype", "torch_dtype") else { return nil }
        switch try dtype.text() {
        case "float32": return .float32
        case "float16": return .float16
        case "bfloat16": return .bfloat16
        case let name:
            throw dtype.failure(
                "'\(name.shortened)' is not supported", remedy: "float32, float16 and bfloat16 are")
        }
    }

    /// What the context is before a scaling that grows with the text extends it.
    private var storedContextLength: Int {
        if case .dynamic(_, let original) = ropeScaling { original } else { contextLength }
    }

    /// The sizes as versions 4 and 5 of `transformers` read them, in its words.
    package var keys: JSONObject {
        let eos: JSONValue =
            switch eosTokens.count {
            case 0: .null
            case 1: .integer(eosTokens[0])
            default: .array(eosTokens.map { .integer($0) })
            }
        var keys: JSONObject = [
            "hidden_size": .integer(hiddenSize), "intermediate_size": .integer(intermediateSize),
            "num_hidden_layers": .integer(layerCount), "num_attention_heads": .integer(headCount),
            "num_key_value_heads": .integer(keyValueHeadCount), "head_dim": .integer(headDimension),
            "vocab_size": .integer(vocabularySize), "max_position_embeddings": .integer(storedContextLength),
            "rms_norm_eps": .real(normEpsilon), "rope_theta": .real(ropeTheta), "rope_scaling": ropeScaling.json,
            "tie_word_embeddings": .bool(tiesEmbeddings), "bos_token_id": bosToken.map { .integer($0) } ?? .null,
            "eos_token_id": eos,
        ]
        let typeName: [ElementType: JSONValue] = [
            .float32: "float32", .float16: "float16", .bfloat16: "bfloat16",
        ]
        if let name = elementType.flatMap({ typeName[$0] }) { keys["torch_dtype"] = name }
        return keys
    }
}
