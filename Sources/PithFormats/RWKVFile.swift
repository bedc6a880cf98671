import PithCore
import PithTensor

/// A file of rwkv.cpp: six numbers, then tensors, each with its extents, its name and its elements.
/// Source: rwkv.cpp, docs/FILE_FORMAT.md.
public struct RWKVFile: Sendable {
    /// A tensor as it lies in the file.
    public struct Entry: Sendable {
        /// How the elements are written.
        public let type: GGUFType
        /// The extents, outermost first.
        public let shape: [Int]
        /// The elements.
        public let region: ByteRegion
    }

    /// What the header says.
    public let vocabularySize: Int, width: Int, layerCount: Int
    /// All tensors.
    public let entries: [String: Entry]

    private static let magic = 0x6767_6D66
    private static let headerLength = 24
    private static let nameLimit = 256
    /// By the numbers in files; nil for those that are no longer in use.
    private static let types: [GGUFType?] = [
        .float32, .float16, .q40, .q41, nil, nil, nil, .q50, .q51, .q80,
    ]

    /// Whether a file begins as one of rwkv.cpp does.
    public static func recognizes(_ path: String) throws(PithError) -> Bool {
        let region = try MappedFile.open(path)
        return region.count >= 4 && Numbers(region: region).peek(0) == magic
    }

    /// Reads a file; elements are mapped, not read.
    public init(_ path: String) throws(PithError) {
        let region = try MappedFile.open(path)
        try region.refusePointer(at: path)
        do { try self.init(region) } catch { throw error.within(path) }
    }

    private init(_ region: ByteRegion) throws(PithError) {
        guard region.count >= Self.headerLength else {
            throw .data("has \(region.count) bytes, too few for a header of rwkv.cpp")
        }
        var numbers = Numbers(region: region)
        guard try numbers.next() == Self.magic else { throw .data("is no file of rwkv.cpp") }
        let version = try numbers.next()
        guard [100, 101].contains(version) else {
            throw .data("is of version \(version)", remedy: "100 and 101 are supported")
        }
        vocabularySize = try numbers.next()
        width = try numbers.next()
        layerCount = try numbers.next()
        _ = try numbers.next()  // the type of most tensors; each says its own
        let sizes = 1...ModelConfiguration.sizeLimit
        guard sizes.contains(vocabularySize), sizes.contains(width), (1...4096).contains(layerCount) else {
            throw .data(
                "claims a vocabulary of \(vocabularySize), a width of \(width) and \(layerCount) layers")
        }
        var entries: [String: Entry] = [:]
        while numbers.offset < region.count {
            let (name, entry) = try Self.entry(&numbers, isOld: version == 100)
            guard entries.updateValue(entry, forKey: name) == nil else {
                throw .data("is there twice", at: "tensor \(name.shortened)")
            }
        }
        self.entries = entries
    }

    private static func entry(
        _ numbers: inout Numbers, isOld: Bool
    ) throws(PithError) -> (name: String, entry: Entry) {
        let start = numbers.offset
        let (extentCount, nameLength, number) = (try numbers.next(), try numbers.next(), try numbers.next())
        guard (1...3).contains(extentCount), (1...nameLimit).contains(nameLength) else {
            throw .data("a tensor claims \(extentCount) extents and a name of \(nameLength) bytes", at: "byte \(start)")
        }
        var shape: [Int] = []
        for _ in 0..<extentCount { shape.insert(try numbers.next(), at: 0) }
        let name = try numbers.text(nameLength)
        let place = "tensor \(name.shortened)"
        guard number < types.count, let type = types[number] else {
            throw .data("has elements of type \(number)", at: place, remedy: "FP32, FP16, Q4, Q5 and Q8 are supported")
        }
        guard type.element != nil || !isOld else {
            throw .data("has blocks of file version 100", at: place, remedy: "quantize the model anew with rwkv.cpp")
        }
        let limit = ModelConfiguration.sizeLimit
        guard shape.allSatisfy({ (1...limit).contains($0) }), shape[shape.count - 1] % type.blockLength == 0 else {
            throw .data("has the shape \(shape)", at: place)
        }
        // Three extents below 2²⁴ could overflow; in floating point they cannot.
        let size = shape.reduce(Double(type.blockBytes)) { $0 * Double($1) } / Double(type.blockLength)
        guard size <= Double(numbers.left) else {
            throw .data(
                "claims \(shape) elements of \(type.name), of which the file has no more than a part", at: place)
        }
        return (name, Entry(type: type, shape: shape, region: numbers.take(Int(size))))
    }

    /// A tensor of the file; throws where there is none.
    public func entry(_ name: String) throws(PithError) -> Entry {
        guard let entry = entries[name] else { throw .data("is missing", at: "tensor \(name)") }
        return entry
    }

    /// The elements of a tensor as floats.
    public func values(_ name: String) throws(PithError) -> Tensor {
        let entry = try entry(name)
        try Memory.require(4 * entry.shape.reduce(1, *), for: "the tensor \(name) in single precision")
        return Tensor(shape: entry.shape, values: try entry.type.decoded(entry.region))
    }
}

/// The numbers of a file, one after the other: little-endian, of 32 bits.
private struct Numbers {
    let region: ByteRegion
    private(set) var offset = 0

    init(region: ByteRegion) { self.region = region }

    var left: Int { region.count - offset }

    /// The number at a byte.
    func peek(_ offset: Int) -> Int {
        region.withBytes { Int(UInt32(littleEndian: $0.loadUnaligned(fromByteOffset: offset, as: UInt32.self))) }
    }

    mutating func next() throws(PithError) -> Int {
        guard left >= 4 else { throw .data("ends inside a tensor's header", at: "byte \(offset)") }
        defer { offset += 4 }
        return peek(offset)
    }

    mutating func text(_ length: Int) throws(PithError) -> String {
        guard left >= length else { throw .data("ends inside a tensor's name", at: "byte \(offset)") }
        let text = region[offset..<offset + length].withBytes { String(validating: $0, as: UTF8.self) }
        guard let text else { throw .data("a tensor's name is no text", at: "byte \(offset)") }
        offset += length
        return text
    }

    mutating func take(_ count: Int) -> ByteRegion {
        defer { offset += count }
        return region[offset..<offset + count]
    }
}
