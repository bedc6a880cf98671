import PithCore
import PithTensor

/// A GGUF file, or several that a model was split into, mapped: nothing but the head is read until a tensor is touched.
/// Source: ggml, docs/gguf.md.
public struct GGUFFile: Sendable {
    /// Where the file lies, the first if there are several.
    public let path: String
    /// The metadata of the first file, by key.
    public let metadata: [String: GGUFValue]
    /// The tensors of all files, in order.
    public let tensors: [GGUFTensor]
    /// The paths of all files.
    public let files: [String]
    /// The size of all files.
    public let size: ByteCount

    private let regions: [ByteRegion]
    private let places: [String: Int]

    /// The extension of names.
    public static let fileExtension = ".gguf"
    private static let largestSplit = 99_999

    /// Opens the file at `path` and checks its head; with it the other parts if it is the first of a split model.
    public init(path: String) throws(PithError) {
        var (regions, files) = ([try Self.region(path)], [path])
        let head = try Self.head(regions[0], path)
        var tensors = head.tensors
        let parts = head.metadata["split.count"]?.integer ?? 1
        if parts != 1 {
            let expected = head.metadata["split.tensors.count"]?.integer
            for part in try Self.otherParts(of: path, count: parts, number: head.metadata["split.no"]?.integer) {
                let region = try Self.region(part)
                let other = try Self.head(region, part)
                guard other.metadata["split.no"]?.integer == regions.count,
                    other.metadata["split.count"]?.integer == parts
                else { throw .data("is another part than its name says", at: part) }
                tensors += other.tensors.map { tensor in
                    var tensor = tensor
                    tensor.part = regions.count
                    return tensor
                }
                regions.append(region)
                files.append(part)
            }
            guard expected == nil || expected == tensors.count else {
                throw .data("its parts hold \(tensors.count) tensors", at: path, remedy: "\(expected ?? 0) is said")
            }
        }
        var places: [String: Int] = [:]
        for (place, tensor) in tensors.enumerated() where places.updateValue(place, forKey: tensor.name) != nil {
            throw .data("has the tensor '\(tensor.name.shortened)' twice", at: path)
        }
        (self.path, metadata, self.tensors, self.places) = (path, head.metadata, tensors, places)
        size = ByteCount(regions.reduce(0) { $0 + $1.count })
        (self.regions, self.files) = (regions, files)
    }

    private static func region(_ path: String) throws(PithError) -> ByteRegion {
        let region = try MappedFile.open(path)
        try region.refusePointer(at: path)
        return region
    }

    private static func head(_ region: ByteRegion, _ path: String) throws(PithError) -> GGUFHead {
        do { return try GGUFHead(region) } catch { throw error.within(path) }
    }

    /// The paths of the parts behind the first of `count`, which is at `path`.
    private static func otherParts(
        of path: String, count: Int, number: Int?
    ) throws(PithError) -> [String] {
        func ending(_ part: Int) -> String {
            func padded(_ number: Int) -> String { String(String(100_000 + number).dropFirst()) }
            return "-\(padded(part))-of-\(padded(count))\(fileExtension)"
        }
        guard (2...largestSplit).contains(count) else {
            throw .data("is one of \(count) parts", at: path, remedy: "1 to \(largestSplit) are understood")
        }
        guard number == 0, path.hasSuffix(ending(1)) else {
            throw .data(
                "is one of \(count) parts", at: path,
                remedy: "open the first, whose name ends with \(ending(1))")
        }
        let stem = path.dropLast(ending(1).count)
        return (2...count).map { stem + ending($0) }
    }

    /// The kind of model, `general.architecture`, for example `llama`; nil if the file does not say.
    public var architecture: String? { metadata["general.architecture"]?.string }

    /// Looks up a key of the architecture, for example `context_length` for `llama.context_length`.
    public subscript(hyperparameter key: String) -> GGUFValue? {
        architecture.flatMap { metadata["\($0).\(key)"] }
    }

    /// The tensor of that name.
    public subscript(tensor name: String) -> GGUFTensor? { places[name].map { tensors[$0] } }

    /// The tensor of that name; throws if there is none, or if its type is not known.
    public func tensor(_ name: String) throws(PithError) -> (tensor: GGUFTensor, type: GGUFType) {
        guard let tensor = self[tensor: name] else {
            throw .data("the tensor '\(name.shortened)' is missing", at: path)
        }
        guard let type = tensor.type else {
            throw .data(
                "is of the unknown type \(tensor.typeNumber)", at: "\(path): tensor \(name.shortened)",
                remedy: "known are \(GGUFType.decodableNames)")
        }
        return (tensor, type)
    }

    /// The bytes of a tensor of this file.
    public func region(of tensor: GGUFTensor) -> ByteRegion { regions[tensor.part][tensor.range] }

    /// All elements of a tensor, decoded in order: for norms and biases, and for tests.
    public func values(_ name: String) throws(PithError) -> Tensor {
        let (tensor, type) = try tensor(name)
        do {
            try Memory.require(tensor.count * MemoryLayout<Float>.stride, for: "\(tensor.shape) weights as floats")
            return Tensor(shape: tensor.shape, values: try type.decoded(region(of: tensor)))
        } catch { throw error.within("\(path): tensor \(name.shortened)") }
    }
}
