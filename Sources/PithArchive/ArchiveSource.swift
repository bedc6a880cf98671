import PithCoding
import PithCore

/// Where an archive is read from, front to back: a file, standard input, or bytes in memory.
public struct ArchiveSource {
    private enum Origin {
        case memory(ByteRegion)
        case file(InputFile)
        case stream(SequentialInput)
    }
    private let origin: Origin
    /// The name for errors.
    public let name: String
    /// Bytes read or skipped so far.
    public private(set) var offset = 0
    // Read of a stream, but not taken yet.
    private var ahead: [UInt8] = []

    /// Reads from memory.
    public init(_ region: ByteRegion, name: String = "archive") { (origin, self.name) = (.memory(region), name) }

    /// Reads from a file.
    public init(_ file: InputFile, name: String) { (origin, self.name) = (.file(file), name) }

    /// Reads from a pipe.
    public init(_ stream: SequentialInput) { (origin, name) = (.stream(stream), stream.name) }

    /// All bytes; nil for a pipe, where they may be read once, front to back.
    var count: Int? {
        switch origin {
        case .memory(let region): region.count
        case .file(let file): file.size
        case .stream: nil
        }
    }

    /// The next `count` bytes; throws if there are fewer. Memory is taken as bytes arrive, not as claimed.
    mutating func take(_ count: Int) throws(PithError) -> [UInt8] {
        let bytes = try takeAvailable(count)
        guard bytes.count == count else { throw .truncated(at: offset) }
        return bytes
    }

    /// The next `count` bytes, or what is left.
    mutating func takeAvailable(_ count: Int) throws(PithError) -> [UInt8] {
        let bytes = try peek(count)
        if case .stream = origin { ahead.removeFirst(bytes.count) }
        offset += bytes.count
        return bytes
    }

    /// The next `count` bytes, or what is left, which stay to be taken.
    mutating func peek(_ count: Int) throws(PithError) -> [UInt8] {
        switch origin {
        case .memory(let region):
            let start = min(offset, region.count)
            return region.withBytes { Array($0[start..<start + min(count, $0.count - start)]) }
        case .file(let file):
            let start = min(offset, file.size)
            return try file.read(start..<start + min(count, file.size - start))
        case .stream(let stream):
            if ahead.count < count { ahead += try stream.read(count - ahead.count) }
            return Array(ahead.prefix(count))
        }
    }

    /// Passes over `count` bytes.
    mutating func skip(_ count: Int) throws(PithError) {
        guard let all = self.count else {
            var left = count
            while left > 0 { left -= try take(min(left, 1 << 20)).count }
            return
        }
        guard all - offset >= count else { throw .truncated(at: all) }
        offset += count
    }

    /// Goes on at another place; not in a pipe.
    mutating func seek(to place: Int) {
        precondition(count != nil, "a pipe is read front to back")
        offset = place
    }
}
