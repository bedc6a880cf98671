import PithTensor

extension Mutator {
    /// A damaged copy of an input, which may be a bundle: one of its files is damaged in a way that suits its name.
    public mutating func damaged(input: [UInt8], isText: Bool) -> [UInt8] {
        let files = Bundle.files(input)
        guard !files.isEmpty else { return changed(input, isText: isText, isHeaded: Self.isHeaded(input[...])) }
        // Places between files are damaged now and then.
        guard index(below: 16) > 0 else { return damaged(input) }
        let (name, range) = files[index(below: files.count)]
        let isText = [".json", ".jinja", ".txt"].contains(where: name.hasSuffix)
        let part = Array(input[range])
        let other = changed(part, isText: isText, isHeaded: name.hasSuffix(".safetensors") && Self.isHeaded(part[...]))
        return input[..<range.lowerBound] + other + input[range.upperBound...]
    }

    private mutating func changed(_ bytes: [UInt8], isText: Bool, isHeaded: Bool) -> [UInt8] {
        switch index(below: 4) {
        case 0: return damaged(bytes)
        case 1...2: if isHeaded { return lyingHead(bytes) }
        default: break
        }
        return isText ? lying(bytes) : damaged(bytes)
    }

    /// Whether bytes begin as a safetensors file does: the size of a JSON text, and that.
    private static func isHeaded(_ bytes: ArraySlice<UInt8>) -> Bool {
        bytes.count > 10 && bytes[bytes.startIndex + 8] == UInt8(ascii: "{") && headSize(Array(bytes.prefix(8))) != nil
    }

    private static func headSize(_ bytes: [UInt8]) -> Int? {
        let size = bytes.prefix(8).reversed().reduce(0) { $0 << 8 | UInt64($1) }
        return size < 1 << 20 ? Int(size) : nil
    }

    /// A safetensors file with another word in its head, whose size is right again.
    private mutating func lyingHead(_ bytes: [UInt8]) -> [UInt8] {
        guard let size = Self.headSize(bytes), bytes.count >= 8 + size else { return damaged(bytes) }
        let head = index(below: 4) == 0 ? damaged(Array(bytes[8..<8 + size])) : lying(Array(bytes[8..<8 + size]))
        let count = withUnsafeBytes(of: UInt64(head.count).littleEndian, Array.init)
        return count + head + bytes[(8 + size)...]
    }
}
