import PithCore
import PithFormats
import PithTensor

extension Adapter {
    /// The names of the files in a folder of adapters.
    static let (configurationName, weightsName) = ("adapter_config.json", "adapter_model.safetensors")
    /// The folder of vectors in front that lie beside other adapters, for which PEFT has no one folder.
    static let promptFolder = "prompt"
    /// What PEFT takes for a list of matrices that no module is in.
    static let noTargets = "dummy-target-modules"

    /// Writes folders that PEFT opens: `adapter_config.json` and `adapter_model.safetensors` in F32; vectors in front
    /// lie in the folder `prompt` in it if there is something else. `base` is what the configuration calls the model.
    public func write(
        to folder: String, for description: ModelDescription, base: String
    ) throws(PithError) {
        let hasModules = !changes.isEmpty || !values.isEmpty
        if hasModules {
            try Self.write(moduleConfiguration(description, base), moduleTensors(description), to: folder)
        }
        if let prompt {
            try Self.write(
                promptConfiguration(prompt, description, base), [(AdapterNames.prompt, prompt)],
                to: hasModules ? joinPath(folder, Self.promptFolder) : folder)
        }
    }

    private static func write(
        _ configuration: JSONValue, _ tensors: [(name: String, tensor: Tensor)], to folder: String
    ) throws(PithError) {
        try Files.makeFolder(folder)
        for (name, tensor) in tensors {
            guard let (place, value) = tensor.values.firstNonFinite else { continue }
            throw .data("weight \(place) is \(value)", at: "tensor \(name)", remedy: "a lower learningRate")
        }
        try SafetensorsWriter.write(
            tensors.map { ($0.name, StoredTensor($0.tensor)) }, metadata: ["format": "pt"],
            to: joinPath(folder, weightsName))
        try configuration.write(to: joinPath(folder, configurationName))
    }

    private func moduleTensors(_ description: ModelDescription) -> [(name: String, tensor: Tensor)] {
        var tensors: [(name: String, tensor: Tensor)] = []
        for (id, change) in changes {
            let names = AdapterNames.factors(of: description[id].name)
            tensors += [(names.a, change.a), (names.b, change.b)]
        }
        let changed = Set(changes.map { AdapterNames.module(of: description[$0.id].name) })
        for (id, value) in values {
            let spec = description[id]
            let module = AdapterNames.module(of: spec.name)
            let inner = changed.contains(module) ? AdapterNames.wrapped : ""
            tensors.append(
                (
                    AdapterNames.prefix + module + inner + AdapterNames.ending(of: spec.name),
                    spec.arrangement.given(value)
                ))
        }
        return tensors
    }

    /// As PEFT's `LoraConfig` has it: norms are modules that are saved whole, biases of other modules are all saved.
    private func moduleConfiguration(_ description: ModelDescription, _ base: String) -> JSONValue {
        let matrices = description.parameters.filter { $0.kind != .vector }.map { AdapterNames.module(of: $0.name) }
        let vectors = description.parameters.filter { $0.kind == .vector }.map { AdapterNames.module(of: $0.name) }
        let targets = changes.map { AdapterNames.module(of: description[$0.id].name) }
        let saved = values.map { AdapterNames.module(of: description[$0.id].name) }
        let whole = saved.filter { !matrices.contains($0) }
        let (rank, alpha) = (changes.first?.change.rank ?? 8, changes.first?.change.alpha ?? 8)
        var (ranks, alphas) = (JSONObject(), JSONObject())
        for (id, change) in changes {
            let module = AdapterNames.module(of: description[id].name)
            if change.rank != rank { ranks[module] = .integer(change.rank) }
            if change.alpha != alpha { alphas[module] = .real(change.alpha) }
        }
        func list(_ names: [String]) -> JSONValue { .array(names.map { .string($0) }) }
        return [
            "peft_type": "LORA", "task_type": "CAUSAL_LM", "base_model_name_or_path": .string(base),
            "inference_mode": true, "r": .integer(rank), "lora_alpha": .real(alpha), "lora_dropout": .real(0),
            "target_modules": targets.isEmpty
                ? .string(Self.noTargets) : list(AdapterNames.matching(targets, among: matrices)),
            "fan_in_fan_out": .bool(changes.contains { description[$0.id].arrangement == .transposed }),
            "bias": whole.count == saved.count ? "none" : "all",
            "modules_to_save": whole.isEmpty ? .null : list(AdapterNames.matching(whole, among: vectors)),
            "rank_pattern": .object(ranks), "alpha_pattern": .object(alphas), "use_rslora": false, "use_dora": false,
            "init_lora_weights": true,
        ]
    }

    private func promptConfiguration(
        _ prompt: Tensor, _ description: ModelDescription, _ base: String
    ) -> JSONValue {
        [
            "peft_type": "PROMPT_TUNING", "task_type": "CAUSAL_LM", "base_model_name_or_path": .string(base),
            "inference_mode": true, "num_virtual_tokens": .integer(prompt.rows),
            "token_dim": .integer(prompt.columns), "num_transformer_submodules": .integer(1),
            "num_layers": .integer(description.layers.count), "prompt_tuning_init": "RANDOM",
        ]
    }
}

extension Adapter.LowRankChange {
    var rank: Int { a.rows }
    var alpha: Double { Double(scale) * Double(rank) }
}
