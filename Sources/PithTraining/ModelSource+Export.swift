import PithCore
import PithFormats
import PithModels
import PithTensor

/// What a Hugging Face folder says of a model, and the name and type of each of its tensors, in the order of the
/// parameters.
struct FolderForm {
    var configuration: JSONValue
    var places: [(name: String, type: ElementType)]

    /// Writes `config.json` and `model.safetensors`. Weights that are no numbers in their type are refused.
    func write(
        _ description: ModelDescription, to folder: String, values: (ParameterID) throws(PithError) -> Tensor
    ) throws(PithError) {
        try Files.makeFolder(folder)
        var tensors: [(name: String, tensor: StoredTensor)] = []
        for (index, spec) in description.parameters.enumerated() {
            let (name, type) = places[index]
            let given = spec.arrangement.given(try values(ParameterID(index)))
            let stored = StoredTensor(given, as: type)
            if let (place, value) = try stored.decoded().values.firstNonFinite {
                throw .data(
                    "weight \(place) is \(given.values[place]), \(value) as \(type.rawValue)", at: "tensor \(name)",
                    remedy: "a lower learningRate, or outputType float32")
            }
            tensors.append((name, stored))
        }
        // Other readers of such folders look for this entry.
        try SafetensorsWriter.write(tensors, metadata: ["format": "pt"], to: joinPath(folder, TensorArchive.fileName))
        try configuration.write(to: joinPath(folder, ModelConfiguration.fileName))
    }
}

extension ModelSource {
    /// Writes the model with other values as a Hugging Face folder: in the type `weightsAs`, or in that which it came
    /// in (BF16 where that is none of floats), with what lies beside its weights. The tokenizer of a GGUF file becomes a
    /// `tokenizer.json`.
    func export(
        to folder: String, weightsAs type: ElementType?,
        values: (ParameterID) throws(PithError) -> Tensor
    ) throws(PithError) {
        let places = try description.parameters.indices.map { (index) throws(PithError) in
            try exportPlace(of: ParameterID(index), as: type)
        }
        let form = FolderForm(configuration: try configurationDocument(weightsAs: type), places: places)
        try form.write(description, to: folder, values: values)
        try copyCompanions(to: folder)
    }

    /// Writes the folder of `model`, which was loaded from here and may have been adapted, as `export` does.
    public func export(
        _ model: LanguageModel, to folder: String, weightsAs type: ElementType? = nil
    ) throws(PithError) {
        try export(to: folder, weightsAs: type) { (id) throws(PithError) in
            let spec = description[id]
            guard spec.kind != .vector else { return Tensor(shape: spec.shape, values: model[vector: id]) }
            let count = spec.count
            let values = [Float](unsafeUninitializedCapacity: count) { buffer, initialized in
                if let base = buffer.baseAddress { model[matrix: id].decode(into: base) }
                initialized = count
            }
            return Tensor(shape: spec.shape, values: values)
        }
    }

    private func copyCompanions(to folder: String) throws(PithError) {
        for name in try companions().files where name != ModelConfiguration.fileName {
            if let slash = name.lastIndex(of: "/") { try Files.makeFolder(joinPath(folder, String(name[..<slash]))) }
            try Files.copy(joinPath(path, name), to: joinPath(folder, name))
        }
        guard case .gguf(let file) = weights else { return }
        try tokenizer.document.write(to: joinPath(folder, Tokenizer.fileName))
        let settings = try GGUFTokenizerSettings(file.metadata)
        try settings.document(tokenizer).write(to: joinPath(folder, TokenizerSettings.fileName))
    }

    /// What `config.json` says of the model with weights of a type.
    private func configurationDocument(weightsAs type: ElementType?) throws(PithError) -> JSONValue {
        let names: [ElementType: JSONValue] = [.float32: "float32", .float16: "float16", .bfloat16: "bfloat16"]
        var (object, written) = (try JSONReader(configurationDocument()).object(), type)
        if case .gguf = weights {
            object["bos_token_id"] = tokenizer.beginning.first.map { .integer($0) }
            object["eos_token_id"] = endTokens.first.map { .integer($0) }
            written = type ?? .bfloat16
        }
        if let name = written.flatMap({ names[$0] }) {
            object[object["dtype"] == nil ? "torch_dtype" : "dtype"] = name
        }
        return .object(object)
    }

    /// The name of a parameter in a folder, and the type that it is written in.
    private func exportPlace(
        of parameter: ParameterID, as type: ElementType?
    ) throws(PithError) -> (name: String, type: ElementType) {
        guard case .archive(let archive) = weights else { return (description[parameter].name, type ?? .bfloat16) }
        let name = try storedName(of: parameter)
        if let type { return (name, type) }
        let own = archive.contains(name) ? try archive.tensor(name).type : configuration.elementType
        let isPlain = own == .float32 || own == .float16 || own == .bfloat16
        return (name, isPlain ? own ?? .bfloat16 : .bfloat16)
    }
}
