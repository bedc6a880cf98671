import PithCore
import PithTensor

/// A tensor of a GGUF file as its head describes it.
public struct GGUFTensor: Sendable {
    /// The name.
    public let name: String
    /// The extents, outermost first; files hold them the other way round.
    public let shape: [Int]
    /// How the elements are written; nil if the number is not known.
    public let type: GGUFType?
    /// The number of the type in files.
    public let typeNumber: UInt32
    /// Which of the files of a split model holds it.
    package internal(set) var part = 0
    /// The bytes in that file; empty where the type is not known.
    package internal(set) var range: Range<Int>

    /// Bytes in the file.
    public var byteCount: Int { range.count }
    /// Elements.
    public var count: Int { shape.reduce(1, *) }
}

/// What stands before the tensors of a GGUF file: metadata and the table of tensors.
struct GGUFHead {
    let version: UInt32
    private(set) var metadata: [String: GGUFValue] = [:]
    /// In the order of the file.
    private(set) var tensors: [GGUFTensor] = []

    static let magic = "GGUF"
    private static let defaultAlignment = 32

    /// Reads and checks the head of the file that `region` holds.
    init(_ region: ByteRegion) throws(PithError) {
        (version, metadata, tensors) = try region.withBytes { (bytes) throws(PithError) in
            guard bytes.prefix(4).elementsEqual(Self.magic.utf8) else { throw .data("does not begin with 'GGUF'") }
            var cursor = GGUFCursor(bytes, of: region)
            _ = try cursor.number(UInt32.self)
            let version = try Self.version(&cursor)
            let (tensorCount, keyCount) = (try cursor.count(leastSize: 24), try cursor.count(leastSize: 13))
            let metadata = try Self.metadata(&cursor, keyCount)
            let tensors = try Self.tensors(
                &cursor, tensorCount, alignment: Self.alignment(metadata), size: bytes.count)
            return (version, metadata, tensors)
        }
    }

    private static func version(_ cursor: inout GGUFCursor) throws(PithError) -> UInt32 {
        let version = try cursor.number(UInt32.self)
        guard version == 2 || version == 3 else {
            let isSwapped = (1...3).contains(version.byteSwapped)
            throw .data(
                isSwapped ? "is big-endian" : "is of version \(version)",
                remedy: isSwapped ? "little-endian files are read" : "2 and 3 are read")
        }
        return version
    }

    private static func metadata(
        _ cursor: inout GGUFCursor, _ count: Int
    ) throws(PithError) -> [String: GGUFValue] {
        var metadata: [String: GGUFValue] = [:]
        for _ in 0..<count {
            let key = try cursor.text()
            let value: GGUFValue
            do { value = try cursor.value(try cursor.type()) } catch { throw error.within("key \(key.shortened)") }
            guard metadata.updateValue(value, forKey: key) == nil else {
                throw .data("has the key '\(key.shortened)' twice")
            }
        }
        return metadata
    }

    private static func alignment(_ metadata: [String: GGUFValue]) throws(PithError) -> Int {
        guard let value = metadata["general.alignment"] else { return defaultAlignment }
        guard case .unsigned(let number) = value, (1...1 << 20).contains(number), number & (number - 1) == 0 else {
            throw .data("is no power of two", at: "key general.alignment")
        }
        return Int(number)
    }

    /// A tensor, and where it begins behind the head.
    private typealias Entry = (tensor: GGUFTensor, offset: Int)

    private static func tensors(
        _ cursor: inout GGUFCursor, _ count: Int, alignment: Int, size: Int
    ) throws(PithError) -> [GGUFTensor] {
        var (entries, names) = ([Entry](), Set<String>())
        for _ in 0..<count {
            let name = try cursor.text()
            guard names.insert(name).inserted else { throw .data("has the tensor '\(name.shortened)' twice") }
            do { entries.append(try tensor(name, &cursor, alignment: alignment)) } catch {
                throw error.within("tensor \(name.shortened)")
            }
        }
        let start = (cursor.offset + alignment - 1) / alignment * alignment
        var (tensors, end) = ([GGUFTensor](), start)
        for (entry, offset) in entries.sorted(by: { $0.offset < $1.offset }) {
            var tensor = entry
            if tensor.type != nil {
                // What begins behind the end of the file lies outside, whatever the sum.
                guard offset <= size, start + offset >= end, tensor.byteCount <= size - start - offset else {
                    throw .data("lies outside of the file or in another", at: "tensor \(tensor.name.shortened)")
                }
                tensor.range = start + offset..<start + offset + tensor.byteCount
                end = tensor.range.upperBound
            }
            tensors.append(tensor)
        }
        return tensors
    }

    private static func tensor(
        _ name: String, _ cursor: inout GGUFCursor, alignment: Int
    ) throws(PithError) -> Entry {
        let dimensions = try cursor.number(UInt32.self)
        guard dimensions <= 4 else { throw .data("has \(dimensions) dimensions", remedy: "4 are the most") }
        var (shape, elements) = ([Int](), 1)
        for _ in 0..<dimensions {
            let extent = try cursor.number(UInt64.self)
            let (product, overflow) = elements.multipliedReportingOverflow(by: Int(clamping: extent))
            guard extent <= 1 << 48, !overflow, product <= 1 << 48 else { throw .data("is absurdly large") }
            elements = product
            shape.insert(Int(extent), at: 0)
        }
        let (number, offset) = (try cursor.number(UInt32.self), try cursor.number(UInt64.self))
        guard offset <= 1 << 48, offset % UInt64(alignment) == 0 else {
            throw .data("begins at \(offset)", remedy: "a multiple of \(alignment) was expected")
        }
        let type = GGUFType(rawValue: number)
        var byteCount = 0
        if let type {
            guard (shape.last ?? 1) % type.blockLength == 0 else {
                throw .data(
                    "has rows of \(shape.last ?? 1)", remedy: "\(type.name) comes in blocks of \(type.blockLength)")
            }
            byteCount = elements / type.blockLength * type.blockBytes
        }
        return (
            GGUFTensor(name: name, shape: shape, type: type, typeNumber: number, range: 0..<byteCount), Int(offset)
        )
    }
}

/// The table of tensors of a GGUF file (version 2 or 3). Source: ggml, docs/gguf.md.
public enum GGUFTensors {
    /// Where the tensors lie, in the order of the file; those of unknown types are left out. Throws if `region` is no
    /// GGUF file.
    public static func ranges(in region: ByteRegion) throws(PithError) -> [TensorRange] {
        try GGUFHead(region).tensors.compactMap { tensor in
            tensor.type.map { type in
                TensorRange(
                    name: tensor.name, range: tensor.range,
                    encoding: type.element.map { .elements($0) } ?? .blocks(type.blockBytes))
            }
        }
    }
}
