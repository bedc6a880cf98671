import PithCore
import PithTensor

extension ModelConfiguration {
    /// Reads `config.json` in `folder`.
    public init(folder: String) throws(PithError) {
        let path = joinPath(folder, Self.fileName)
        let document = try JSONValue(contentsOf: path)
        do { try self.init(json: document) } catch { throw error.within(path) }
    }

    /// Reads a configuration as `transformers` 4 or 5 writes it.
    public init(json: JSONValue) throws(PithError) {
        let reader = JSONReader(json)
        try Self.checkArchitecture(reader)
        try Self.refuseUnsupported(reader)
        let sizes = 1...Self.sizeLimit
        let headCount = try reader.member("num_attention_heads").integer(in: sizes)
        let hiddenSize = try reader.member("hidden_size").integer(in: sizes)
        let headSize = try reader.optional("head_dim")?.integer(in: sizes)
        guard headSize != nil || hiddenSize % headCount == 0 else {
            throw .data("is \(hiddenSize), which \(headCount) heads do not divide", at: "key hidden_size")
        }
        let rotation = try Self.rotation(reader)
        let innerTheta = try rotation?.optional("rope_theta")
        let theta = if let innerTheta { innerTheta } else { try reader.optional("rope_theta") }
        try self.init(
            hiddenSize: hiddenSize, layerCount: try reader.member("num_hidden_layers").integer(in: sizes),
            headCount: headCount, keyValueHeadCount: try reader.optional("num_key_value_heads")?.integer(in: sizes),
            headSize: headSize, intermediateSize: try reader.member("intermediate_size").integer(in: sizes),
            vocabularySize: try reader.member("vocab_size").integer(in: sizes),
            contextLength: try Self.contextLength(reader),
            normEpsilon: try reader.optional("rms_norm_eps")?.real() ?? 1e-6,
            ropeTheta: try theta?.real() ?? 10000, ropeScaling: try RotaryScaling(rotation),
            tiesEmbeddings: try reader.optional("tie_word_embeddings")?.flag() ?? false,
            bosToken: try reader.optional("bos_token_id")?.integer(),
            eosTokens: try reader.optional("eos_token_id")?.tokens() ?? [],
            elementType: try Self.elementType(reader))
    }

    private static func checkArchitecture(_ reader: JSONReader) throws(PithError) {
        let remedy = "the Llama family is: model_type llama or mistral"
        let modelType = try reader.optional("model_type")
        if let modelType, !["llama", "mistral"].contains(try modelType.text()) {
            throw modelType.failure("'\(try modelType.text().shortened)' is not supported", remedy: remedy)
        }
        let architectures = try reader.optional("architectures")
        if let architectures {
            var names: [String] = []
            for name in try architectures.array() { names.append(try name.text()) }
            guard names.isEmpty || names.contains(where: { ["LlamaForCausalLM", "MistralForCausalLM"].contains($0) })
            else {
                throw architectures.failure(
                    "'\(names.joined(separator: ", ").shortened)' is not supported", remedy: remedy)
            }
        }
        guard modelType != nil || architectures != nil else {
            throw reader.failure("has neither model_type nor architectures", remedy: remedy)
        }
    }

    private static func refuseUnsupported(_ reader: JSONReader) throws(PithError) {
        for key in ["attention_bias", "mlp_bias"] {
            if let bias = try reader.optional(key), try bias.flag() {
                throw bias.failure("biases are not supported", remedy: "false is")
            }
        }
        if let activation = try reader.optional("hidden_act"), try activation.text() != "silu" {
            throw activation.failure("'\(try activation.text().shortened)' is not supported", remedy: "silu is")
        }
        if let quantization = try reader.optional("quantization_config") {
            throw quantization.failure(
                "weights that another program has quantized are not supported", remedy: "F32, F16 and BF16 are")
        }
        for rotation in [reader, try rotation(reader)] {
            if let part = try rotation?.optional("partial_rotary_factor"), try part.real() != 1 {
                throw part.failure("rotation of a part of each head is not supported", remedy: "1 is")
            }
        }
    }

    /// All about rotation: version 4 of the writer has it in one key and version 5 in another. Where both say
    /// something, the older counts, as for the program that writes them.
    private static func rotation(_ reader: JSONReader) throws(PithError) -> JSONReader? {
        for key in ["rope_scaling", "rope_parameters"] {
            if let rotation = try reader.optional(key), try rotation.object().count > 0 { return rotation }
        }
        return nil
    }

    private static func contextLength(_ reader: JSONReader) throws(PithError) -> Int {
        let positions = try reader.member("max_position_embeddings").integer(in: 1...Self.sizeLimit)
        // Within its window a model with sliding attention is one without.
        let window = try reader.optional("sliding_window")
        if let window { return min(positions, try window.integer(in: 1...Int.max)) }
        // Where it is left out, and not null, this kind has a window all the same.
        let isMistral = try reader.optional("model_type")?.text() == "mistral"
        let isLeftOut = try reader.object()["sliding_window"] == nil
        return isMistral && isLeftOut ? min(positions, 4096) : positions
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

    /// The configuration as versions 4 and 5 of `transformers` read it.
    public var json: JSONValue {
        let eos: JSONValue =
            switch eosTokens.count {
            case 0: .null
            case 1: .integer(eosTokens[0])
            default: .array(eosTokens.map { .integer($0) })
            }
        var json: JSONValue = [
            "architectures": ["LlamaForCausalLM"], "model_type": "llama", "attention_bias": false, "mlp_bias": false,
            "hidden_act": "silu", "hidden_size": .integer(hiddenSize), "intermediate_size": .integer(intermediateSize),
            "num_hidden_layers": .integer(layerCount), "num_attention_heads": .integer(headCount),
            "num_key_value_heads": .integer(keyValueHeadCount), "head_dim": .integer(headSize),
            "vocab_size": .integer(vocabularySize), "max_position_embeddings": .integer(contextLength),
            "rms_norm_eps": .real(normEpsilon), "rope_theta": .real(ropeTheta), "rope_scaling": ropeScaling.json,
            "tie_word_embeddings": .bool(tiesEmbeddings), "bos_token_id": bosToken.map { .integer($0) } ?? .null,
            "eos_token_id": eos,
        ]
        let typeName: [ElementType: JSONValue] = [
            .float32: "float32", .float16: "float16", .bfloat16: "bfloat16",
        ]
        if let elementType, let name = typeName[elementType], case .object(var object) = json {
            object["torch_dtype"] = name
            json = .object(object)
        }
        return json
    }
}
