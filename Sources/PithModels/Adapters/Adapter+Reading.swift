import PithCore
import PithFormats
import PithTensor

extension Adapter {
    /// Whether a folder holds adapters.
    public static func isFolder(_ path: String) -> Bool { Files.exists(joinPath(path, configurationName)) }

    /// Reads a folder of adapters as PEFT or `write` wrote it. What does not fit the model is refused by name.
    public init(folder: String, for description: ModelDescription) throws(PithError) {
        self.init()
        let path = joinPath(folder, Self.configurationName)
        do { try readModulesOrPrompt(folder, description) } catch { throw error.within(path) }
        let inner = joinPath(folder, Self.promptFolder)
        guard prompt == nil, Self.isFolder(inner) else { return }
        prompt = try Adapter(folder: inner, for: description).prompt
    }

    private mutating func readModulesOrPrompt(
        _ folder: String, _ description: ModelDescription
    ) throws(PithError) {
        let keys = JSONReader(try JSONValue(contentsOf: joinPath(folder, Self.configurationName)))
        let type = try keys.member("peft_type")
        let file = try SafetensorsFile(joinPath(folder, Self.weightsName))
        switch try type.text() {
        case "LORA": try readModules(keys, file, description)
        case "PROMPT_TUNING": try readPrompt(file, description)
        case let name:
            throw type.failure("'\(name.shortened)' is not supported", remedy: "LORA and PROMPT_TUNING are")
        }
    }

    private mutating func readPrompt(_ file: SafetensorsFile, _ description: ModelDescription) throws(PithError) {
        let width = description[description.input.table].shape[1]
        guard let tensor = file[AdapterNames.prompt], tensor.shape.count == 2, tensor.shape[1] == width,
            tensor.shape[0] > 0
        else {
            throw .data("tensor \(AdapterNames.prompt) should be vectors of \(width)")
        }
        prompt = try Self.values(tensor, AdapterNames.prompt)
    }

    private mutating func readModules(
        _ keys: JSONReader, _ file: SafetensorsFile, _ description: ModelDescription
    ) throws(PithError) {
        for name in ["use_dora", "lora_bias", "use_bdlora", "alora_invocation_tokens", "trainable_token_indices"] {
            guard let value = try keys.optional(name) else { continue }
            if (try? value.flag()) != false { throw value.failure("is not supported") }
        }
        let scales = try AdapterScales(keys)
        var rest = Set(file.names)
        for (index, spec) in description.parameters.enumerated() {
            let id = ParameterID(index)
            let names = AdapterNames.factors(of: spec.name)
            if spec.kind != .vector, let a = file[names.a], let b = file[names.b] {
                rest.subtract([names.a, names.b])
                changes.append((id, try Self.change(a, b, names, spec, scales)))
            }
            let module = AdapterNames.prefix + AdapterNames.module(of: spec.name)
            let ending = AdapterNames.ending(of: spec.name)
            for name in [module + ending, module + AdapterNames.wrapped + ending] where spec.kind == .vector {
                guard let tensor = file[name] else { continue }
                rest.remove(name)
                guard tensor.shape == spec.folderShape else {
                    throw .data(
                        "the shape is \(tensor.shape)", at: "tensor \(name)", remedy: "it should be \(spec.folderShape)"
                    )
                }
                values.append((id, spec.arrangement.taken(from: try Self.values(tensor, name))))
            }
        }
        guard let stranger = rest.sorted().first else { return }
        throw .data(
            "belongs to no matrix, norm or bias of this model", at: "tensor \(stranger.shortened)",
            remedy: "take the adapters of this model")
    }

    private static func change(
        _ a: StoredTensor, _ b: StoredTensor, _ names: (a: String, b: String), _ spec: ParameterSpec,
        _ scales: AdapterScales
    ) throws(PithError) -> LowRankChange {
        guard a.shape.count == 2, a.shape[1] == spec.shape[1], a.shape[0] > 0 else {
            throw .data(
                "the shape is \(a.shape)", at: "tensor \(names.a)", remedy: "it should be [rank, \(spec.shape[1])]")
        }
        guard b.shape == [spec.shape[0], a.shape[0]] else {
            throw .data(
                "the shape is \(b.shape)", at: "tensor \(names.b)",
                remedy: "it should be \([spec.shape[0], a.shape[0]])")
        }
        return LowRankChange(
            a: try values(a, names.a), b: try values(b, names.b),
            scale: scales.scale(AdapterNames.module(of: spec.name), rank: a.shape[0]))
    }

    private static func values(_ tensor: StoredTensor, _ name: String) throws(PithError) -> Tensor {
        do throws(PithError) {
            let values = try tensor.decoded()
            guard let (place, value) = values.values.firstNonFinite else { return values }
            throw .data("element \(place) is \(value)")
        } catch { throw error.within("tensor \(name)") }
    }
}

/// What B A is multiplied by, module by module.
private struct AdapterScales {
    private let alpha: Double
    private let patterns: [(name: String, alpha: Double)]
    private let dividesByRoot: Bool

    init(_ keys: JSONReader) throws(PithError) {
        alpha = try keys.member("lora_alpha").real()
        dividesByRoot = try keys.optional("use_rslora")?.flag() ?? false
        var patterns: [(name: String, alpha: Double)] = []
        if let object = try keys.optional("alpha_pattern") {
            for name in try object.object().keys {
                let value = try object.member(name)
                guard name.allSatisfy({ $0.isLetter || $0.isNumber || "._".contains($0) }) else {
                    throw value.failure("a pattern that is no name is not supported")
                }
                patterns.append((name, try value.real()))
            }
        }
        self.patterns = patterns
    }

    func scale(_ module: String, rank: Int) -> Float {
        let own = patterns.first { module == $0.name || module.hasSuffix(".\($0.name)") }?.alpha ?? alpha
        return Float(own / (dividesByRoot ? Double(rank).squareRoot() : Double(rank)))
    }
}
