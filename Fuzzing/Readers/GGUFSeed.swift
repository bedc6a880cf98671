/// Small GGUF files, written byte by byte.
enum GGUFSeed {
    /// A value of the metadata.
    enum Value {
        case unsigned(UInt32), text(String), texts([String]), integers([Int32]), reals([Float])

        /// The number of its type, and its bytes.
        var bytes: [UInt8] {
            switch self {
            case .unsigned(let value): Seeds.bytes(UInt32(4)) + Seeds.bytes(value)
            case .text(let value): Seeds.bytes(UInt32(8)) + GGUFSeed.bytes(value)
            case .texts(let values): Self.array(8, values.map(GGUFSeed.bytes))
            case .integers(let values): Self.array(5, values.map(Seeds.bytes))
            case .reals(let values): Self.array(6, values.map { Seeds.bytes($0.bitPattern) })
            }
        }

        private static func array(_ type: UInt32, _ values: [[UInt8]]) -> [UInt8] {
            Seeds.bytes(UInt32(9)) + Seeds.bytes(type) + Seeds.bytes(UInt64(values.count)) + values.flatMap { $0 }
        }
    }

    /// A file of version 3. Extents stand with the fastest first.
    static func bytes(
        _ keys: [(String, Value)], _ tensors: [(name: String, extents: [Int], type: UInt32, bytes: [UInt8])]
    ) -> [UInt8] {
        var bytes = Array("GGUF".utf8) + Seeds.bytes(UInt32(3))
        bytes += Seeds.bytes(UInt64(tensors.count)) + Seeds.bytes(UInt64(keys.count))
        for (key, value) in keys { bytes += Self.bytes(key) + value.bytes }
        var offset = 0
        for tensor in tensors {
            bytes += Self.bytes(tensor.name) + Seeds.bytes(UInt32(tensor.extents.count))
            bytes += tensor.extents.flatMap { Seeds.bytes(UInt64($0)) }
            bytes += Seeds.bytes(tensor.type) + Seeds.bytes(UInt64(offset))
            offset += padded(tensor.bytes.count)
        }
        for part in [[]] + tensors.map(\.bytes) {
            bytes += part
            bytes += [UInt8](repeating: 0, count: padded(bytes.count) - bytes.count)
        }
        return bytes
    }

    private static func padded(_ count: Int) -> Int { (count + 31) / 32 * 32 }

    private static func bytes(_ text: String) -> [UInt8] { Seeds.bytes(UInt64(text.utf8.count)) + Array(text.utf8) }
}
