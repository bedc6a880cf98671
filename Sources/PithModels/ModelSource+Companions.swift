import Foundation
import PithCore
import PithFormats

/// What lies in a model's folder beside its weights.
///
/// Whatever belongs to the model goes with it when it is compressed: configuration, tokenizer, chat templates,
/// licences. There is no list of their names, which would never be whole; there are rules for what is no part of it.
extension ModelSource {
    /// The files of a folder that go with its weights, as paths below it, and what is left out, with a reason for each.
    public struct Companions: Equatable, Sendable {
        /// Paths below the folder.
        public var files: [String] = []
        /// Paths below the folder, and why they stay behind.
        public var leftOut: [(path: String, reason: String)] = []

        /// Equal when the same is taken and left for the same reasons.
        public static func == (left: Self, right: Self) -> Bool {
            left.files == right.files && left.leftOut.elementsEqual(right.leftOut, by: ==)
        }
    }

    /// Looks at everything that lies in the folder; a GGUF file has all in itself.
    public func companions() throws(PithError) -> Companions {
        var companions = Companions()
        guard case .archive(let archive) = weights else { return companions }
        let own = Set(archive.files.map { $0.split(separator: "/").last.map(String.init) ?? $0 })
            .union([TensorArchive.indexName, CompressionManifest.fileName])
        // What sentence-transformers does behind the model has folders, and weights of its own.
        let modules = SentenceModules.folders(of: path)
        for name in try Files.names(in: path) where !own.contains(name) {
            let isModule = modules.contains(name)
            if isModule || Self.foldersOfCompanions.contains(name), Files.isFolder(joinPath(path, name)) {
                for inner in try Files.names(in: joinPath(path, name)) {
                    add("\(name)/\(inner)", to: &companions, canBeWeights: isModule)
                }
            } else {
                add(name, to: &companions)
            }
        }
        return companions
    }

    private func add(_ name: String, to companions: inout Companions, canBeWeights: Bool = false) {
        if let reason = reasonToLeave(name, canBeWeights: canBeWeights) {
            companions.leftOut.append((name, reason))
        } else {
            companions.files.append(name)
        }
    }

    private static let foldersOfCompanions = ["chat_templates", "additional_chat_templates"]

    /// Endings of weights, and of their indices, as other programs and frameworks write them.
    private static let endingsOfWeights = [
        ".safetensors", ".safetensors.index.json", ".bin", ".bin.index.json", ".pt", ".pth", ".ckpt", ".h5", ".msgpack",
        ".msgpack.index.json", ".onnx", ".onnx_data", ".onnx.data", ".gguf", ".ggml", ".ot", ".npz", ".tflite", ".part",
    ]

    /// Why a file is no part of the model that is compressed; nil if it is one.
    private func reasonToLeave(_ name: String, canBeWeights: Bool) -> String? {
        let last = name.split(separator: "/").last.map(String.init) ?? name
        var information = stat()
        guard stat(joinPath(path, name), &information) == 0 else { return "cannot be read" }
        if information.st_mode & S_IFMT == S_IFDIR { return "a folder of its own" }
        guard information.st_mode & S_IFMT == S_IFREG else { return "not a file" }
        if last.hasPrefix(".") { return "a hidden file" }
        return !canBeWeights && Self.endingsOfWeights.contains(where: last.lowercased().hasSuffix)
            ? "weights, or a list of them, that this model is not read from" : nil
    }
}
