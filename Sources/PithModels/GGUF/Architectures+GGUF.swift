import PithCore
import PithFormats

/// The configuration of a GGUF file in the words of `config.json`, so that an architecture reads both in one way.
/// Source: ggml, docs/gguf.md.
extension Architectures {
    /// The keys that all families share: behind the family's name and a point, and what `config.json` calls them.
    private static let keys = [
        ("context_length", "max_position_embeddings"), ("embedding_length", "hidden_size"),
        ("block_count", "num_hidden_layers"), ("feed_forward_length", "intermediate_size"),
        ("attention.head_count", "num_attention_heads"), ("attention.head_count_kv", "num_key_value_heads"),
        ("attention.key_length", "head_dim"), ("attention.layer_norm_rms_epsilon", "rms_norm_eps"),
        ("rope.freq_base", "rope_theta"), ("attention.sliding_window", "sliding_window"),
        ("attention.layer_norm_epsilon", "rms_norm_eps"), ("use_parallel_residual", "use_parallel_residual"),
        ("expert_count", "num_local_experts"), ("expert_used_count", "num_experts_per_tok"),
        ("expert_feed_forward_length", "moe_intermediate_size"),
        ("expert_shared_feed_forward_length", "shared_expert_intermediate_size"),
        ("attn_logit_softcapping", "attn_logit_softcapping"), ("final_logit_softcapping", "final_logit_softcapping"),
    ]

    /// The architecture that a GGUF file names, with its configuration.
    public static func open(_ file: GGUFFile) throws(PithError) -> any Architecture {
        do { return try family(of: file).init(JSONReader(try configuration(of: file))) } catch {
            throw error.within(file.path)
        }
    }

    private static func family(of file: GGUFFile) throws(PithError) -> any Architecture.Type {
        let key = "key general.architecture"
        guard let name = file.architecture else { throw .data("is missing", at: key) }
        guard let family = all.first(where: { $0.ggufNames.contains(name) }) else {
            throw .data(
                "'\(name.shortened)' is not supported", at: key,
                remedy: "known are \(all.flatMap { $0.ggufNames }.joined(separator: ", "))")
        }
        return family
    }

    /// What `config.json` would say.
    public static func configuration(of file: GGUFFile) throws(PithError) -> JSONValue {
        let family = try family(of: file)
        var object = JSONObject()
        object["model_type"] = family.modelTypes.first.map { .string($0) }
        object["architectures"] = .array(family.classNames.prefix(1).map { .string($0) })
        for (key, name) in keys {
            guard let value = file[hyperparameter: key] else { continue }
            if let integer = value.integer {
                object[name] = .integer(integer)
            } else if let number = value.number {
                object[name] = .real(number)
            } else if case .flag(let flag) = value {
                object[name] = .bool(flag)
            } else {
                throw .data("is no number", at: "key \(file.architecture ?? "").\(key)")
            }
        }
        object["vocab_size"] = file[tensor: "token_embd.weight"]?.shape.first.map { .integer($0) }
        object["tie_word_embeddings"] = .bool(file[tensor: "output.weight"] == nil)
        object["rope_scaling"] = try rotation(of: file)
        if let part = file[hyperparameter: "rope.dimension_count"]?.integer, let size = headDimension(object),
            part != size
        {
            object["partial_rotary_factor"] = .real(Double(part) / Double(size))
        }
        family.complete(&object, from: file)
        return .object(object)
    }

    private static func headDimension(_ object: JSONObject) -> Int? {
        if case .integer(let size)? = object["head_dim"] { return size }
        guard case .integer(let width)? = object["hidden_size"],
            case .integer(let heads)? = object["num_attention_heads"],
            heads > 0
        else { return nil }
        return width / heads
    }

    /// How angles are scaled: by keys, or frequency by frequency in a tensor.
    private static func rotation(of file: GGUFFile) throws(PithError) -> JSONValue? {
        let name = "rope_freqs.weight"
        if file[tensor: name] != nil {
            let divisors = try file.values(name).values
            return ["rope_type": "divisors", "divisors": .array(divisors.map { .real(Double($0)) })]
        }
        var object = JSONObject()
        for (key, name) in [
            ("factor", "factor"), ("attn_factor", "attention_factor"),
            ("original_context_length", "original_max_position_embeddings"),
        ] {
            guard let value = file[hyperparameter: "rope.scaling.\(key)"] else { continue }
            object[name] = value.integer.map { .integer($0) } ?? value.number.map { .real($0) }
        }
        if file[tensor: "rope_factors_long.weight"] != nil {
            for length in ["long", "short"] {
                let divisors = try file.values("rope_factors_\(length).weight").values
                object["\(length)_factor"] = .array(divisors.map { .real(Double($0)) })
            }
            object["rope_type"] = "longrope"
            return .object(object)
        }
        switch file[hyperparameter: "rope.scaling.type"]?.string ?? "none" {
        case "none": return nil
        case let kind:
            object["rope_type"] = .string(kind)
            return .object(object)
        }
    }
}

extension Architecture {
    /// Most files say all.
    public static func complete(_ keys: inout JSONObject, from file: GGUFFile) {}
}
