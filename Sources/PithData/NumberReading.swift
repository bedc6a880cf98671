import PithCoding
import PithCore

/// Reads numbers as `[UInt8].append(number:)` and `append(word:)` write them.
protocol NumberReading {
    /// The next byte; throws if there is none.
    mutating func byte() throws(PithError) -> UInt8
}

extension NumberReading {
    /// The next `count` bytes; throws if there are fewer.
    mutating func bytes(_ count: Int) throws(PithError) -> [UInt8] {
        var bytes: [UInt8] = []
        for _ in 0..<count { bytes.append(try byte()) }
        return bytes
    }

    /// Seven bits a byte, the lowest first; the highest bit says that more follow. Below 2⁵⁶, in no more bytes than it
    /// takes: one number has one form.
    mutating func number() throws(PithError) -> Int {
        var result = 0
        for shift in stride(from: 0, to: 56, by: 7) {
            let byte = try byte()
            result |= Int(byte & 127) << shift
            guard byte < 128 else { continue }
            guard byte > 0 || shift == 0 else { throw .invalidStream("a number begins with zeros") }
            return result
        }
        throw .invalidStream("a number has too many digits")
    }

    /// Eight bytes, the lowest first.
    mutating func word() throws(PithError) -> UInt64 {
        try bytes(8).reversed().reduce(0) { $0 << 8 | UInt64($1) }
    }
}

extension [UInt8] {
    /// Appends a number in groups of seven bits, the lowest first.
    mutating func append(number: Int) {
        var rest = UInt64(number)
        while rest >= 128 {
            append(UInt8(rest & 127) | 128)
            rest >>= 7
        }
        append(UInt8(rest))
    }

    /// Appends eight bytes, the lowest first.
    mutating func append(word: UInt64) { Swift.withUnsafeBytes(of: word.littleEndian) { self += $0 } }
}

/// Reads numbers and texts out of bytes.
struct ByteReader: NumberReading {
    private let source: [UInt8]
    /// Bytes read so far.
    private(set) var offset: Int

    /// Reads from `start` on.
    init(_ source: [UInt8], from start: Int = 0) { (self.source, offset) = (source, start) }

    var isAtEnd: Bool { offset == source.count }

    mutating func byte() throws(PithError) -> UInt8 {
        guard offset < source.count else { throw .truncated(at: source.count) }
        defer { offset += 1 }
        return source[offset]
    }

    /// A text that a zero ends.
    mutating func text() throws(PithError) -> String {
        guard let end = source[offset...].firstIndex(of: 0) else { throw .truncated(at: source.count) }
        defer { offset = end + 1 }
        return String(decoding: source[offset..<end], as: UTF8.self)
    }
}
