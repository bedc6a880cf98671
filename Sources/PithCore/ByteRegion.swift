import Foundation

/// Bytes in memory that something keeps alive: a mapped file, or an array.
///
/// The bytes never change while the region lives, so that regions may cross threads.
public struct ByteRegion: @unchecked Sendable {
    /// The bytes.
    public let bytes: UnsafeRawBufferPointer
    private let owner: AnyObject?

    /// Bytes that `owner` keeps alive.
    public init(_ bytes: UnsafeRawBufferPointer, keptAliveBy owner: AnyObject?) {
        self.bytes = bytes
        self.owner = owner
    }

    /// A copy of `array` with its own storage, aligned for any vector.
    public init<Element: BitwiseCopyable>(copying array: [Element]) {
        let block = AlignedBlock(byteCount: array.count * MemoryLayout<Element>.stride)
        array.withUnsafeBytes { block.pointer.copyMemory(from: $0) }
        self.init(UnsafeRawBufferPointer(block.pointer), keptAliveBy: block)
    }

    /// The number of bytes.
    public var count: Int { bytes.count }

    /// Calls `body` with the bytes and keeps them alive until it returns.
    ///
    /// `bytes` alone does not: the optimiser may end the region's life at its last use, before the pointer's.
    public func withBytes<Result, Failure: Error>(
        _ body: (UnsafeRawBufferPointer) throws(Failure) -> Result
    ) throws(Failure) -> Result {
        defer { withExtendedLifetime(owner) {} }
        return try body(bytes)
    }

    /// Lets the system take back the memory that holds these bytes, where they can be read from their file again.
    public func releaseMemory() {
        guard owner is MappedFile.Mapping, let base = bytes.baseAddress else { return }
        let page = Int(sysconf(Int32(_SC_PAGESIZE)))
        let (start, end) = (Int(bitPattern: base), Int(bitPattern: base) + bytes.count)
        // Pages that others have a part of stay.
        let (first, last) = ((start + page - 1) / page * page, end / page * page)
        if first < last { madvise(UnsafeMutableRawPointer(bitPattern: first), last - first, MADV_DONTNEED) }
    }

    /// Calls `body` with one piece of `size` bytes after the other, and lets the memory of each go when it was read: what
    /// is read once, however large, takes little.
    public func forEachPiece<Failure: Error>(
        of size: Int = 8 << 20, _ body: (UnsafeRawBufferPointer) throws(Failure) -> Void
    ) throws(Failure) {
        for start in stride(from: 0, to: count, by: max(1, size)) {
            let piece = self[start..<min(count, start + size)]
            defer { piece.releaseMemory() }
            try piece.withBytes(body)
        }
    }

    /// The part in `range`, which must lie inside.
    public subscript(range: Range<Int>) -> ByteRegion {
        precondition(range.lowerBound >= 0 && range.upperBound <= bytes.count, "range outside the region")
        return ByteRegion(UnsafeRawBufferPointer(rebasing: bytes[range]), keptAliveBy: owner)
    }
}

/// Memory of its own, aligned to 64 bytes.
private final class AlignedBlock {
    let pointer: UnsafeMutableRawBufferPointer
    init(byteCount: Int) { pointer = .allocate(byteCount: byteCount, alignment: 64) }
    deinit { pointer.deallocate() }
}

/// A whole file, mapped read-only.
public enum MappedFile {
    fileprivate final class Mapping {
        let pointer: UnsafeMutableRawPointer
        let count: Int
        init(_ pointer: UnsafeMutableRawPointer, _ count: Int) {
            self.pointer = pointer
            self.count = count
        }
        deinit { munmap(pointer, count) }
    }

    /// Maps the file at `path`; nothing is read until it is touched. What cannot be mapped, as the files that the
    /// system makes up when they are read, is read at once.
    public static func open(_ path: String) throws(PithError) -> ByteRegion {
        let file = try InputFile(BytePath(path))
        guard file.size > 0 else { return ByteRegion(copying: try file.readToEnd()) }
        guard let pointer = mmap(nil, file.size, PROT_READ, MAP_PRIVATE, file.descriptor, 0), pointer != MAP_FAILED
        else {
            // Where no addresses are left there is no memory for a copy either; it takes two.
            try Memory.require(2 * file.size, for: "the content of \(path)")
            return ByteRegion(copying: try file.readToEnd())
        }
        return ByteRegion(
            UnsafeRawBufferPointer(start: pointer, count: file.size), keptAliveBy: Mapping(pointer, file.size))
    }
}
