import PithCore

/// Which files of a repository are fetched.
public struct FileSelection: Sendable {
    /// Files that are taken; where there is none, what Pith needs to run the model.
    public var included: [NamePattern]
    /// Files that are left, whatever else is said.
    public var excluded: [NamePattern]

    /// A selection by patterns, see `NamePattern`.
    public init(include: [String] = [], exclude: [String] = []) {
        (included, excluded) = (include.map { NamePattern($0) }, exclude.map { NamePattern($0) })
    }

    /// The files that are taken, in their order. Throws if there are none, or if the user has to choose.
    package func choose(from files: [HubFile], of address: RepositoryAddress) throws(PithError) -> [HubFile] {
        let left = files.filter { file in !excluded.contains { $0.matches(file.path) } }
        if let path = address.file { return try model(path, left, address) }
        guard included.isEmpty else {
            let chosen = left.filter { file in included.contains { $0.matches(file.path) } }
            guard chosen.isEmpty else { return chosen }
            let patterns = included.map { "'\($0.description.printable)'" }.joined(separator: " or ")
            throw .usage(
                "has no file like \(patterns)", at: address.repository,
                remedy: PithError.suggestion(
                    for: included[0].description.printable, among: files.map(\.path), called: "it has"))
        }
        return try defaultChoice(left, address)
    }

    private func model(
        _ path: String, _ files: [HubFile], _ address: RepositoryAddress
    ) throws(PithError) -> [HubFile] {
        if let set = GGUFSet.all(in: files).first(where: { $0.files.contains { $0.path == path } }) { return set.files }
        if let file = files.first(where: { $0.path == path }) { return [file] }
        throw .usage(
            "has no file '\(path)'", at: address.repository,
            remedy: PithError.suggestion(for: path, among: files.map(\.path), called: "it has"))
    }

    // MARK: What Pith needs

    private func defaultChoice(_ files: [HubFile], _ address: RepositoryAddress) throws(PithError) -> [HubFile] {
        let kept = files.filter { Self.isUseful($0.path) }
        let weights = Self.folderWeights(kept)
        if !weights.isEmpty { return kept.filter { !Self.isWeights($0.path) || weights.contains($0) } }
        let sets = GGUFSet.all(in: files)
        guard sets.count <= 1 else {
            let list = sets.map { "\($0.name) (\(ByteCount($0.size)))" }.joined(separator: ", ")
            throw .usage(
                "has \(sets.count) GGUF models, one of which must be chosen", at: address.repository,
                remedy: "for example --include '\(sets[0].name)'; they are \(list)")
        }
        if let set = sets.first { return set.files }
        guard let foreign = files.first(where: { Self.isForeignWeights($0.path) }) else {
            guard kept.isEmpty else { return kept }
            throw .data("has no files that Pith reads", at: address.repository, remedy: "--include '*' takes all")
        }
        throw .data(
            "has weights only in forms that Pith does not read, such as \(foreign.path)", at: address.repository,
            remedy: "look for one with .safetensors or .gguf files; --include takes these all the same")
    }

    /// The safetensors files that are the model: in the root the one file, else its parts, else whatever is there; and
    /// those of sentence-transformers' modules.
    private static func folderWeights(_ files: [HubFile]) -> Set<HubFile> {
        let weights = files.filter { isWeights($0.path) }
        let (root, inner) = (weights.filter { !$0.path.contains("/") }, weights.filter { $0.path.contains("/") })
        let whole = root.filter { $0.path == "model.safetensors" }
        let parts = root.filter { NamePattern("model-[0-9]*-of-[0-9]*.safetensors").matches($0.path) }
        return Set((whole.isEmpty ? (parts.isEmpty ? root : parts) : whole) + inner)
    }

    private static func isWeights(_ path: String) -> Bool { path.hasSuffix(".safetensors") }

    private static let foreignEndings = [
        ".bin", ".pt", ".pth", ".ckpt", ".h5", ".msgpack", ".onnx", ".ot", ".npz", ".tflite", ".ggml", ".keras",
    ]

    private static func isForeignWeights(_ path: String) -> Bool {
        foreignEndings.contains { path.lowercased().hasSuffix($0) }
    }

    private static let usefulPatterns = [
        "*.json", "*.jinja", "*.model", "*.txt", "*.safetensors", "README.md", "LICENSE*", "LICENCE*", "NOTICE*",
    ].map { NamePattern($0) }

    /// Folders whose files belong to a model: chat templates, and sentence-transformers' modules such as `1_Pooling`.
    private static let folderPatterns = ["chat_templates/*", "additional_chat_templates/*", "[0-9]_*/*"].map {
        NamePattern($0)
    }

    /// Whether Pith may need a file that is no GGUF file: configuration, tokenizer, templates, licence, safetensors.
    private static func isUseful(_ path: String) -> Bool {
        let stem = path.hasSuffix(".index.json") ? String(path.dropLast(11)) : path
        return usefulPatterns.contains { $0.matches(path) } && !isForeignWeights(stem) && !path.hasPrefix(".")
            && (!path.contains("/") || folderPatterns.contains { $0.matches(path) })
    }
}

/// A model in GGUF: a file, or the parts that it was cut into.
struct GGUFSet: Sendable {
    /// The name of the file, or of the first part.
    let name: String
    let files: [HubFile]
    /// Bytes of all together.
    var size: Int { files.reduce(0) { $0 + $1.size } }

    /// The models among `files`, in their order; encoders of pictures (`mmproj`) are none.
    static func all(in files: [HubFile]) -> [GGUFSet] {
        var (order, parts) = ([String](), [String: [HubFile]]())
        for file in files where file.path.lowercased().hasSuffix(".gguf") {
            guard !(file.path.split(separator: "/").last ?? "").lowercased().hasPrefix("mmproj") else { continue }
            let stem = stem(file.path)
            if parts[stem] == nil { order.append(stem) }
            parts[stem, default: []].append(file)
        }
        return order.compactMap { stem in
            let files = (parts[stem] ?? []).sorted { BytePath($0.path) < BytePath($1.path) }
            return files.first.map { GGUFSet(name: $0.path, files: files) }
        }
    }

    /// The name without what tells parts apart: `-00001-of-00003.gguf`.
    private static func stem(_ path: String) -> String {
        let ending = "-00001-of-00003.gguf"
        guard NamePattern("*-[0-9][0-9][0-9][0-9][0-9]-of-[0-9][0-9][0-9][0-9][0-9].gguf").matches(path) else {
            return path
        }
        return String(path.dropLast(ending.utf8.count) + path.suffix("-of-00003.gguf".utf8.count))
    }
}
