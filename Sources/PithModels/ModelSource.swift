import PithCore
import PithFormats
import PithTensor

/// A model as it is stored: a folder with Hugging Face's files, and Pith's manifest if it was compressed; or a GGUF file.
public struct ModelSource: Sendable {
    /// What holds the weights.
    public enum Weights: Sendable {
        /// Safetensors files of a folder.
        case archive(TensorArchive)
        /// A GGUF file, or its parts.
        case gguf(GGUFFile)
    }

    /// Where it is.
    public let path: String
    /// The family that the configuration names, with that configuration.
    public let architecture: any Architecture
    /// The parameters and blocks.
    public let description: ModelDescription
    /// `tokenizer.json`, or what the GGUF file says.
    public let tokenizer: Tokenizer
    /// The tokens that end a text: those of `config.json` and of `generation_config.json`, or of the GGUF file.
    public let endTokens: [Int]
    /// The weight files.
    public let weights: Weights
    /// `pith.json`; nil for a model as it came.
    public let manifest: CompressionManifest?
    /// What `config.json` says where another program has quantised the weights; else nil.
    private let quantization: JSONValue?

    /// Opens and checks a folder or a GGUF file; weights are mapped, not read.
    public init(_ path: String) throws(PithError) {
        if Files.isFolder(path) {
            try self.init(folder: path)
        } else if path.lowercased().hasSuffix(GGUFFile.fileExtension) {
            try self.init(gguf: path)
        } else {
            throw .data(
                "is no model", at: path,
                remedy: "a model is a folder with config.json, tokenizer.json and model.safetensors, or a .gguf file")
        }
        guard tokenizer.vocabularySize <= configuration.vocabularySize else {
            throw .data(
                "the tokenizer has \(tokenizer.vocabularySize) tokens, the model \(configuration.vocabularySize)",
                at: path, remedy: "both should come from the same model")
        }
    }

    private init(folder path: String) throws(PithError) {
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
        weights = .archive(try TensorArchive(folder: path))
        let manifestPath = joinPath(path, CompressionManifest.fileName)
        manifest = Files.exists(manifestPath) ? try Self.readManifest(manifestPath) : nil
        let document = try JSONValue(contentsOf: joinPath(path, ModelConfiguration.fileName))
        quantization = Self.isQuantized(document) ? document : JSONValue?.none
    }

    /// Whether a `config.json` says that another program has quantised the weights.
    private static func isQuantized(_ configuration: JSONValue) -> Bool {
        guard case .object(let object) = configuration else { return false }
        return ["quantization_config", "quantization"].contains { key in
            if let value = object[key], value != JSONValue.null { true } else { false }
        }
    }

    /// Whether another program has quantised the weights.
    public var isCheckpoint: Bool { quantization != nil }

    /// Whether it is a folder in which nobody has quantised anything.
    public var isOfFloats: Bool {
        if case .archive = weights { manifest == nil && !isCheckpoint } else { false }
    }

    private init(gguf path: String) throws(PithError) {
        let file = try GGUFFile(path: path)
        self.path = path
        architecture = try Architectures.open(file)
        description = architecture.describe()
        tokenizer = try Tokenizer(gguf: file)
        endTokens = try GGUFTokenizerSettings(file.metadata).endTokens(tokenizer)
        weights = .gguf(file)
        (manifest, quantization) = (nil, nil)
    }

    /// The configuration of the model: `config.json`, or the keys of the GGUF file in its words.
    public func configurationDocument() throws(PithError) -> JSONValue {
        switch weights {
        case .archive: try JSONValue(contentsOf: joinPath(path, ModelConfiguration.fileName))
        case .gguf(let file): try Architectures.configuration(of: file)
        }
    }

    /// How texts become vectors.
    func sentenceModules() throws(PithError) -> SentenceModules {
        switch weights {
        case .archive: try SentenceModules(folder: path, hiddenSize: configuration.hiddenSize)
        case .gguf(let file): try SentenceModules(file, hiddenSize: configuration.hiddenSize)
        }
    }

    /// The safetensors files of a folder, for what does not work on a GGUF file.
    public func archive() throws(PithError) -> TensorArchive {
        guard case .archive(let archive) = weights else {
            throw .usage("is a GGUF file", at: path, remedy: "take the folder of a model")
        }
        return archive
    }

    private static func readManifest(_ path: String) throws(PithError) -> CompressionManifest {
        let json = try JSONValue(contentsOf: path)
        do { return try CompressionManifest(json: json) } catch { throw error.within(path) }
    }

    /// The files that hold the weights: safetensors, their index and the manifest, or the GGUF file and its parts.
    private var weightFiles: [String] {
        switch weights {
        case .archive(let archive):
            let others = [TensorArchive.indexName, CompressionManifest.fileName].map { joinPath(path, $0) }
            return archive.files + others.filter(Files.exists)
        case .gguf(let file): return file.files
        }
    }

    /// The files that decide what the model predicts: those of configuration, tokenizer and weights.
    public var decidingFiles: [String] {
        switch weights {
        case .archive(let archive):
            let others = [
                ModelConfiguration.fileName, Tokenizer.fileName(in: path), CompressionManifest.fileName,
            ]
            return others.map { joinPath(path, $0) }.filter(Files.exists) + archive.files
        case .gguf(let file): return file.files
        }
    }

    /// The files that the model consists of.
    public func files() throws(PithError) -> [String] {
        weightFiles + (try companions().files.map { joinPath(path, $0) })
    }

    /// The size on disk of all the model's files.
    public func byteCount() throws(PithError) -> ByteCount { try Self.size(of: try files()) }

    /// The size on disk of what holds the weights: the safetensors files, their index and the manifest.
    public func weightByteCount() throws(PithError) -> ByteCount { try Self.size(of: weightFiles) }

    /// The size on disk of what lies beside the weights.
    package func companionByteCount() throws(PithError) -> ByteCount {
        try Self.size(of: companions().files.map { joinPath(path, $0) })
    }

    private static func size(of files: [String]) throws(PithError) -> ByteCount {
        var sum = ByteCount(0)
        for file in files { sum = sum + (try Files.size(file)) }
        return sum
    }

    /// The files of tensors.
    package var weightFilePaths: [String] {
        switch weights {
        case .archive(let archive): archive.files
        case .gguf(let file): file.files
        }
    }

    /// SHA-256 of each file of tensors, by file name; each is read once, and none held.
    public func weightDigests(pool: ThreadPool) throws(PithError) -> [String: String] {
        let files = weightFilePaths
        let digests = try pool.map(files.count) { (index) throws(PithError) in
            var digest = SHA256()
            try MappedFile.open(files[index]).forEachPiece { digest.update($0) }
            return digest.hexDigest()
        }
        let names = files.map { file in file.split(separator: "/").last.map(String.init) ?? file }
        return Dictionary(zip(names, digests)) { first, _ in first }
    }

    /// The model, its weights mapped from the files in the form in which they are stored.
    ///
    /// A compressed folder's weights are read once, by all threads, and compared with their checksums. An encoder, which
    /// has no logits, is refused unless it is asked for.
    public func loadModel(
        layouts: LayoutCatalogue, pool: ThreadPool, allowingEncoders: Bool = false
    ) throws(PithError) -> LanguageModel {
        if !allowingEncoders { try requireOutput() }
        do { return try load(layouts, pool) } catch { throw error.within(path) }
    }

    /// Refuses a model that has no logits.
    public func requireOutput() throws(PithError) {
        guard description.output == nil else { return }
        throw .usage(
            "is an encoder: it makes vectors of texts, and expects no tokens", at: path,
            remedy: "'pith embed' makes them, 'pith eval --task' measures them")
    }

    private func load(_ layouts: LayoutCatalogue, _ pool: ThreadPool) throws(PithError) -> LanguageModel {
        var layouts = layouts
        layouts.pool = pool
        if case .archive(let archive) = weights { try manifest?.checksums?.verify(archive, pool: pool) }
        var model = try LanguageModel(description, configuration, pool: pool) { (id) throws(PithError) in
            try matrix(id, layouts: layouts)
        } vector: { (id) throws(PithError) in
            try vector(id)
        }
        model.endTokens = endTokens
        return model
    }

    /// A matrix or table as it is stored; those of GGUF's blocks are laid out for the kernels.
    package func matrix(_ parameter: ParameterID, layouts: LayoutCatalogue) throws(PithError) -> any LinearOperator {
        switch weights {
        case .archive(let archive): try matrix(parameter, archive, layouts)
        case .gguf(let file): try file.matrix(description[parameter], pool: layouts.pool)
        }
    }

    /// The values of a vector.
    package func vector(_ parameter: ParameterID) throws(PithError) -> [Float] {
        switch weights {
        case .archive(let archive): try vector(parameter, archive)
        case .gguf(let file): try file.vector(description[parameter])
        }
    }

    /// The sizes that all families share.
    public var configuration: ModelConfiguration { architecture.configuration }

    /// The name of a parameter in the weight files of a folder, or the one that it would have there.
    public func storedName(of parameter: ParameterID) -> String {
        switch weights {
        case .archive(let archive): storedName(of: parameter, in: archive)
        case .gguf: description[parameter].name
        }
    }

    func storedName(of parameter: ParameterID, in archive: TensorArchive) -> String {
        description.name(of: parameter) { name in
            archive.contains(name) || manifest?.weights[name] != nil
                || (quantization != nil && CheckpointNames.isThere(name, archive))
        }
    }

    /// The names of tensors that lie in the weight files of a folder and are not read: other names of tensors that are,
    /// angles and masks that follow from the configuration, and what the family names besides.
    public var unusedNames: [String] {
        guard case .archive(let archive) = weights else { return [] }
        let used = Set(description.parameters.indices.map { storedName(of: ParameterID($0), in: archive) })
        let others = Set(description.parameters.flatMap(\.otherNames))
        return archive.names.filter { name in
            !used.contains(name)
                && (others.contains(name) || Self.derivedNames.contains(where: name.hasSuffix)
                    || type(of: architecture).isUnused(name))
        }
    }

    /// How the names of tensors end that follow from the configuration.
    private static let derivedNames = [
        ".rotary_emb.inv_freq", ".attn.bias", ".attn.masked_bias", ".attention.bias", ".attention.masked_bias",
    ]

    private func matrix(
        _ parameter: ParameterID, _ archive: TensorArchive, _ layouts: LayoutCatalogue
    ) throws(PithError) -> any LinearOperator {
        let (spec, name) = (description[parameter], storedName(of: parameter, in: archive))
        if let quantization {
            do throws(PithError) {
                let format = try layouts.checkpointFormat(JSONReader(quantization))
                let matrix = try format.matrix(name, shape: spec.shape, in: archive, layouts: layouts)
                if let matrix { return matrix }
            } catch { throw error.within("weight \(name)") }
        }
        guard let form = manifest?.weights[name] else { return try dense(name, spec, archive) }
        guard form.shape == spec.shape else {
            throw .data(
                "the manifest says \(form.shape)", at: "weight \(name)", remedy: "config.json says \(spec.shape)")
        }
        let matrix = try form.open(name, layouts: layouts) { (name) throws(PithError) in try archive.tensor(name) }
        if manifest?.checksums == nil {
            do { try matrix.verify(pool: layouts.pool) } catch { throw error.within("weight \(name)") }
        }
        return matrix
    }

    private func dense(
        _ name: String, _ spec: ParameterSpec, _ archive: TensorArchive
    ) throws(PithError) -> DenseOperator {
        let tensor = try archive.tensor(name)
        guard tensor.shape == spec.folderShape else {
            throw .data(
                "the shape is \(tensor.shape)", at: "tensor \(name)", remedy: "config.json says \(spec.folderShape)")
        }
        // Without their scales FP8 weights would be silently wrong.
        if let scale = ["\(name)_scale", "\(name)_scale_inv"].first(where: archive.contains) {
            throw .data(
                "is stored with the scales '\(scale)', which are not understood", at: "tensor \(name)",
                remedy: "take the model in BF16 and compress it with fp8")
        }
        do {
            guard spec.arrangement == .transposed else { return try DenseOperator(tensor) }
            return try DenseOperator(StoredTensor(spec.arrangement.taken(from: tensor.decoded()), as: tensor.type))
        } catch { throw error.within("tensor \(name)") }
    }

    private func vector(_ parameter: ParameterID, _ archive: TensorArchive) throws(PithError) -> [Float] {
        let (spec, name) = (description[parameter], storedName(of: parameter, in: archive))
        let tensor = try archive.tensor(name)
        guard tensor.shape == spec.shape else {
            throw .data("the shape is \(tensor.shape)", at: "tensor \(name)", remedy: "config.json says \(spec.shape)")
        }
        do { return spec.arrangement.taken(from: try tensor.decoded()).values } catch {
            throw error.within("tensor \(name)")
        }
    }
}
