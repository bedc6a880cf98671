import Foundation
import PithCoding
import PithCore

/// Where an archive is read from, front to back: a file, standard input, or bytes in memory.
public struct ArchiveSource {
    private enum Origin {
        case memory(ByteRegion)
        case stream(FileHandle)
    }
    private let origin: Origin
    /// The name for errors.
    public let name: String
    /// Bytes read or skipped so far.
    public private(set) var offset = 0

    /// Reads from memory, or from a mapped file.
    public init(_ region: ByteRegion, name: String = "archive") {
        (origin, self.name) = (.memory(region), name)
    }

    /// Reads from a pipe.
    public init(_ handle: FileHandle, name: String = "standard input") {
        (origin, self.name) = (.stream(handle), name)
    }

    /// The next `count` bytes; throws if there are fewer. Memory is taken as bytes arrive, not as claimed.
    mutating func take(_ count: Int) throws(PithError) -> [UInt8] {
        let bytes = try takeAvailable(count)
        guard bytes.count == count else { throw .truncated(at: offset) }
        return bytes
    }

    /// The next `count` bytes, or what is left.
    mutating func takeAvailable(_ count: Int) throws(PithError) -> [UInt8] {
        var result: [UInt8] = []
        switch origin {
        case .memory(let region):
            result = region.withBytes { Array($0[min(offset, $0.count)..<min($0.count, offset + count)]) }
        case .stream(let handle):
            while result.count < count {
                let data: Data?
                do { data = try handle.read(upToCount: min(count - result.count, 1 << 20)) } catch {
                    throw .fault("cannot be read: \(error.localizedDescription)", at: name)
                }
                guard let data, !data.isEmpty else { break }
                result += data
            }
        }
        offset += result.count
        return result
    }

    /// Passes over `count` bytes.
    mutating func skip(_ count: Int) throws(PithError) {
        guard case .memory(let region) = origin else {
            var left = count
            while left > 0 { left -= try take(min(left, 1 << 20)).count }
            return
        }
        guard region.count - offset >= count else { throw .truncated(at: region.count) }
        offset += count
    }
}
