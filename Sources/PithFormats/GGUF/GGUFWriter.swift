import PithCore
import PithTensor

/// Writes a GGUF file of version 3: the head first, from the shapes alone, then one tensor after the other, so that
/// no more than one has to be there at a time. Source: ggml, docs/gguf.md.
public struct GGUFWriter: Sendable {
    /// A tensor to be written.
    public struct Entry: Sendable {
        /// The name.
        public let name: String
        /// The extents, outermost first.
        public let shape: [Int]
        /// How its elements are written.
        public let type: GGUFType

        /// A tensor of that name, shape and type.
        public init(name: String, shape: [Int], type: GGUFType) {
            (self.name, self.shape, self.type) = (name, shape, type)
        }

        /// Bytes of its elements.
        public var byteCount: Int { shape.reduce(1, *) / type.blockLength * type.blockBytes }
    }

    /// The tensors, in the order of the file.
    public let entries: [Entry]
    private let head: [UInt8]

    /// Where tensors begin: on multiples of this.
    static let alignment = 32
    /// The longest name that other programs read, with the zero that ends it.
    private static let longestName = 64

    /// Lays out a file; `metadata` is written in its order.
    public init(_ metadata: [(key: String, value: GGUFValue)], _ entries: [Entry]) throws(PithError) {
        for entry in entries {
            guard entry.name.utf8.count < Self.longestName else {
                throw .data("has a name longer than the format holds", at: "tensor \(entry.name)")
            }
            guard (1...4).contains(entry.shape.count), (entry.shape.last ?? 0) % entry.type.blockLength == 0 else {
                throw .data(
                    "has the shape \(entry.shape)", at: "tensor \(entry.name)",
                    remedy: "rows of \(entry.type.name) are whole blocks of \(entry.type.blockLength)")
            }
        }
        self.entries = entries
        var bytes = Array(GGUFHead.magic.utf8)
        bytes.append(UInt32(3))
        bytes.append(UInt64(entries.count))
        bytes.append(UInt64(metadata.count))
        for (key, value) in metadata {
            bytes.append(text: key.utf8)
            bytes.append(value)
        }
        var offset = 0
        for entry in entries {
            bytes.append(text: entry.name.utf8)
            bytes.append(UInt32(entry.shape.count))
            for extent in entry.shape.reversed() { bytes.append(UInt64(extent)) }
            bytes.append(entry.type.rawValue)
            bytes.append(UInt64(offset))
            offset += Self.padded(entry.byteCount)
        }
        bytes.append(contentsOf: repeatElement(0, count: Self.padded(bytes.count) - bytes.count))
        head = bytes
    }

    private static func padded(_ count: Int) -> Int { (count + alignment - 1) / alignment * alignment }

    /// The size of the file.
    public var fileSize: ByteCount {
        ByteCount(head.count + entries.reduce(0) { $0 + Self.padded($1.byteCount) })
    }

    /// Writes the file, which appears at `path` when it is whole; `bytes` gives the elements of an entry.
    public func write(
        to path: String, bytes: (_ index: Int) throws(PithError) -> ByteRegion
    ) throws(PithError) {
        let file = try AtomicFile(at: path)
        try head.withUnsafeBufferPointer { (head) throws(PithError) in
            try file.write(UnsafeRawBufferPointer(head))
        }
        for (index, entry) in entries.enumerated() {
            let region = try bytes(index)
            guard region.count == entry.byteCount else {
                throw .fault("\(region.count) bytes for the tensor \(entry.name), \(entry.byteCount) were announced")
            }
            try region.withBytes { (bytes) throws(PithError) in try file.write(bytes) }
            let padding = ByteRegion(copying: [UInt8](repeating: 0, count: Self.padded(region.count) - region.count))
            try padding.withBytes { (padding) throws(PithError) in try file.write(padding) }
        }
        try file.commit()
    }
}

extension [UInt8] {
    fileprivate mutating func append(_ number: some FixedWidthInteger) {
        Swift.withUnsafeBytes(of: number.littleEndian) { append(contentsOf: $0) }
    }

    fileprivate mutating func append(text: some Collection<UInt8>) {
        append(UInt64(text.count))
        append(contentsOf: text)
    }

    /// The type of a value and the value.
    fileprivate mutating func append(_ value: GGUFValue) {
        func begin(_ type: GGUFValueType) { append(type.rawValue) }
        switch value {
        case .unsigned(let number):
            if let number = UInt32(exactly: number) {
                begin(.uint32)
                append(number)
            } else {
                begin(.uint64)
                append(number)
            }
        case .signed(let number):
            if let number = Int32(exactly: number) {
                begin(.int32)
                append(number)
            } else {
                begin(.int64)
                append(number)
            }
        case .real(let number):
            begin(.float32)
            append(Float(number).bitPattern)
        case .flag(let flag):
            begin(.bool)
            append(UInt8(flag ? 1 : 0))
        case .text(let text):
            begin(.string)
            append(text: text.utf8)
        case .array(let array):
            begin(.array)
            append(array.type.rawValue)
            append(UInt64(array.count))
            array.withBytes { append(contentsOf: $0) }
        }
    }
}

extension GGUFArray {
    /// An array of numbers.
    init(_ numbers: [Int32]) {
        self.init(count: numbers.count, type: .int32, region: ByteRegion(copying: numbers.map(\.littleEndian)))
    }

    /// An array of numbers in single precision.
    init(_ numbers: [Float]) {
        self.init(
            count: numbers.count, type: .float32,
            region: ByteRegion(copying: numbers.map(\.bitPattern.littleEndian)))
    }

    /// An array of texts.
    init(texts: some Sequence<[UInt8]>) {
        var (bytes, count) = ([UInt8](), 0)
        for text in texts {
            bytes.append(text: text)
            count += 1
        }
        self.init(count: count, type: .string, region: ByteRegion(copying: bytes))
    }
}
