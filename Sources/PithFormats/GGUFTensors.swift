import PithCore
import PithTensor

/// The table of tensors of a GGUF file (version 2 or 3). Source: ggml, docs/gguf.md.
public enum GGUFTensors {
    /// Where the tensors lie, in the order of the file. Throws if `region` is no GGUF file.
    public static func ranges(in region: ByteRegion) throws(PithError) -> [TensorRange] {
        try region.withBytes { (bytes) throws(PithError) in
            var reader = GGUFReader(bytes)
            return try reader.tensors()
        }
    }
}

/// Reads the head of a GGUF file; nothing is taken on trust.
private struct GGUFReader {
    private let bytes: UnsafeRawBufferPointer
    private var offset = 0
    private var alignment = 32

    init(_ bytes: UnsafeRawBufferPointer) { self.bytes = bytes }

    mutating func tensors() throws(PithError) -> [TensorRange] {
        guard bytes.prefix(4).elementsEqual("GGUF".utf8) else { throw .data("does not begin with 'GGUF'") }
        offset = 4
        let version = try word32()
        guard version == 2 || version == 3 else { throw .data("is of version \(version)", remedy: "2 and 3 are read") }
        let (tensorCount, keyCount) = (try count(leastSize: 24), try count(leastSize: 13))
        for _ in 0..<keyCount { try skipKey() }
        var infos: [TensorInfo] = []
        for _ in 0..<tensorCount {
            if let info = try tensorInfo() { infos.append(info) }
        }
        let start = (offset + alignment - 1) / alignment * alignment
        var (ranges, end) = ([TensorRange](), start)
        for info in infos.sorted(by: { $0.offset < $1.offset }) {
            guard info.offset <= bytes.count - start, info.size <= bytes.count - start - info.offset,
                start + info.offset >= end
            else { throw .data("a tensor lies outside of the file or in another") }
            end = start + info.offset + info.size
            ranges.append(TensorRange(name: info.name, range: start + info.offset..<end, encoding: info.encoding))
        }
        return ranges
    }

    private struct TensorInfo {
        var name: String
        /// Bytes.
        var size: Int
        var encoding: TensorRange.Encoding
        /// From the first tensor's place.
        var offset: Int
    }

    /// What the table says of the next tensor; nil if its type is not known.
    private mutating func tensorInfo() throws(PithError) -> TensorInfo? {
        let length = try count(leastSize: 1)
        let name = String(decoding: bytes[offset..<offset + length], as: UTF8.self)
        try skip(length)
        let dimensions = try word32()
        guard dimensions <= 4 else { throw .data("a tensor has \(dimensions) dimensions") }
        var elements = 1
        for _ in 0..<dimensions {
            let (product, overflow) = elements.multipliedReportingOverflow(by: try integer())
            guard !overflow, product <= 1 << 48 else { throw .data("a tensor is absurdly large") }
            elements = product
        }
        let (type, offset) = (try word32(), try integer())
        guard let encoding = Self.encodings[type] else { return nil }
        let size =
            switch encoding {
            case .elements(let type): elements * type.byteCount
            case .blocks(let size): elements / Self.blockLength(type) * size
            }
        return TensorInfo(name: name, size: size, encoding: encoding, offset: offset)
    }

    /// Bytes of a block by type number.
    private static let encodings: [UInt32: TensorRange.Encoding] = [
        0: .elements(.float32), 1: .elements(.float16), 2: .blocks(18), 3: .blocks(20), 6: .blocks(22), 7: .blocks(24),
        8: .blocks(34), 9: .blocks(36), 10: .blocks(84), 11: .blocks(110), 12: .blocks(144), 13: .blocks(176),
        14: .blocks(210), 15: .blocks(292), 16: .blocks(66), 17: .blocks(74), 18: .blocks(98), 19: .blocks(50),
        20: .blocks(18), 21: .blocks(110), 22: .blocks(82), 23: .blocks(136), 24: .elements(.int8),
        25: .elements(.int16), 26: .elements(.int32), 27: .elements(.int64), 28: .elements(.float64), 29: .blocks(56),
        30: .elements(.bfloat16), 34: .blocks(54), 35: .blocks(66), 39: .blocks(17),
    ]
    /// Weights of a block: 32 in the older types, 256 in those with a second level of scales.
    private static func blockLength(_ type: UInt32) -> Int { [2, 3, 6, 7, 8, 9, 20, 39].contains(type) ? 32 : 256 }

    private mutating func skipKey() throws(PithError) {
        let length = try count(leastSize: 1)
        let isAlignment =
            length <= bytes.count - offset
            && bytes[offset..<offset + length].elementsEqual("general.alignment".utf8)
        try skip(length)
        let type = try word32()
        if isAlignment && type == 4 {
            let value = Int(try word32())
            guard (1...1 << 20).contains(value) else { throw .data("tensors are aligned to \(value) bytes") }
            alignment = value
        } else {
            try skipValue(type)
        }
    }

    private mutating func skipValue(_ type: UInt32) throws(PithError) {
        if let size = Self.size(of: type) { return try skip(size) }
        if type == 8 { return try skip(try count(leastSize: 1)) }
        guard type == 9 else { throw .data("a value is of the unknown type \(type)") }
        let element = try word32()
        if let size = Self.size(of: element) {
            try skip(try count(leastSize: size) * size)
        } else {
            guard element == 8 else { throw .data("an array holds the unknown type \(element)") }
            for _ in 0..<(try count(leastSize: 8)) { try skip(try count(leastSize: 1)) }
        }
    }

    /// Bytes of a value of a plain type.
    private static func size(of type: UInt32) -> Int? {
        switch type {
        case 0, 1, 7: 1
        case 2, 3: 2
        case 4, 5, 6: 4
        case 10, 11, 12: 8
        default: nil
        }
    }

    private mutating func word32() throws(PithError) -> UInt32 {
        guard bytes.count - offset >= 4 else { throw .data("ends in its head") }
        defer { offset += 4 }
        return UInt32(littleEndian: bytes.loadUnaligned(fromByteOffset: offset, as: UInt32.self))
    }

    private mutating func integer() throws(PithError) -> Int {
        guard bytes.count - offset >= 8 else { throw .data("ends in its head") }
        defer { offset += 8 }
        let word = UInt64(littleEndian: bytes.loadUnaligned(fromByteOffset: offset, as: UInt64.self))
        guard word <= UInt64(Int.max) else { throw .data("a number in the head is absurdly large") }
        return Int(word)
    }

    /// A number of things that take `leastSize` bytes each, and for which there is room.
    private mutating func count(leastSize: Int) throws(PithError) -> Int {
        let count = try integer()
        guard count <= (bytes.count - offset) / leastSize else { throw .data("ends in its head") }
        return count
    }

    private mutating func skip(_ count: Int) throws(PithError) {
        guard count <= bytes.count - offset else { throw .data("ends in its head") }
        offset += count
    }
}
