import PithCore
import PithTensor

/// Writes safetensors files: the same tensors always give the same bytes.
public enum SafetensorsWriter {
    /// The data of a file begins on a multiple of this, so that whole vectors lie aligned in a mapped file.
    static let alignment = 64

    /// Writes `tensors` to a file that appears at `path` when it is whole.
    public static func write(
        _ tensors: [(name: String, tensor: StoredTensor)], metadata: [String: String] = [:], to path: String
    ) throws(PithError) {
        try write(contents: tensors.map { ($0.name, TensorContent($0.tensor)) }, metadata: metadata, to: path)
    }

    /// Writes `contents` to a file that appears at `path` when it is whole. `seeing` is shown the bytes of each tensor as
    /// they are written, piece by piece. `keepingOrder`: tensors lie in the given order, wherever their elements then begin.
    public static func write(
        contents tensors: [(name: String, content: TensorContent)], metadata: [String: String] = [:],
        keepingOrder: Bool = false, to path: String,
        seeing: (_ name: String, _ piece: UnsafeRawBufferPointer) -> Void = { _, _ in }
    ) throws(PithError) {
        let ordered = keepingOrder ? tensors : inFileOrder(tensors)
        let header = try header(ordered, metadata: metadata)
        let file = try AtomicFile(at: path)
        try header.withUnsafeBufferPointer { (bytes) throws(PithError) in
            try file.write(UnsafeRawBufferPointer(bytes))
        }
        for (name, content) in ordered {
            do throws(PithError) {
                try content.forEachPiece { (piece) throws(PithError) in
                    seeing(name, piece)
                    try file.write(piece)
                }
            } catch { throw error.within("tensor \(name)") }
        }
        try file.commit()
    }

    /// The size of the file that `write` would make.
    public static func fileSize(
        of tensors: [(name: String, tensor: StoredTensor)], metadata: [String: String] = [:]
    ) throws(PithError) -> ByteCount {
        let contents = tensors.map { (name: $0.name, content: TensorContent($0.tensor)) }
        let data = contents.reduce(0) { $0 + $1.content.byteCount }
        return ByteCount(try header(inFileOrder(contents), metadata: metadata).count + data)
    }

    /// Larger elements first: then each tensor lies on a multiple of its element size.
    private static func inFileOrder(
        _ tensors: [(name: String, content: TensorContent)]
    ) -> [(name: String, content: TensorContent)] {
        tensors.sorted {
            let (left, right) = ($0.content.type.byteCount, $1.content.type.byteCount)
            return left != right ? left > right : ExactString($0.name) < ExactString($1.name)
        }
    }

    /// The length, the JSON and its padding.
    private static func header(
        _ tensors: [(name: String, content: TensorContent)], metadata: [String: String]
    ) throws(PithError) -> [UInt8] {
        var object = JSONObject()
        if !metadata.isEmpty {
            var texts = JSONObject()
            for key in metadata.keys.sorted() { texts[key] = metadata[key].map { .string($0) } }
            object["__metadata__"] = .object(texts)
        }
        var position = 0
        for (name, content) in tensors {
            let entry: JSONValue = [
                "dtype": .string(content.type.rawValue), "shape": .array(content.shape.map { .integer($0) }),
                "data_offsets": [.integer(position), .integer(position + content.byteCount)],
            ]
            guard name != "__metadata__", object.insert(name, entry) else {
                throw .fault("two tensors to be written are named '\(name)'")
            }
            position += content.byteCount
        }
        var json = JSONValue.object(object).compactBytes()
        let unpadded = 8 + json.count
        let padding = (alignment - unpadded % alignment) % alignment
        json.append(contentsOf: repeatElement(UInt8(ascii: " "), count: padding))
        guard json.count <= SafetensorsFile.maximumHeaderLength else {
            throw .fault("\(tensors.count) tensors make a header of \(json.count) bytes, over the format's 100 MB")
        }
        return withUnsafeBytes(of: UInt64(json.count).littleEndian, Array.init) + json
    }
}
