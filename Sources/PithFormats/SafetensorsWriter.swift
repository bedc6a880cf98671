import PithCore
import PithTensor

/// Writes safetensors files: the same tensors always give the same bytes.
public enum SafetensorsWriter {
    /// The data of a file begins on a multiple of this, so that whole vectors lie aligned in a mapped file.
    static let alignment = 64

    /// A tensor to be written.
    public struct Entry: Sendable {
        /// The name.
        public let name: String
        /// The type of its elements.
        public let type: ElementType
        /// The extents, outermost first.
        public let shape: [Int]

        /// A tensor of that name, type and shape.
        public init(name: String, type: ElementType, shape: [Int]) {
            (self.name, self.type, self.shape) = (name, type, shape)
        }

        /// Bytes of its elements.
        public var byteCount: Int { shape.reduce(1, *) * type.byteCount }
    }

    /// Writes tensors in the order of `entries` to a file that appears at `path` when it is whole; `tensor` gives one
    /// after the other, so that no more than one has to be there at a time.
    public static func write(
        _ entries: [Entry], metadata: [String: String] = [:], to path: String,
        tensor: (_ index: Int) throws(PithError) -> StoredTensor
    ) throws(PithError) {
        let header = try header(entries, metadata: metadata)
        let file = try AtomicFile(at: path)
        try header.withUnsafeBufferPointer { (bytes) throws(PithError) in
            try file.write(UnsafeRawBufferPointer(bytes))
        }
        for (index, entry) in entries.enumerated() {
            let tensor = try tensor(index)
            guard tensor.type == entry.type, tensor.shape == entry.shape else {
                throw .fault(
                    "the tensor \(entry.name) is \(tensor.type.rawValue) \(tensor.shape), not as it was announced")
            }
            try tensor.region.withBytes { (bytes) throws(PithError) in try file.write(bytes) }
        }
        try file.commit()
    }

    /// Writes `tensors` to a file that appears at `path` when it is whole.
    public static func write(
        _ tensors: [(name: String, tensor: StoredTensor)], metadata: [String: String] = [:], to path: String
    ) throws(PithError) {
        let ordered = inFileOrder(tensors)
        try write(entries(ordered), metadata: metadata, to: path) { ordered[$0].tensor }
    }

    private static func entries(_ tensors: [(name: String, tensor: StoredTensor)]) -> [Entry] {
        tensors.map { Entry(name: $0.name, type: $0.tensor.type, shape: $0.tensor.shape) }
    }

    /// The size of the file that `write` would make.
    public static func fileSize(
        of tensors: [(name: String, tensor: StoredTensor)], metadata: [String: String] = [:]
    ) throws(PithError) -> ByteCount {
        let data = tensors.reduce(0) { $0 + $1.tensor.byteCount }
        return ByteCount(try header(entries(inFileOrder(tensors)), metadata: metadata).count + data)
    }

    /// Larger elements first: then each tensor lies on a multiple of its element size.
    private static func inFileOrder(
        _ tensors: [(name: String, tensor: StoredTensor)]
    ) -> [(name: String, tensor: StoredTensor)] {
        tensors.sorted {
            let (left, right) = ($0.tensor.type.byteCount, $1.tensor.type.byteCount)
            return left != right ? left > right : ExactString($0.name) < ExactString($1.name)
        }
    }

    /// The length, the JSON and its padding.
    private static func header(
        _ entries: [Entry], metadata: [String: String]
    ) throws(PithError) -> [UInt8] {
        var object = JSONObject()
        if !metadata.isEmpty {
            var texts = JSONObject()
            for key in metadata.keys.sorted() { texts[key] = metadata[key].map { .string($0) } }
            object["__metadata__"] = .object(texts)
        }
        var position = 0
        for tensor in entries {
            let entry: JSONValue = [
                "dtype": .string(tensor.type.rawValue), "shape": .array(tensor.shape.map { .integer($0) }),
                "data_offsets": [.integer(position), .integer(position + tensor.byteCount)],
            ]
            guard tensor.name != "__metadata__", object.insert(tensor.name, entry) else {
                throw .fault("two tensors to be written are named '\(tensor.name)'")
            }
            position += tensor.byteCount
        }
        var json = JSONValue.object(object).compactBytes()
        let unpadded = 8 + json.count
        let padding = (alignment - unpadded % alignment) % alignment
        json.append(contentsOf: repeatElement(UInt8(ascii: " "), count: padding))
        guard json.count <= SafetensorsFile.maximumHeaderLength else {
            throw .fault("\(entries.count) tensors make a header of \(json.count) bytes, over the format's 100 MB")
        }
        return withUnsafeBytes(of: UInt64(json.count).littleEndian, Array.init) + json
    }
}
