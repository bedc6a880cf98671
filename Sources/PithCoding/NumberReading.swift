import PithCore

/// Reads numbers as `[UInt8].append(number:)` and `append(word:)` write them.
package protocol NumberReading {
    /// The next byte; throws if there is none.
    mutating func byte() throws(PithError) -> UInt8
}

extension NumberReading {
    /// The next `count` bytes; throws if there are fewer.
    package mutating func bytes(_ count: Int) throws(PithError) -> [UInt8] {
        var bytes: [UInt8] = []
        for _ in 0..<count { bytes.append(try byte()) }
        return bytes
    }

    /// A number below 2⁵⁶, as `wide` reads it.
    package mutating func number() throws(PithError) -> Int {
        let number = try wide()
        guard number < 1 << 56 else { throw .invalidStream("a number has too many digits") }
        return Int(number)
    }

    /// Seven bits a byte, the lowest first; the highest bit says that more follow. In no more bytes than it takes: one
    /// number has one form.
    package mutating func wide() throws(PithError) -> UInt64 {
        var result: UInt64 = 0
        for shift in stride(from: 0, to: 64, by: 7) {
            let byte = try byte()
            result |= UInt64(byte & 127) << shift
            guard shift < 63 || byte < 2 else { break }
            guard byte < 128 else { continue }
            guard byte > 0 || shift == 0 else { throw .invalidStream("a number begins with zeros") }
            return result
        }
        throw .invalidStream("a number has too many digits")
    }

    /// Eight bytes, the lowest first.
    package mutating func word() throws(PithError) -> UInt64 {
        try bytes(8).reversed().reduce(0) { $0 << 8 | UInt64($1) }
    }
}

extension [UInt8] {
    /// Appends a number in groups of seven bits, the lowest first.
    package mutating func append(number: Int) { append(wide: UInt64(number)) }

    /// Appends a number in groups of seven bits, the lowest first.
    package mutating func append(wide number: UInt64) {
        var rest = number
        while rest >= 128 {
            append(UInt8(rest & 127) | 128)
            rest >>= 7
        }
        append(UInt8(rest))
    }

    /// Appends eight bytes, the lowest first.
    package mutating func append(word: UInt64) { Swift.withUnsafeBytes(of: word.littleEndian) { self += $0 } }
}

/// Reads numbers and texts out of bytes.
package struct ByteReader: NumberReading {
    private let source: [UInt8]
    /// Bytes read so far.
    package private(set) var offset: Int

    /// Reads from `start` on.
    package init(_ source: [UInt8], from start: Int = 0) { (self.source, offset) = (source, start) }

    package var isAtEnd: Bool { offset == source.count }

    package mutating func byte() throws(PithError) -> UInt8 {
        guard offset < source.count else { throw .truncated(at: source.count) }
        defer { offset += 1 }
        return source[offset]
    }

    /// The bytes up to a zero.
    package mutating func text() throws(PithError) -> ArraySlice<UInt8> {
        guard let end = source[offset...].firstIndex(of: 0) else { throw .truncated(at: source.count) }
        defer { offset = end + 1 }
        return source[offset..<end]
    }
}
