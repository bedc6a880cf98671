import Pith

/// A model of random weights with a single layer, from which models of any depth are made: layers are alike in speed,
/// and one is made and compressed much sooner than all.
struct SyntheticModel {
    private let configuration: ModelConfiguration
    private let seed: UInt64

    /// A model of these extents, whatever their number of layers.
    init(_ configuration: ModelConfiguration, seed: UInt64) {
        self.configuration = configuration
        self.seed = seed
    }

    /// Writes a model folder with one layer, in BF16. Its tokenizer is that of the built-in model.
    func write(to folder: String) throws(PithError) {
        var c = configuration
        c.layerCount = 1
        let normal = NormalWeights(.bfloat16)
        var tensors: [(name: String, tensor: StoredTensor)] = []
        for (i, spec) in c.parameters.enumerated() {
            let ones = Tensor(shape: spec.shape, values: [Float](repeating: 1, count: spec.count))
            tensors.append(
                (
                    spec.name,
                    spec.kind == .vector
                        ? StoredTensor(ones, as: .bfloat16) : normal.tensor(spec.shape, seed: seed &+ UInt64(i))
                ))
        }
        try SafetensorsWriter.write(tensors, to: joinPath(folder, TensorArchive.fileName))
        try Llama.document(c).write(to: joinPath(folder, ModelConfiguration.fileName))
        let tokenizer = "tokenizer.json"
        try Files.copy(joinPath(try ModelSource.open("nano").path, tokenizer), to: joinPath(folder, tokenizer))
    }
}

extension ModelSource {
    /// Writes this model to `folder` with so many layers, each a copy of the first if there is only one here, and
    /// with dense matrices in `type` if it is given.
    func copy(to folder: String, layers: Int, as type: ElementType? = nil) throws(PithError) {
        precondition(configuration.layerCount == 1 || configuration.layerCount == layers, "one layer or all")
        func names(_ name: String) -> [String] {
            let first = "model.layers.0."
            guard configuration.layerCount < layers, name.hasPrefix(first) else { return [name] }
            return (0..<layers).map { "model.layers.\($0)." + name.dropFirst(first.count) }
        }
        let archive = try archive()
        var tensors: [(name: String, tensor: StoredTensor)] = []
        for name in archive.names {
            var tensor = try archive.tensor(name)
            if let type, tensor.type != type { tensor = StoredTensor(try tensor.decoded(), as: type) }
            tensors += names(name).map { ($0, tensor) }
        }
        try SafetensorsWriter.write(tensors, to: joinPath(folder, TensorArchive.fileName))
        if var manifest {
            manifest.checksums = nil
            manifest.weights = Dictionary(
                uniqueKeysWithValues: manifest.weights.flatMap { name, form in names(name).map { ($0, form) } })
            try manifest.json.write(to: joinPath(folder, CompressionManifest.fileName))
        }
        var deep = configuration
        deep.layerCount = layers
        try Llama.document(deep).write(to: joinPath(folder, ModelConfiguration.fileName))
        for name in try companions().files where name != ModelConfiguration.fileName && !name.contains("/") {
            try Files.copy(joinPath(path, name), to: joinPath(folder, name))
        }
    }
}
