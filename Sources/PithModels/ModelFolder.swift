import PithCore
import PithFormats
import PithTensor

/// A folder with a model: Hugging Face's files, and Pith's manifest if it was compressed.
public struct ModelFolder: Sendable {
    /// Where it is.
    public let path: String
    /// The family that `config.json` names, with the configuration that it gives.
    public let architecture: any Architecture
    /// The parameters and blocks.
    public let description: ModelDescription
    /// `tokenizer.json`.
    public let tokenizer: Tokenizer
    /// The tokens that end a text: those of `config.json` and of `generation_config.json`.
    public let endTokens: [Int]
    /// The weight files.
    public let archive: TensorArchive
    /// `pith.json`; nil for a model as it came.
    public let manifest: CompressionManifest?

    /// Opens and checks the folder; weights are mapped, not read.
    public init(_ path: String) throws(PithError) {
        guard Files.isFolder(path) else {
            throw .data(
                "is no folder", at: path,
                remedy: "a model is a folder with config.json, tokenizer.json and model.safetensors")
        }
        self.path = path
        architecture = try Architectures.open(folder: path)
        description = architecture.describe()
        let configuration = architecture.configuration
        tokenizer = try Tokenizer(folder: path)
        let ends = configuration.eosTokens
        endTokens =
            ends
            + (try GenerationSettings(folder: path, vocabularySize: configuration.vocabularySize).endTokens)
            .filter { !ends.contains($0) }
        archive = try TensorArchive(folder: path)
        let manifestPath = joinPath(path, CompressionManifest.fileName)
        manifest = Files.exists(manifestPath) ? try Self.readManifest(manifestPath) : nil
        guard tokenizer.vocabularySize <= configuration.vocabularySize else {
            throw .data(
                "tokenizer.json has \(tokenizer.vocabularySize) tokens, the model \(configuration.vocabularySize)",
                at: path, remedy: "both files should come from the same model")
        }
    }

    private static func readManifest(_ path: String) throws(PithError) -> CompressionManifest {
        let json = try JSONValue(contentsOf: path)
        do { return try CompressionManifest(json: json) } catch { throw error.within(path) }
    }

    /// The files that hold the weights: safetensors, their index and the manifest.
    private var weightFiles: [String] {
        let others = [TensorArchive.indexName, CompressionManifest.fileName].map { joinPath(path, $0) }
        return archive.files + others.filter(Files.exists)
    }

    /// The files that the model consists of.
    public func files() throws(PithError) -> [String] {
        weightFiles + (try companions().files.map { joinPath(path, $0) })
    }

    /// The size on disk of all the model's files.
    public func byteCount() throws(PithError) -> ByteCount { try Self.size(of: try files()) }

    /// The size on disk of what holds the weights: the safetensors files, their index and the manifest.
    public func weightByteCount() throws(PithError) -> ByteCount { try Self.size(of: weightFiles) }

    private static func size(of files: [String]) throws(PithError) -> ByteCount {
        var sum = ByteCount(0)
        for file in files { sum = sum + (try Files.size(file)) }
        return sum
    }

    /// SHA-256 of each weight file, by file name.
    public func weightDigests() throws(PithError) -> [String: String] {
        var digests: [String: String] = [:]
        for file in archive.files {
            let name = file.split(separator: "/").last.map(String.init) ?? file
            digests[name] = try MappedFile.open(file).withBytes { SHA256.hexDigest(of: $0) }
        }
        return digests
    }

    /// The model, its weights mapped from the files in the form in which they are stored.
    ///
    /// A compressed folder's weights are read once, by all threads, and compared with their checksums.
    public func loadModel(layouts: LayoutCatalogue, pool: ThreadPool) throws(PithError) -> LanguageModel {
        do { return try load(layouts, pool) } catch { throw error.within(path) }
    }

    private func load(_ layouts: LayoutCatalogue, _ pool: ThreadPool) throws(PithError) -> LanguageModel {
        var layouts = layouts
        layouts.pool = pool
        try manifest?.checksums?.verify(archive, pool: pool)
        var model = try LanguageModel(architecture, pool: pool) { (spec) throws(PithError) in
            try matrix(spec, layouts)
        } vector: { (spec) throws(PithError) in
            try vector(spec)
        }
        model.endTokens = endTokens
        return model
    }

    /// The sizes that all families share.
    public var configuration: ModelConfiguration { architecture.configuration }

    /// The name under which a parameter lies in the weight files.
    ///
    /// Where embedding and head are tied, some writers keep the one and some the other.
    public func storedName(of parameter: ParameterID) -> String {
        let name = description[parameter].name
        let isThere = archive.contains(name) || manifest?.weights[name] != nil
        let isTiedTable = parameter == description.input.table && parameter == description.output.matrix
        return isTiedTable && !isThere ? Self.headName : name
    }

    /// The names of tensors that lie in the weight files and are not read: the head of a model whose head is tied to
    /// its embeddings, and angles that follow from the configuration.
    public var unusedNames: [String] {
        let isTied = description.input.table == description.output.matrix
        let table = storedName(of: description.input.table)
        return archive.names.filter { name in
            name == Self.headName && isTied && table != Self.headName || name.hasSuffix(".rotary_emb.inv_freq")
        }
    }

    private static let headName = "lm_head.weight"

    private func matrix(_ spec: ParameterSpec, _ layouts: LayoutCatalogue) throws(PithError) -> any LinearOperator {
        let isTable = spec == description[description.input.table]
        let name = isTable ? storedName(of: description.input.table) : spec.name
        guard let form = manifest?.weights[name] else { return try dense(name, spec.shape) }
        guard form.shape == spec.shape else {
            throw .data(
                "the manifest says \(form.shape)", at: "weight \(name)", remedy: "config.json says \(spec.shape)")
        }
        let matrix = try form.open(name, in: archive, layouts: layouts)
        if manifest?.checksums == nil {
            do { try matrix.verify(pool: layouts.pool) } catch { throw error.within("weight \(name)") }
        }
        return matrix
    }

    private func dense(_ name: String, _ shape: [Int]) throws(PithError) -> DenseOperator {
        let tensor = try archive.tensor(name)
        guard tensor.shape == shape else {
            throw .data("the shape is \(tensor.shape)", at: "tensor \(name)", remedy: "config.json says \(shape)")
        }
        // Without their scales FP8 weights would be silently wrong.
        if let scale = ["\(name)_scale", "\(name)_scale_inv"].first(where: archive.contains) {
            throw .data(
                "is stored with the scales '\(scale)', which are not understood", at: "tensor \(name)",
                remedy: "take the model in BF16 and compress it with fp8")
        }
        do { return try DenseOperator(tensor) } catch { throw error.within("tensor \(name)") }
    }

    private func vector(_ spec: ParameterSpec) throws(PithError) -> [Float] {
        let tensor = try archive.tensor(spec.name)
        guard tensor.shape == spec.shape else {
            throw .data(
                "the shape is \(tensor.shape)", at: "tensor \(spec.name)", remedy: "config.json says \(spec.shape)")
        }
        let values: [Float]
        do { values = try tensor.decoded().values } catch { throw error.within("tensor \(spec.name)") }
        return spec.arrangement == .lessOne ? values.map { $0 + 1 } : values
    }
}
