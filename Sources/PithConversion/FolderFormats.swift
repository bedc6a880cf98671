import PithCore
import PithFormats
import PithModels
import PithTensor
import PithWeights
import Synchronization

/// Folders of Hugging Face with weights of floats.
public struct HuggingFaceFormat: ModelFormat {
    private static let types: [ElementType?] = [nil, .float32, .float16, .bfloat16]
    private static let type = MethodOption.choice(
        "type", nil as ElementType?, of: types, { $0?.rawValue ?? "keep" },
        "the type of the weights; keep: that which they came in, BF16 where that is none of floats")

    /// What the catalogue knows.
    public static let entry = MethodEntry(
        identifier: "hf", paper: nil, summary: "a folder of floats, for transformers and everything else",
        options: [type])

    private let type: ElementType?

    /// Takes options.
    public init(_ options: OptionValues) throws(PithError) { type = options[Self.type] }

    /// Floats stay floats.
    public func form(of parameter: ParameterID, in model: ConvertedModel) -> (any GridForm)? { nil }

    /// Everything can be written as floats.
    public func prepare(_ model: ConvertedModel) throws(PithError) -> PreparedModel {
        let contents = try model.source.description.parameters.indices.map { (index) throws(PithError) in
            try model.floats(ParameterID(index), as: type)
        }
        return FolderWriting(contents: contents, configuration: ConvertedModel.forgetQuantization, type: type).prepared(
            model)
    }
}

/// Pith's own folders: every matrix in the form in which it is stored.
public struct PithFormat: ModelFormat {
    /// What the catalogue knows.
    public static let entry = MethodEntry(
        identifier: "pith", paper: nil, summary: "Pith's own folder: every matrix in the bits in which it is stored",
        options: [])

    /// Takes options.
    public init(_ options: OptionValues) throws(PithError) {}

    /// Floats stay floats.
    public func form(of parameter: ParameterID, in model: ConvertedModel) -> (any GridForm)? { nil }

    /// Everything has a layout; only floats have none of their own.
    public func prepare(_ model: ConvertedModel) throws(PithError) -> PreparedModel {
        let source = model.source
        var contents: [(name: String, content: TensorContent)] = []
        var forms: [String: CompressionManifest.StoredForm] = [:]
        for index in source.description.parameters.indices {
            let id = ParameterID(index)
            let name = try source.folderPlace(of: id).name
            if model.isMatrix(id), let matrix = try model.matrix(id) as? any StoredLinear, !(matrix is DenseOperator) {
                forms[name] = .init(matrix)
                contents += matrix.tensors(named: name).map { ($0.name, TensorContent($0.tensor)) }
            } else {
                contents.append(try model.floats(id, as: nil))
            }
        }
        let digests = try source.weightDigests(pool: model.pool)
        let manifest = CompressionManifest(
            spec: source.manifest?.spec ?? "none", embeddings: source.manifest?.embeddings,
            recipe: source.manifest?.recipe, seed: source.manifest?.seed ?? 0,
            source: source.manifest?.source ?? digests,
            calibration: source.manifest?.calibration, weights: forms)
        return FolderWriting(
            contents: contents, configuration: ConvertedModel.forgetQuantization, type: nil,
            manifest: forms.isEmpty ? nil : manifest
        ).prepared(model)
    }
}

/// The quantised folder of another program.
struct CheckpointFolder: ModelFormat {
    static let entry = MethodEntry(identifier: "checkpoint", paper: nil, summary: "", options: [])

    private let format: any CheckpointWriter

    init(_ format: any CheckpointWriter) { self.format = format }

    init(_ options: OptionValues) throws(PithError) { throw .fault("a checkpoint without a format") }

    private func isStored(_ id: ParameterID, _ source: ModelSource) -> Bool {
        let spec = source.description[id]
        switch spec.kind {
        case .matrix: return spec.name != "lm_head.weight" || type(of: format).holdsTables
        case .table: return type(of: format).holdsTables
        case .router, .vector: return false
        }
    }

    func form(of parameter: ParameterID, in model: ConvertedModel) -> (any GridForm)? {
        isStored(parameter, model.source) ? format.form : nil
    }

    func prepare(_ model: ConvertedModel) throws(PithError) -> PreparedModel {
        let (source, name) = (model.source, type(of: format).name)
        var (contents, floats) = ([(name: String, content: TensorContent)](), [String]())
        var rounded: [ParameterID: String] = [:]
        let encoder = Encoder(model: model, format: format)
        for index in source.description.parameters.indices {
            let id = ParameterID(index)
            let place = try source.folderPlace(of: id).name
            guard isStored(id, source) else {
                contents.append(try model.floats(id, as: nil))
                if source.description[id].kind != .vector { floats.append(CheckpointNames.module(place)) }
                continue
            }
            let matrix = try model.matrix(id)
            if !format.accepts(matrix) {
                guard matrix is DenseOperator, format.form != nil else {
                    let spec = type(of: format).spec(for: matrix)
                    throw model.refusal(
                        id, matrix, name,
                        remedy: spec.map { "--to \($0) has" } ?? "--to hf holds what it stands for")
                }
                rounded[id] = format.form?.name
            }
            do { try format.validate(rows: matrix.outputCount, columns: matrix.inputCount) } catch {
                throw error.within("\(source.path): \(place)")
            }
            for (part, tensor) in format.parts(of: matrix).enumerated() {
                contents.append(
                    (
                        "\(CheckpointNames.module(place)).\(tensor.name)",
                        TensorContent(type: tensor.type, shape: tensor.shape) { (body) throws(PithError) in
                            try TensorContent(try encoder.tensor(id, part)).forEachPiece(body)
                        }
                    ))
            }
            source.releaseMemory(of: id)
        }
        // A tied head has no weights here, but is a module of its own to those who read this.
        let table = source.description.input.table
        if source.description.output?.matrix == table, !isStored(table, source) { floats.append("lm_head") }
        let (format, names) = (format, floats)
        let writing = FolderWriting(
            contents: contents,
            configuration: { object in
                ConvertedModel.forgetQuantization(&object)
                format.describe(in: &object, floats: names)
            }, type: nil)
        return writing.prepared(model, rounded: rounded)
    }

    /// Makes the tensors of a matrix, and keeps those of the last one: its parts are asked for one after the other.
    private final class Encoder: Sendable {
        private let model: ConvertedModel
        private let format: any CheckpointWriter
        private let last = Mutex<(id: ParameterID, tensors: [StoredTensor])?>(nil)

        init(model: ConvertedModel, format: any CheckpointWriter) { (self.model, self.format) = (model, format) }

        func tensor(_ id: ParameterID, _ part: Int) throws(PithError) -> StoredTensor {
            if let held = last.withLock({ $0?.id == id ? $0?.tensors : nil }) { return held[part] }
            var matrix = try model.matrix(id)
            if !format.accepts(matrix), let form = format.form { matrix = try model.rounded(matrix, to: form) }
            let tensors = try format.encode(matrix)
            last.withLock { $0 = (id, tensors) }
            model.source.releaseMemory(of: id)
            return tensors[part]
        }
    }
}

extension ConvertedModel {
    /// A parameter as floats, under its name in folders and arranged as these have it: as it came, or in another type.
    func floats(_ id: ParameterID, as type: ElementType?) throws(PithError) -> (name: String, content: TensorContent) {
        let (name, own) = try source.folderPlace(of: id, as: type)
        let spec = source.description[id]
        if case .archive(let archive) = source.weights, archive.contains(name), try archive.tensor(name).type == own,
            source.manifest?.weights[name] == nil
        {
            return (name, TensorContent(try archive.tensor(name)))
        }
        return (
            name,
            TensorContent(type: own, shape: spec.folderShape) { [self] (body) throws(PithError) in
                let values =
                    spec.kind == .vector
                    ? Tensor(shape: spec.shape, values: try source.vector(id))
                    : try matrix(id).denseWeight(pool: pool)
                defer { source.releaseMemory(of: id) }
                try TensorContent(StoredTensor(spec.arrangement.given(values), as: own)).forEachPiece(body)
            }
        )
    }

    /// Takes out of a `config.json` what it says of how weights are quantised.
    @Sendable static func forgetQuantization(_ object: inout JSONObject) {
        for key in ["quantization_config", "compression_config", "quantization"] {
            object[key] = JSONValue?.none
        }
    }
}

/// A folder that is ready to be written.
struct FolderWriting: Sendable {
    /// The tensors, in the order in which they are written.
    let contents: [(name: String, content: TensorContent)]
    /// Changes `config.json`.
    let configuration: @Sendable (inout JSONObject) -> Void
    /// The type of the weights, if it is another than they came in.
    let type: ElementType?
    var manifest: CompressionManifest?

    func prepared(_ model: ConvertedModel, rounded: [ParameterID: String] = [:]) -> PreparedModel {
        let size = ByteCount(contents.reduce(0) { $0 + $1.content.byteCount })
        return PreparedModel(rounded: rounded, byteCount: size) { (path, progress) throws(PithError) in
            try Files.buildFolder(at: path) { (folder) throws(PithError) in
                try model.source.writeCompanions(to: folder, weightsAs: type)
                let place = joinPath(folder, ModelConfiguration.fileName)
                var object = try JSONReader(JSONValue(contentsOf: place)).object()
                configuration(&object)
                try JSONValue.object(object).write(to: place)
                try write(into: folder, progress)
            }
        }
    }

    private func write(into folder: String, _ progress: (Int, Int) -> Void) throws(PithError) {
        var (checksums, seen) = ([String: XXHash64](), Set<String>())
        try SafetensorsWriter.write(
            contents: contents, metadata: ["format": manifest == nil ? "pt" : "pith"], keepingOrder: manifest == nil,
            to: joinPath(folder, TensorArchive.fileName)
        ) { name, piece in
            if seen.insert(name).inserted { progress(seen.count - 1, contents.count) }
            if manifest != nil { checksums[name, default: XXHash64()].update(piece) }
        }
        guard var manifest else { return }
        manifest.checksums = StoredChecksums(checksums.mapValues { $0.value })
        try AtomicFile.write(manifest.json.prettyText, to: joinPath(folder, CompressionManifest.fileName))
    }
}
