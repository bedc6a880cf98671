import PithCore
import PithTensor

/// The weights of a Hugging Face folder: `model.safetensors`, or `model.safetensors.index.json` and its shards.
public struct TensorArchive: Sendable {
    /// The folder.
    public let folder: String
    /// The names of all tensors, sorted.
    public let names: [String]
    /// The paths of the files that hold the weights.
    public let files: [String]
    /// The size of these files together.
    public let totalBytes: ByteCount

    private let shards: [SafetensorsFile]
    private let shardOfName: [String: Int]

    /// The name of the one weight file of a folder without shards.
    public static let fileName = "model.safetensors"
    /// The name of the list of shards.
    public static let indexName = "model.safetensors.index.json"

    /// Opens the weights in `folder`.
    public init(folder: String) throws(PithError) {
        let single = joinPath(folder, Self.fileName)
        let index = joinPath(folder, Self.indexName)
        if Files.exists(single) {
            let file = try SafetensorsFile(single)
            shards = [file]
            shardOfName = Dictionary(uniqueKeysWithValues: file.names.map { ($0, 0) })
        } else if Files.exists(index) {
            (shards, shardOfName) = try Self.openShards(folder: folder, index: index)
        } else {
            throw .data("holds no weights", at: folder, remedy: "\(Self.fileName) or \(Self.indexName) should be there")
        }
        self.folder = folder
        names = shardOfName.keys.sorted()
        files = shards.map(\.path)
        totalBytes = ByteCount(shards.reduce(0) { $0 + $1.size.value })
    }

    /// Whether there is a tensor of that name.
    public func contains(_ name: String) -> Bool { shardOfName[name] != nil }

    /// The tensor of that name, which must be there.
    public func tensor(_ name: String) throws(PithError) -> StoredTensor {
        guard let shard = shardOfName[name], let tensor = shards[shard][name] else {
            throw .data("the tensor '\(name)' is missing", at: folder)
        }
        return tensor
    }

    private static func openShards(
        folder: String, index: String
    ) throws(PithError) -> ([SafetensorsFile], [String: Int]) {
        let document = try JSONValue(contentsOf: index)
        let fileOfName: [String: String]
        do { fileOfName = try weightMap(document) } catch { throw error.within(index) }
        let fileNames = Set(fileOfName.values).sorted()
        var shards: [SafetensorsFile] = []
        var shardOfName: [String: Int] = [:]
        for (position, fileName) in fileNames.enumerated() {
            let shard = try SafetensorsFile(joinPath(folder, fileName))
            for name in shard.names {
                guard fileOfName[name] == fileName else {
                    throw .data("does not say that '\(name.shortened)' is in \(fileName)", at: index)
                }
                shardOfName[name] = position
            }
            shards.append(shard)
        }
        for name in fileOfName.keys.sorted() where shardOfName[name] == nil {
            throw .data("lists '\(name.shortened)', which \(fileOfName[name] ?? "") lacks", at: index)
        }
        return (shards, shardOfName)
    }

    private static func weightMap(_ document: JSONValue) throws(PithError) -> [String: String] {
        var fileOfName: [String: String] = [:]
        for (name, reader) in try JSONReader(document).member("weight_map").members() {
            let fileName = try reader.text()
            // A name that leads out of the folder must not be followed.
            let isPlain = fileName.utf8.allSatisfy { $0 > 0x20 && $0 != UInt8(ascii: "/") && $0 != UInt8(ascii: "\\") }
            guard isPlain, fileName.hasSuffix(".safetensors"), !fileName.hasPrefix(".") else {
                throw reader.failure(
                    "'\(fileName.shortened)' is no name of a weight file",
                    remedy: "it should be a plain name that ends in .safetensors")
            }
            guard fileOfName.updateValue(fileName, forKey: name) == nil else { throw reader.failure("stands twice") }
        }
        guard !fileOfName.isEmpty else { throw .data("weight_map lists no tensors") }
        return fileOfName
    }
}
