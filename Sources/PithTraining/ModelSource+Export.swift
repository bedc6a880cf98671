import PithCore
import PithFormats
import PithModels
import PithTensor

/// The name and type in a Hugging Face folder of each tensor of a model, in the order of the parameters.
struct FolderForm {
    var places: [(name: String, type: ElementType)]

    /// Writes `model.safetensors`. Weights that are no numbers in their type are refused.
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
            try folderPlace(of: ParameterID(index), as: type)
        }
        try FolderForm(places: places).write(description, to: folder, values: values)
        try writeCompanions(to: folder, weightsAs: type)
    }

    /// Writes the folder of `model`, which was loaded from here and may have been adapted, as `export` does.
    public func export(
        _ model: LanguageModel, to folder: String, weightsAs type: ElementType? = nil
    ) throws(PithError) {
        try export(to: folder, weightsAs: type) { (id) throws(PithError) in
            let spec = description[id]
            return spec.kind == .vector
                ? Tensor(shape: spec.shape, values: model[vector: id])
                : model[matrix: id].denseWeight(pool: model.pool)
        }
    }
}
