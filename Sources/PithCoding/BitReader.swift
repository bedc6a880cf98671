import PithCore

/// Reads a stream of bits, the lowest bits of a byte first; beyond the end it throws.
public struct BitReader: Sendable {
    private let region: ByteRegion
    /// Bits read so far.
    public private(set) var position = 0

    /// Reads from the first bit of `region`.
    public init(_ region: ByteRegion) { self.region = region }

    /// Reads from the first bit of `bytes`.
    public init(_ bytes: [UInt8]) { self.init(ByteRegion(copying: bytes)) }

    /// Bits that are left.
    public var remaining: Int { region.count * 8 - position }

    /// The next `count` bits, at most 56, without moving; zeros stand behind the end.
    @inline(__always)
    public func peek(_ count: Int) -> UInt64 {
        let window = region.bytes.word(at: position >> 3) &>> UInt64(truncatingIfNeeded: position & 7)
        return window & ((1 << UInt64(count)) &- 1)
    }

    /// Moves over `count` bits.
    @inline(__always)
    public mutating func skip(_ count: Int) throws(PithError) {
        guard count >= 0, count <= remaining else { throw .truncated(at: position / 8) }
        position += count
    }

    /// The next `count` bits, at most 56.
    @inline(__always)
    public mutating func read(_ count: Int) throws(PithError) -> UInt64 {
        let value = peek(count)
        try skip(count)
        return value
    }
}

extension UnsafeRawBufferPointer {
    /// Eight bytes from `offset` on as a little-endian number; zeros stand behind the end.
    @inline(__always)
    func word(at offset: Int) -> UInt64 {
        guard offset + 8 > count else {
            return UInt64(littleEndian: loadUnaligned(fromByteOffset: offset, as: UInt64.self))
        }
        var word: UInt64 = 0
        for i in Swift.max(0, offset)..<Swift.max(offset, count) {
            word |= UInt64(self[i]) << UInt64(8 * (i - offset))
        }
        return word
    }
}

extension PithError {
    /// A stream that ends before its last symbol.
    public static func truncated(at offset: Int) -> PithError {
        .data("the coded stream ends too early", at: "byte \(offset)", remedy: "the data are cut or damaged")
    }

    /// A stream that no encoder writes.
    public static func invalidStream(_ message: String) -> PithError {
        .data(message, remedy: "the data are damaged")
    }
}
