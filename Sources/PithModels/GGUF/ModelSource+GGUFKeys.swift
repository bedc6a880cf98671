import PithCore
import PithFormats
import PithTensor

/// What a GGUF file says of a model: the keys in front of its tensors, and which tensors there are.
/// Source: ggml, docs/gguf.md.
extension ModelSource {
    /// A tensor of a GGUF file, and the parameters that it is made of: one, or some matrices of one shape, in order.
    public struct GGUFPlace: Sendable {
        /// Its name.
        public let name: String
        /// The extents, outermost first.
        public let shape: [Int]
        /// What it is made of.
        public let parameters: [ParameterID]
    }

    /// The tensors of the model, in the order of the parameters; refuses families that such files have no names for.
    public func ggufPlaces() throws(PithError) -> [GGUFPlace] {
        _ = try ggufFamily()
        var (names, members) = ([String](), [String: [ParameterID]]())
        for (index, spec) in description.parameters.enumerated() {
            guard let name = spec.ggufName else { throw refusal("the weight \(spec.name)") }
            if members[name] == nil { names.append(name) }
            members[name, default: []].append(ParameterID(index))
        }
        return names.map { name in
            let parameters = members[name] ?? []
            let first = description[parameters[0]]
            let shape = first.ggufSlice == nil ? first.ggufShape : [parameters.count] + first.shape
            return GGUFPlace(name: name, shape: shape, parameters: parameters)
        }
    }

    /// The type in which a GGUF file holds a parameter; nil of a folder.
    public func ggufType(of parameter: ParameterID) -> GGUFType? {
        guard case .gguf(let file) = weights else { return nil }
        return description[parameter].ggufName.flatMap { file[tensor: $0]?.type }
    }

    private func refusal(_ what: String) -> PithError {
        .usage(
            "GGUF files have no place for \(what)", at: path,
            remedy: "a Hugging Face folder has: --to hf")
    }

    private func ggufFamily() throws(PithError) -> String {
        guard let name = type(of: architecture).ggufNames.first else {
            throw refusal("the family \(type(of: architecture).modelTypes.first ?? "")")
        }
        return name
    }

    /// The keys of the model, its tokenizer and its template. `preTokenizer` is the name of the pre-tokenizer; nil for
    /// that which the tokenizer's expressions have. The keys of a GGUF file stay as they are.
    public func ggufKeys(preTokenizer: String? = nil) throws(PithError) -> [(key: String, value: GGUFValue)] {
        if case .gguf(let file) = weights {
            let own = ["general.file_type", "general.quantization_version", "general.alignment"]
            let kept = file.metadata.keys.filter { !own.contains($0) && !$0.hasPrefix("split.") }
            return kept.sorted().compactMap { key in file.metadata[key].map { (key, $0) } }
        }
        let family = try ggufFamily()
        let name = path.split(separator: "/").last.map(String.init) ?? path
        var keys: [(key: String, value: GGUFValue)] = [
            ("general.architecture", .text(family)), ("general.type", .text("model")), ("general.name", .text(name)),
        ]
        keys += (try hyperparameters() + rotaryKeys()).map { ("\(family).\($0.0)", $0.1) }
        keys += try tokenizer.ggufKeys(try tokenRoles(preTokenizer))
        if let types = description.parameters.first(where: { $0.ggufName == "token_types.weight" }) {
            keys.append(("tokenizer.ggml.token_type_count", .unsigned(UInt64(types.shape[0]))))
        }
        return keys
    }

    private typealias Pair = (String, GGUFValue)

    /// The sizes, and what only some families have.
    private func hyperparameters() throws(PithError) -> [Pair] {
        let c = configuration
        func number(_ value: Int) -> GGUFValue { .unsigned(UInt64(value)) }
        var keys: [Pair] = [
            ("block_count", number(c.layerCount)), ("embedding_length", number(c.hiddenSize)),
            ("feed_forward_length", number(c.intermediateSize)), ("vocab_size", number(c.vocabularySize)),
            ("attention.head_count", number(c.headCount)), ("attention.head_count_kv", number(c.keyValueHeadCount)),
            ("attention.key_length", number(c.headDimension)), ("attention.value_length", number(c.headDimension)),
            // Where nothing bounds the length, what others write for it.
            ("context_length", number(min(c.contextLength, 1 << 20))),
        ]
        if let norm = description.output?.norm, norm.bias == nil {
            keys.append(("attention.layer_norm_rms_epsilon", .real(c.normEpsilon)))
        } else {
            keys.append(("attention.layer_norm_epsilon", .real(c.normEpsilon)))
        }
        if let window = description.caches.compactMap(\.window).first {
            keys.append(("attention.sliding_window", number(window)))
        }
        let attention = (description.layers.first?.block as? DecoderLayer)?.attention.options
        if let cap = attention?.softcap { keys.append(("attn_logit_softcapping", .real(Double(cap)))) }
        if let cap = description.output?.softcap { keys.append(("final_logit_softcapping", .real(Double(cap)))) }
        if let layer = description.layers.first?.block as? DecoderLayer, layer.isParallel {
            keys.append(("use_parallel_residual", .flag(true)))
        }
        return keys + expertKeys() + stateKeys() + (try encoderKeys())
    }

    /// The sizes of selective state spaces.
    private func stateKeys() -> [Pair] {
        guard let block = description.layers.first?.block as? SelectiveStateSpace else { return [] }
        let (inner, state, rank) = block.widths
        return [
            ("ssm.conv_kernel", description[block.convolution].shape[2]), ("ssm.inner_size", inner),
            ("ssm.state_size", state), ("ssm.time_step_rank", rank),
        ].map { ($0.0, .unsigned(UInt64($0.1))) }
    }

    /// What encoders have: no causality, a pooling, types of tokens.
    private func encoderKeys() throws(PithError) -> [Pair] {
        guard description.output == nil else { return [] }
        guard let pooling = try sentenceModules().ggufPooling else {
            throw refusal("how this model's vectors are made")
        }
        return [("attention.causal", .flag(false)), ("pooling_type", .unsigned(UInt64(pooling)))]
    }

    private func expertKeys() -> [Pair] {
        let mixtures = description.layers.compactMap { ($0.block as? DecoderLayer)?.feedForward as? MixtureFeedForward }
        guard let mixture = mixtures.first, let expert = mixture.experts.first else { return [] }
        func units(_ part: GatedFeedForward) -> GGUFValue {
            .unsigned(UInt64(description[part.down.weight].shape[1]))
        }
        var keys: [Pair] = [
            ("expert_count", .unsigned(UInt64(mixture.options.expertCount))),
            ("expert_used_count", .unsigned(UInt64(mixture.options.activeCount))),
            ("expert_feed_forward_length", units(expert)),
        ]
        if let shared = mixture.shared { keys.append(("expert_shared_feed_forward_length", units(shared.expert))) }
        return keys
    }

    private func rotaryKeys() throws(PithError) -> [Pair] {
        guard let rotary = description.rotaries.first else { return [] }
        var keys: [Pair] = [
            ("rope.dimension_count", .unsigned(UInt64(rotary.rotatedSize))),
            ("rope.freq_base", .real(configuration.ropeTheta)),
        ]
        switch configuration.ropeScaling {
        case .none, .llama3, .divisors: break
        case .linear(let factor):
            keys += [("rope.scaling.type", .text("linear")), ("rope.scaling.factor", .real(factor))]
        case .yarn(let yarn):
            keys += [
                ("rope.scaling.type", .text("yarn")), ("rope.scaling.factor", .real(yarn.factor)),
                ("rope.scaling.original_context_length", .unsigned(UInt64(yarn.originalContextLength))),
            ]
        case .longRope(_, _, let original, let amplitude):
            keys += [
                ("rope.scaling.original_context_length", .unsigned(UInt64(original))),
                ("rope.scaling.attn_factor", .real(amplitude)),
            ]
        case .dynamic: throw refusal("dynamic rotary scaling")
        }
        return keys
    }

    /// Tensors of a GGUF file that say how angles are scaled: what each frequency is divided by.
    public func ggufDivisors() -> [(name: String, values: [Float])] {
        guard let rotary = description.rotaries.first else { return [] }
        switch configuration.ropeScaling {
        case .llama3, .divisors:
            let size = rotary.rotatedSize
            let plain = RotaryScaling.none.inverseFrequencies(size: size, theta: configuration.ropeTheta)
            let scaled = configuration.ropeScaling.inverseFrequencies(size: size, theta: configuration.ropeTheta)
            return [("rope_freqs.weight", zip(plain, scaled).map { $0 / $1 })]
        case .longRope(let short, let long, _, _):
            return [
                ("rope_factors_long.weight", long.map { Float($0) }),
                ("rope_factors_short.weight", short.map { Float($0) }),
            ]
        case .none, .linear, .dynamic, .yarn: return []
        }
    }

    private func tokenRoles(_ preTokenizer: String?) throws(PithError) -> GGUFTokenizerRoles {
        var roles = GGUFTokenizerRoles(vocabularySize: configuration.vocabularySize)
        let names = try ChatTemplate.specialTokens(folder: path)
        func token(_ name: String) -> Int? {
            if case .string(let text)? = names[name] { tokenizer.identifier(of: text) } else { nil }
        }
        roles.beginning = token("bos_token") ?? tokenizer.beginning.first ?? configuration.bosToken
        roles.end = token("eos_token") ?? endTokens.first
        (roles.unknown, roles.padding) = (token("unk_token"), token("pad_token"))
        roles.chatTemplate = try chatTemplate()?.source
        roles.preTokenizer = preTokenizer
        return roles
    }
}
