import PithCore
import PithFormats
import PithTensor

/// Small GGUF files, to read tables of tensors from.
public struct GGUFSample: Sendable {
    /// A tensor of such a file.
    public struct Tensor: Sendable {
        /// The name.
        public var name: String
        /// Extents, the fastest first.
        public var extents: [Int]
        /// The type's number.
        public var type: UInt32
        /// The elements or blocks.
        public var bytes: [UInt8]

        /// A tensor.
        public init(_ name: String, _ extents: [Int], type: UInt32, _ bytes: [UInt8]) {
            (self.name, self.extents, self.type, self.bytes) = (name, extents, type, bytes)
        }
    }

    /// The whole file.
    public private(set) var bytes: [UInt8] = []
    /// Where the head ends, without the padding behind it.
    public private(set) var headEnd = 0
    /// Where the tensors begin.
    public private(set) var dataStart = 0
    private let alignment: Int

    /// A file of version 3 with keys of all types, arrays among them.
    public init(_ tensors: [Tensor], alignment: Int = 32) {
        self.alignment = alignment
        bytes = Array("GGUF".utf8)
        append(UInt32(3))
        append(UInt64(tensors.count))
        append(UInt64(4))
        append("general.architecture")
        append(UInt32(8))
        append("llama")
        append("general.alignment")
        append(UInt32(4))
        append(UInt32(alignment))
        append("tokenizer.ggml.tokens")
        append(UInt32(9))
        append(UInt32(8))
        append(UInt64(3))
        for token in ["a", "bc", ""] { append(token) }
        append("llama.rope.freq_base")
        append(UInt32(6))
        append(Float(10000).bitPattern)
        var offset = 0
        for tensor in tensors {
            append(tensor.name)
            append(UInt32(tensor.extents.count))
            for extent in tensor.extents { append(UInt64(extent)) }
            append(tensor.type)
            append(UInt64(offset))
            offset += padded(tensor.bytes.count)
        }
        headEnd = bytes.count
        bytes += [UInt8](repeating: 0, count: padded(bytes.count) - bytes.count)
        dataStart = bytes.count
        for tensor in tensors {
            bytes += tensor.bytes + [UInt8](repeating: 0, count: padded(tensor.bytes.count) - tensor.bytes.count)
        }
    }

    private func padded(_ count: Int) -> Int { (count + alignment - 1) / alignment * alignment }

    private mutating func append<Number: FixedWidthInteger>(_ number: Number) {
        withUnsafeBytes(of: number.littleEndian) { bytes += $0 }
    }

    private mutating func append(_ text: String) {
        append(UInt64(text.utf8.count))
        bytes += Array(text.utf8)
    }

    /// Values as blocks of type 2, Q4_0: for 32 values a scale in half precision, by which the one of largest magnitude
    /// becomes −8, then codes plus 8 in four bits, value j beside value j + 16.
    public static func fourBitBlocks(_ values: [Float]) -> [UInt8] {
        blocks(values, largestCode: -8) { scaled in
            let codes = scaled.map { UInt8(min(15, max(0, ($0 + 8).rounded()))) }
            return (0..<16).map { codes[$0] | codes[$0 + 16] << 4 }
        }
    }

    /// Values as blocks of type 8, Q8_0: for 32 values a scale in half precision, then codes of a byte up to 127.
    public static func eightBitBlocks(_ values: [Float]) -> [UInt8] {
        blocks(values, largestCode: 127) { $0.map { UInt8(bitPattern: Int8(min(127, max(-127, $0.rounded())))) } }
    }

    private static func blocks(_ values: [Float], largestCode: Float, _ codes: ([Float]) -> [UInt8]) -> [UInt8] {
        stride(from: 0, through: values.count - 32, by: 32).flatMap { start -> [UInt8] in
            let block = values[start..<start + 32]
            let largest = block.max { abs($0) < abs($1) } ?? 0
            let scale = (largestCode < 0 ? largest : abs(largest)) / largestCode
            let half = halfBits([scale])[0]
            return [UInt8(half & 255), UInt8(half >> 8)] + codes(block.map { scale == 0 ? 0 : $0 / scale })
        }
    }

    /// The types of blocks that are decoded.
    public static let blockTypes = GGUFType.allCases.filter { $0.form != nil }

    /// Random blocks whose scales are small and finite.
    public static func randomBlocks(_ type: GGUFType, count: Int, _ random: inout SeededGenerator) -> [UInt8] {
        var bytes = (0..<count * type.blockBytes).map { _ in UInt8(truncatingIfNeeded: random.next()) }
        let places: [Int] =
            switch type {
            case .q41, .q51, .q4K, .q5K: [0, 2]
            case .q2K: [80, 82]
            case .q3K: [108]
            case .q6K: [208]
            case .mxfp4: []
            default: [0]
            }
        for block in 0..<count {
            for place in places {
                let half = halfBits([random.normal() * 0.01])[0]
                bytes[block * type.blockBytes + place] = UInt8(half & 255)
                bytes[block * type.blockBytes + place + 1] = UInt8(half >> 8)
            }
            if type == .mxfp4 { bytes[block * type.blockBytes] = UInt8(118 + random.index(below: 8)) }
        }
        return bytes
    }
}
