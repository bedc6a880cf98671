import PithCore
import PithTensor

/// A safetensors file, mapped: nothing but its header is read until a tensor is touched.
///
/// The header is trusted in nothing: every tensor must lie where its type and shape say, and together they must
/// fill the file without gaps and overlaps.
public struct SafetensorsFile: Sendable {
    /// Where the file lies.
    public let path: String
    /// The texts of `__metadata__`.
    public let metadata: [String: String]
    /// The names of the tensors, sorted.
    public let names: [String]
    /// The size of the whole file.
    public let size: ByteCount

    private let tensors: [String: StoredTensor]

    /// The longest header that the reference implementation accepts.
    static let maximumHeaderLength = 100_000_000

    /// Opens the file at `path` and checks its header.
    public init(_ path: String) throws(PithError) {
        let region = try MappedFile.open(path)
        try region.refusePointer(at: path)
        do {
            let header = try SafetensorsHeader(region)
            self.path = path
            metadata = header.metadata
            tensors = try header.tensors(in: region)
            names = tensors.keys.sorted()
            size = ByteCount(region.count)
        } catch { throw error.within(path) }
    }

    /// Where the tensors lie in the safetensors file that `region` holds, in order. Throws if it is none.
    public static func ranges(in region: ByteRegion) throws(PithError) -> [TensorRange] {
        let header = try SafetensorsHeader(region)
        _ = try header.tensors(in: region)
        return header.entries.sorted { ($0.begin, $0.end) < ($1.begin, $1.end) }.map {
            TensorRange(
                name: $0.name, range: header.dataOffset + $0.begin..<header.dataOffset + $0.end,
                encoding: .elements($0.type))
        }
    }

    /// The tensor of that name.
    public subscript(name: String) -> StoredTensor? { tensors[name] }
}

/// What the header of a safetensors file says, checked for sense but not yet against the data.
private struct SafetensorsHeader {
    struct Entry {
        var name: String
        var type: ElementType
        var shape: [Int]
        var begin: Int
        var end: Int
    }

    var metadata: [String: String] = [:]
    var entries: [Entry] = []
    /// Where the data begins in the file.
    let dataOffset: Int

    private static let prefixLength = 8

    init(_ region: ByteRegion) throws(PithError) {
        guard region.count >= Self.prefixLength else {
            throw .data("has \(region.count) bytes, too few for a safetensors file")
        }
        let length = region.withBytes { UInt64(littleEndian: $0.loadUnaligned(as: UInt64.self)) }
        guard length <= UInt64(SafetensorsFile.maximumHeaderLength) else {
            throw .data("the header claims \(length) bytes", remedy: "100 MB is the limit")
        }
        dataOffset = Self.prefixLength + Int(length)
        guard dataOffset <= region.count else {
            throw .data("the header claims \(length) bytes, but only \(region.count - Self.prefixLength) follow")
        }
        try read(try Self.document(region[Self.prefixLength..<dataOffset]))
    }

    private static func document(_ header: ByteRegion) throws(PithError) -> JSONValue {
        do {
            return try header.withBytes { (bytes) throws(PithError) in
                guard bytes.first == UInt8(ascii: "{") else { throw .data("does not begin with '{'") }
                return try JSONValue(parsing: bytes)
            }
        } catch { throw error.within("header") }
    }

    private mutating func read(_ document: JSONValue) throws(PithError) {
        for (name, reader) in try JSONReader(document).members() {
            if name == "__metadata__" {
                if case .null = reader.value { continue }
                for (key, value) in try reader.members() { metadata[key] = try value.text() }
                continue
            }
            do { entries.append(try Self.entry(name, reader)) } catch {
                throw error.within("tensor \(name.shortened)")
            }
        }
    }

    private static func entry(_ name: String, _ reader: JSONReader) throws(PithError) -> Entry {
        let typeName = try reader.member("dtype").text()
        guard let type = ElementType(rawValue: typeName) else {
            let known = ElementType.allCases.map(\.rawValue).joined(separator: ", ")
            throw .data("has the unknown element type '\(typeName.shortened)'", remedy: "known are \(known)")
        }
        let shape = try shape(try reader.member("shape").array())
        let offsets = try reader.member("data_offsets").array()
        guard offsets.count == 2 else { throw .data("data_offsets has \(offsets.count) elements instead of 2") }
        let begin = try offsets[0].integer(in: 0...Int.max)
        let end = try offsets[1].integer(in: begin...Int.max)
        let claimed = shape.reduce(1, *) * type.byteCount
        guard end - begin == claimed else {
            throw .data("\(type.rawValue) \(shape) takes \(claimed) bytes, but data_offsets span \(end - begin)")
        }
        return Entry(name: name, type: type, shape: shape, begin: begin, end: end)
    }

    /// Extents whose product, zeros left out, is far from overflow: later arithmetic on them is safe.
    private static func shape(_ readers: [JSONReader]) throws(PithError) -> [Int] {
        guard readers.count <= 16 else { throw .data("has \(readers.count) dimensions", remedy: "16 is the limit") }
        var shape: [Int] = []
        var product = 1
        for reader in readers {
            let extent = try reader.integer(in: 0...1 << 48)
            let (next, overflow) = product.multipliedReportingOverflow(by: max(extent, 1))
            guard !overflow, next <= 1 << 56 else { throw .data("the shape is absurdly large") }
            product = next
            shape.append(extent)
        }
        return shape
    }

    /// The tensors, once they are known to fill the data exactly.
    func tensors(in region: ByteRegion) throws(PithError) -> [String: StoredTensor] {
        var tensors: [String: StoredTensor] = [:]
        tensors.reserveCapacity(entries.count)
        var position = 0
        let available = region.count - dataOffset
        for entry in entries.sorted(by: { ($0.begin, $0.end) < ($1.begin, $1.end) }) {
            let place = "tensor \(entry.name.shortened)"
            guard entry.begin == position else {
                let fault = entry.begin < position ? "overlaps the one before" : "leaves a hole before it"
                throw .data("\(fault): begins at \(entry.begin) instead of \(position)", at: place)
            }
            guard entry.end <= available else {
                throw .data("ends at \(entry.end), the data at \(available)", at: place, remedy: "is the file cut off?")
            }
            position = entry.end
            let bytes = region[dataOffset + entry.begin..<dataOffset + entry.end]
            let tensor = StoredTensor(type: entry.type, shape: entry.shape, region: bytes)
            guard tensors.updateValue(tensor, forKey: entry.name) == nil else {
                throw .data("stands twice", at: place)
            }
        }
        guard position == available else {
            throw .data("the tensors end at \(position) of \(available) bytes of data")
        }
        return tensors
    }
}
