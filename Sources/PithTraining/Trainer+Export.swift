import PithCore
import PithFormats
import PithTensor

extension Trainer {
    /// Writes the model as a Hugging Face folder: `config.json` and `model.safetensors`, the weights rounded to the
    /// configuration's element type. The tokenizer is not the trainer's to write.
    public func exportModel(to folder: String) throws(PithError) {
        try Files.makeFolder(folder)
        let type = configuration.model.elementType ?? .float32
        let tensors = layout.entries.map { entry in
            let values = UnsafeBufferPointer(start: weights.pointer + entry.offset, count: entry.count)
            let tensor = Tensor(shape: entry.shape, values: Array(values))
            return (name: entry.name, tensor: StoredTensor(tensor, as: type))
        }
        // Other readers of such folders look for this entry.
        try SafetensorsWriter.write(tensors, metadata: ["format": "pt"], to: joinPath(folder, TensorArchive.fileName))
        try configuration.model.json.write(to: joinPath(folder, ModelConfiguration.fileName))
    }
}
