import PithCore
import PithFormats
import PithTensor

/// A folder with a model: Hugging Face's files, and Pith's manifest if it was compressed.
public struct ModelFolder: Sendable {
    /// Where it is.
    public let path: String
    /// `config.json`.
    public let configuration: ModelConfiguration
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
        configuration = try ModelConfiguration(folder: path)
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
        let c = configuration
        let tableShape = [c.vocabularySize, c.hiddenSize]
        let table = try matrix(embeddingName, tableShape, layouts)
        guard let embedding = table as? any RowDecodable else {
            throw .data("is stored so that single rows cannot be read", at: "weight \(embeddingName)")
        }
        var layers: [DecoderLayer] = []
        for index in 0..<c.layerCount {
            let prefix = "model.layers.\(index)"
            layers.append(
                try DecoderLayer(
                    attentionNorm: try vector("\(prefix).input_layernorm.weight"),
                    feedForwardNorm: try vector("\(prefix).post_attention_layernorm.weight")
                ) { (site) throws(PithError) in
                    try matrix(site.weightName(layer: index), c.shape(of: site), layouts)
                })
        }
        var model = LanguageModel(
            configuration: c, embedding: embedding, layers: layers, finalNorm: try vector("model.norm.weight"),
            head: c.tiesEmbeddings ? embedding : try matrix(Self.headName, tableShape, layouts), pool: pool)
        model.endTokens = endTokens
        return model
    }

    /// The names of the weights outside the layers that are matrices: token vectors, and the head if it is not tied.
    public var tableNames: [String] {
        configuration.tiesEmbeddings ? [embeddingName] : [embeddingName, Self.headName]
    }

    /// The names of tensors that lie in the weight files and are not read: the head of a model whose head is tied to
    /// its embeddings, and angles that follow from the configuration.
    public var unusedNames: [String] {
        archive.names.filter { name in
            name == Self.headName && configuration.tiesEmbeddings && embeddingName != Self.headName
                || name.hasSuffix(".rotary_emb.inv_freq")
        }
    }

    private static let headName = "lm_head.weight"

    /// Where embedding and head are tied, some writers keep the one and some the other.
    private var embeddingName: String {
        let usual = "model.embed_tokens.weight"
        let isThere = archive.contains(usual) || manifest?.weights[usual] != nil
        return configuration.tiesEmbeddings && !isThere ? Self.headName : usual
    }

    private func matrix(
        _ name: String, _ shape: [Int], _ layouts: LayoutCatalogue
    ) throws(PithError) -> any LinearOperator {
        guard let form = manifest?.weights[name] else { return try dense(name, shape) }
        guard form.shape == shape else {
            throw .data("the manifest says \(form.shape)", at: "weight \(name)", remedy: "config.json says \(shape)")
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

    private func vector(_ name: String) throws(PithError) -> [Float] {
        let tensor = try archive.tensor(name)
        guard tensor.shape == [configuration.hiddenSize] else {
            throw .data(
                "the shape is \(tensor.shape)", at: "tensor \(name)",
                remedy: "config.json says [\(configuration.hiddenSize)]")
        }
        do { return try tensor.decoded().values } catch { throw error.within("tensor \(name)") }
    }
}

extension ModelConfiguration {
    /// [outputs, inputs] of a linear operator.
    public func shape(of site: LinearSite) -> [Int] {
        switch site {
        case .query: [headCount * headSize, hiddenSize]
        case .key, .value: [keyValueHeadCount * headSize, hiddenSize]
        case .output: [hiddenSize, headCount * headSize]
        case .gate, .up: [intermediateSize, hiddenSize]
        case .down: [hiddenSize, intermediateSize]
        }
    }
}
