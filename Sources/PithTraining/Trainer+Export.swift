import PithCore
import PithFormats
import PithTensor

extension Trainer {
    /// Writes the model as a Hugging Face folder: `config.json` and `model.safetensors`, the weights rounded to the
    /// configuration's element type. The tokenizer is not the trainer's to write.
    public func exportModel(to folder: String) throws(PithError) {
        try Files.makeFolder(folder)
        let type = configuration.model.elementType ?? .float32
        var tensors: [(name: String, tensor: StoredTensor)] = []
        for entry in parameters.entries {
            let stored = parameters.stored(entry, of: weights, as: type)
            if let (index, value) = try stored.decoded().values.firstNonFinite {
                throw .data(
                    "weight \(index) is \(weights.pointer[entry.offset + index]), \(value) as \(type.rawValue)",
                    at: "tensor \(entry.name)",
                    remedy: "a lower learningRate, or outputType float32")
            }
            tensors.append((entry.name, stored))
        }
        // Other readers of such folders look for this entry.
        try SafetensorsWriter.write(tensors, metadata: ["format": "pt"], to: joinPath(folder, TensorArchive.fileName))
        try configuration.model.json.write(to: joinPath(folder, ModelConfiguration.fileName))
    }
}
