import PithCore
import PithFormats
import PithTensor

extension Trainer {
    private static let blocks = ["weights", "firstMoment", "secondMoment"]
    private static let format = "pith-training-2"

    /// What is written beside the blocks; enough to know whether a run may go on.
    private func metadata() -> [String: String] {
        [
            "format": Self.format, "step": "\(step)", "decisive": JSONValue.object(decisive).compactText,
            "tokens": tokenDigest, "smoothedLoss": "\(smoothedLoss)",
        ]
    }

    /// What decides the result, by name, besides the tokens.
    private var decisive: JSONObject {
        var object =
            switch origin {
            case .sizes(let sizes): sizes.trainingSizes
            case .model(let base): base.decisive
            }
        for (key, value) in settings.decisive.members { object[key] = value }
        return object
    }

    /// Writes the state of the run to a file that appears at `path` when it is whole.
    public func saveCheckpoint(to path: String) throws(PithError) {
        let buffers = [model.weights, optimizer.first, optimizer.second]
        let tensors = zip(Self.blocks, buffers).map { name, buffer in
            let region = ByteRegion(UnsafeRawBufferPointer(buffer.bytes), keptAliveBy: buffer)
            return (name: name, tensor: StoredTensor(type: .float32, shape: [buffer.count], region: region))
        }
        try SafetensorsWriter.write(tensors, metadata: metadata(), to: path)
    }

    /// Goes on from a checkpoint of a run with the same configuration and tokens: the result will be, bit for bit,
    /// that of a run without a pause.
    public func resume(from path: String) throws(PithError) {
        let file = try SafetensorsFile(path)
        do { try restore(file) } catch { throw error.within(path) }
    }

    private func restore(_ file: SafetensorsFile) throws(PithError) {
        try checkIdentity(file)
        let text = try value("step", file)
        guard let done = Int(text), (0...settings.steps).contains(done) else {
            throw .data("step '\(text)' is none of this run's \(settings.steps)")
        }
        // All is checked before anything changes.
        var tensors: [StoredTensor] = []
        for name in Self.blocks { tensors.append(try block(name, file)) }
        for (tensor, buffer) in zip(tensors, [model.weights, optimizer.first, optimizer.second]) {
            tensor.region.withBytes { buffer.bytes.copyMemory(from: $0) }
        }
        step = done
        smoothedLoss = Double(file.metadata["smoothedLoss"] ?? "") ?? .nan
    }

    private func value(_ key: String, _ file: SafetensorsFile) throws(PithError) -> String {
        guard let text = file.metadata[key] else { throw .data("the metadata has no '\(key)'") }
        return text
    }

    private func checkIdentity(_ file: SafetensorsFile) throws(PithError) {
        guard file.metadata["format"] == Self.format else {
            throw .data("is no checkpoint of a training run", remedy: "its metadata should say \(Self.format)")
        }
        let old = try JSONReader(JSONValue(parsing: try value("decisive", file))).object()
        let differences = decisive.differences(from: old)
        guard differences.isEmpty else {
            throw .usage(
                "the run began with another configuration: \(differences.joined(separator: ", "))",
                remedy: "resume with the old one, or begin anew")
        }
        guard try value("tokens", file) == tokenDigest else {
            throw .usage(
                "the run began with other tokens", remedy: "resume with the same text and tokenizer, or begin anew")
        }
    }

    private func block(_ name: String, _ file: SafetensorsFile) throws(PithError) -> StoredTensor {
        guard let tensor = file[name], tensor.type == .float32, tensor.shape == [model.weights.count] else {
            throw .data("tensor \(name) should be \(model.weights.count) floats")
        }
        return tensor
    }
}
