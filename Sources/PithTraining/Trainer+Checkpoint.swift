import PithCore
import PithFormats
import PithTensor

extension Trainer {
    private static let blocks = ["weights", "firstMoment", "secondMoment"]
    private static let format = "pith-training-1"

    /// What is written beside the blocks; enough to know whether a run may go on.
    private func metadata() -> [String: String] {
        [
            "format": Self.format, "step": "\(step)", "configuration": configuration.json.compactText,
            "tokens": tokenDigest, "smoothedLoss": "\(smoothedLoss)",
        ]
    }

    /// Writes the state of the run to a file that appears at `path` when it is whole.
    public func saveCheckpoint(to path: String) throws(PithError) {
        let buffers = [weights, optimizer.first, optimizer.second]
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
        guard let done = Int(text), (0...configuration.steps).contains(done) else {
            throw .data("step '\(text)' is none of this run's \(configuration.steps)")
        }
        // All is checked before anything changes.
        var tensors: [StoredTensor] = []
        for name in Self.blocks { tensors.append(try block(name, file)) }
        for (tensor, buffer) in zip(tensors, [weights, optimizer.first, optimizer.second]) {
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
        let old = try TrainingConfiguration(json: JSONValue(parsing: try value("configuration", file)))
        let differences = configuration.differences(from: old)
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
        guard let tensor = file[name], tensor.type == .float32, tensor.shape == [parameters.count] else {
            throw .data("tensor \(name) should be \(parameters.count) floats")
        }
        return tensor
    }
}
