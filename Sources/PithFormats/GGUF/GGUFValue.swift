import PithCore

/// A value of a GGUF file's metadata. Numbers of all widths are one of three kinds.
public enum GGUFValue: Sendable {
    /// U8, U16, U32 or U64.
    case unsigned(UInt64)
    /// I8, I16, I32 or I64.
    case signed(Int64)
    /// F32 or F64.
    case real(Double)
    /// A truth value.
    case flag(Bool)
    /// A text; bytes that are no UTF-8 are replaced.
    case text(String)
    /// Several values of one type.
    case array(GGUFArray)

    /// A whole number of any kind that fits.
    public var integer: Int? {
        switch self {
        case .unsigned(let value): Int(exactly: value)
        case .signed(let value): Int(exactly: value)
        default: nil
        }
    }

    /// A number of any kind.
    public var number: Double? {
        switch self {
        case .unsigned(let value): Double(value)
        case .signed(let value): Double(value)
        case .real(let value): value
        default: nil
        }
    }

    /// A text.
    public var string: String? { if case .text(let value) = self { value } else { nil } }
    /// A truth value.
    public var truth: Bool? { if case .flag(let value) = self { value } else { nil } }
    /// Several values.
    public var values: GGUFArray? { if case .array(let value) = self { value } else { nil } }
}

/// The type of a value, by its number in files.
enum GGUFValueType: UInt32 {
    case uint8 = 0
    case int8, uint16, int16, uint32, int32, float32, bool, string, array, uint64, int64, float64

    /// Bytes of a value; nil where that depends on the value.
    var size: Int? {
        switch self {
        case .uint8, .int8, .bool: 1
        case .uint16, .int16: 2
        case .uint32, .int32, .float32: 4
        case .uint64, .int64, .float64: 8
        case .string, .array: nil
        }
    }
}

/// An array of a GGUF file's metadata, read where it lies: a vocabulary of 256 000 texts costs nothing until it is
/// asked for. That all of it lies in the file was checked when the file was opened.
public struct GGUFArray: Sendable {
    /// Elements.
    public let count: Int
    let type: GGUFValueType
    private let region: ByteRegion

    /// An array of `count` elements of `type` in `region`, which must hold them.
    init(count: Int, type: GGUFValueType, region: ByteRegion) {
        (self.count, self.type, self.region) = (count, type, region)
    }

    /// The elements as a file holds them.
    func withBytes(_ body: (UnsafeRawBufferPointer) -> Void) { region.withBytes(body) }

    /// The elements, in order.
    public var elements: [GGUFValue] {
        region.withBytes { bytes in
            var cursor = GGUFCursor(bytes, of: region)
            // Whatever could fail has been read once before.
            return (0..<count).compactMap { _ in try? cursor.value(type) }
        }
    }

    /// The elements if all are whole numbers that fit.
    public var integers: [Int]? {
        // Types of tokens are many, and of these types.
        switch type {
        case .int32: plain(Int32.self).map { Int($0) }
        case .uint32: plain(UInt32.self).map { Int($0) }
        default: complete(elements.compactMap(\.integer))
        }
    }
    /// The elements if all are numbers, rounded to single precision.
    public var floats: [Float]? {
        type == .float32 ? plain(UInt32.self).map { Float(bitPattern: $0) } : numbers?.map { Float($0) }
    }
    /// The elements if all are numbers.
    public var numbers: [Double]? { complete(elements.compactMap(\.number)) }
    /// The elements if all are texts.
    public var strings: [String]? {
        guard type == .string else { return nil }
        var result: [String] = []
        result.reserveCapacity(count)
        forEachText { result.append(String(decoding: $0, as: UTF8.self)) }
        return result
    }

    private func plain<Number: FixedWidthInteger & BitwiseCopyable>(_ type: Number.Type) -> [Number] {
        region.withBytes { bytes in
            (0..<count).map {
                Number(littleEndian: bytes.loadUnaligned(fromByteOffset: $0 * MemoryLayout<Number>.size, as: type))
            }
        }
    }

    private func complete<Value>(_ values: [Value]) -> [Value]? { values.count == count ? values : nil }

    /// Calls `body` with the bytes of each text, in order; with none if the elements are no texts.
    public func forEachText<Failure: Error>(
        _ body: (UnsafeRawBufferPointer) throws(Failure) -> Void
    ) throws(Failure) {
        guard type == .string else { return }
        try region.withBytes { (bytes) throws(Failure) in
            var offset = 0
            for _ in 0..<count {
                let length = Int(UInt64(littleEndian: bytes.loadUnaligned(fromByteOffset: offset, as: UInt64.self)))
                try body(UnsafeRawBufferPointer(rebasing: bytes[offset + 8..<offset + 8 + length]))
                offset += 8 + length
            }
        }
    }
}

/// Reads the head of a GGUF file from its beginning on; nothing is taken on trust.
struct GGUFCursor {
    private let bytes: UnsafeRawBufferPointer
    private let region: ByteRegion
    private(set) var offset = 0

    /// How deep arrays may lie in arrays.
    private static let depthLimit = 4

    /// A cursor at the beginning of `bytes`, which are those of `region`.
    init(_ bytes: UnsafeRawBufferPointer, of region: ByteRegion) { (self.bytes, self.region) = (bytes, region) }

    private var rest: Int { bytes.count - offset }

    /// The next number of a fixed width.
    mutating func number<Number: FixedWidthInteger & BitwiseCopyable>(
        _ type: Number.Type = Number.self
    ) throws(PithError) -> Number {
        guard rest >= MemoryLayout<Number>.size else { throw .data("ends in its head", at: "byte \(offset)") }
        defer { offset += MemoryLayout<Number>.size }
        return Number(littleEndian: bytes.loadUnaligned(fromByteOffset: offset, as: Number.self))
    }

    /// A number of things that take `leastSize` bytes each, and for which there is room.
    mutating func count(leastSize: Int) throws(PithError) -> Int {
        let (place, count) = (offset, try number(UInt64.self))
        guard count <= UInt64(rest / leastSize) else {
            throw .data("claims \(count) things, and ends before them", at: "byte \(place)")
        }
        return Int(count)
    }

    /// The next text.
    mutating func text() throws(PithError) -> String {
        let length = try count(leastSize: 1)
        defer { offset += length }
        return String(decoding: bytes[offset..<offset + length], as: UTF8.self)
    }

    /// The next type of a value.
    mutating func type() throws(PithError) -> GGUFValueType {
        let (place, number) = (offset, try number(UInt32.self))
        guard let type = GGUFValueType(rawValue: number) else {
            throw .data("a value is of the unknown type \(number)", at: "byte \(place)")
        }
        return type
    }

    /// The next value.
    mutating func value(_ type: GGUFValueType) throws(PithError) -> GGUFValue {
        switch type {
        case .uint8: .unsigned(UInt64(try number(UInt8.self)))
        case .uint16: .unsigned(UInt64(try number(UInt16.self)))
        case .uint32: .unsigned(UInt64(try number(UInt32.self)))
        case .uint64: .unsigned(try number(UInt64.self))
        case .int8: .signed(Int64(try number(Int8.self)))
        case .int16: .signed(Int64(try number(Int16.self)))
        case .int32: .signed(Int64(try number(Int32.self)))
        case .int64: .signed(try number(Int64.self))
        case .float32: .real(Double(Float(bitPattern: try number(UInt32.self))))
        case .float64: .real(Double(bitPattern: try number(UInt64.self)))
        case .bool: .flag(try number(UInt8.self) != 0)
        case .string: .text(try text())
        case .array: .array(try array(depth: 1))
        }
    }

    private mutating func array(depth: Int) throws(PithError) -> GGUFArray {
        let type = try type()
        let count = try count(leastSize: type.size ?? (type == .string ? 8 : 12))
        let start = offset
        if let size = type.size {
            offset += count * size
        } else if type == .string {
            for _ in 0..<count { offset += try self.count(leastSize: 1) }
        } else {
            guard depth < Self.depthLimit else { throw .data("arrays lie too deep in arrays", at: "byte \(start)") }
            for _ in 0..<count { _ = try array(depth: depth + 1) }
        }
        return GGUFArray(count: count, type: type, region: region[start..<offset])
    }
}
