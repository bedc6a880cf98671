import Foundation
import Synchronization

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
    private final class Mapping {
        let pointer: UnsafeMutableRawPointer
        let count: Int
        init(_ pointer: UnsafeMutableRawPointer, _ count: Int) {
            self.pointer = pointer
            self.count = count
        }
        deinit { munmap(pointer, count) }
    }

    /// Maps the file at `path`; nothing is read until it is touched.
    public static func open(_ path: String) throws(PithError) -> ByteRegion {
        let descriptor = Foundation.open(path, O_RDONLY)
        guard descriptor >= 0 else { throw .data("cannot be opened: \(lastSystemError)", at: path) }
        defer { close(descriptor) }
        var information = stat()
        guard fstat(descriptor, &information) == 0 else {
            throw .data("cannot be examined: \(lastSystemError)", at: path)
        }
        guard information.st_mode & S_IFMT == S_IFREG else { throw .data("is not a file", at: path) }
        let count = Int(information.st_size)
        guard count > 0 else { return ByteRegion(UnsafeRawBufferPointer(start: nil, count: 0), keptAliveBy: nil) }
        guard let pointer = mmap(nil, count, PROT_READ, MAP_PRIVATE, descriptor, 0), pointer != MAP_FAILED else {
            throw .fault("cannot be mapped: \(lastSystemError)", at: path)
        }
        return ByteRegion(UnsafeRawBufferPointer(start: pointer, count: count), keptAliveBy: Mapping(pointer, count))
    }
}

/// Writes a file beside its target and renames it when whole: a reader sees the old file or the new, never a part.
public struct AtomicFile: ~Copyable {
    private let path: String
    private let temporaryPath: String
    private let descriptor: Int32
    private var finished = false

    /// Begins a file that shall stand at `path`.
    public init(at path: String) throws(PithError) {
        self.path = path
        temporaryPath = "\(path).\(getpid()).part"
        descriptor = open(temporaryPath, O_WRONLY | O_CREAT | O_TRUNC, 0o644)
        guard descriptor >= 0 else { throw .fault("cannot be created: \(lastSystemError)", at: path) }
        UnfinishedFiles.add(temporaryPath)
    }

    deinit {
        close(descriptor)
        if !finished { unlink(temporaryPath) }
        UnfinishedFiles.remove(temporaryPath)
    }

    /// Appends bytes.
    public mutating func write(_ bytes: UnsafeRawBufferPointer) throws(PithError) {
        var rest = bytes
        while let base = rest.baseAddress, rest.count > 0 {
            let written = Foundation.write(descriptor, base, rest.count)
            if written < 0 && errno == EINTR { continue }
            guard written > 0 else { throw .fault("cannot be written: \(lastSystemError)", at: path) }
            rest = UnsafeRawBufferPointer(rebasing: rest[written...])
        }
    }

    /// Puts the whole file in its place.
    public mutating func commit() throws(PithError) {
        guard fsync(descriptor) == 0, rename(temporaryPath, path) == 0 else {
            throw .fault("cannot be put in place: \(lastSystemError)", at: path)
        }
        finished = true
    }

    /// Writes a whole file at once.
    public static func write(_ bytes: some Sequence<UInt8>, to path: String) throws(PithError) {
        var file = try AtomicFile(at: path)
        let array = Array(bytes)
        try array.withUnsafeBufferPointer { (bytes) throws(PithError) in try file.write(UnsafeRawBufferPointer(bytes)) }
        try file.commit()
    }

    /// Writes a whole text at once.
    public static func write(_ text: String, to path: String) throws(PithError) {
        try write(text.utf8, to: path)
    }
}

/// The files that are being written: a program that is stopped in the middle leaves none of them behind.
public enum UnfinishedFiles {
    private static let paths = Mutex<Set<String>>([])

    static func add(_ path: String) { paths.withLock { _ = $0.insert(path) } }
    static func remove(_ path: String) { paths.withLock { _ = $0.remove(path) } }

    /// Removes all of them from the disk; the program must end then.
    public static func removeAll() { paths.withLock { for path in $0 { unlink(path) } } }
}

/// Questions about paths, answered with `PithError`s.
public enum Files {
    /// Whether something stands at `path`.
    public static func exists(_ path: String) -> Bool { FileManager.default.fileExists(atPath: path) }

    /// Whether a folder stands at `path`.
    public static func isFolder(_ path: String) -> Bool {
        var isFolder: ObjCBool = false
        return FileManager.default.fileExists(atPath: path, isDirectory: &isFolder) && isFolder.boolValue
    }

    /// The size of the file at `path`.
    public static func size(_ path: String) throws(PithError) -> ByteCount {
        var information = stat()
        guard stat(path, &information) == 0 else { throw .data("cannot be examined: \(lastSystemError)", at: path) }
        return ByteCount(Int(information.st_size))
    }

    /// The names in the folder at `path`, sorted.
    public static func names(in path: String) throws(PithError) -> [String] {
        do { return try FileManager.default.contentsOfDirectory(atPath: path).sorted() } catch {
            throw .data("cannot be listed: \(error.localizedDescription)", at: path)
        }
    }

    /// The whole file as bytes.
    public static func bytes(_ path: String) throws(PithError) -> [UInt8] {
        try MappedFile.open(path).withBytes { Array($0) }
    }

    /// The whole file as text, which must be UTF-8.
    public static func text(_ path: String) throws(PithError) -> String {
        let region = try MappedFile.open(path)
        try region.refusePointer(at: path)
        return try region.withBytes { (bytes) throws(PithError) in try String(strictUTF8: bytes, at: path) }
    }

    /// Makes a folder, with those above it.
    public static func makeFolder(_ path: String) throws(PithError) {
        do { try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true) } catch {
            throw .fault("cannot be made: \(error.localizedDescription)", at: path)
        }
    }

    /// Removes what stands at `path`, if anything.
    public static func remove(_ path: String) throws(PithError) {
        guard exists(path) else { return }
        do { try FileManager.default.removeItem(atPath: path) } catch {
            throw .fault("cannot be removed: \(error.localizedDescription)", at: path)
        }
    }

    /// Makes the folder `path` by filling another beside it and renaming that when it is whole.
    public static func buildFolder(
        at path: String, _ fill: (_ folder: String) throws(PithError) -> Void
    ) throws(PithError) {
        let trimmed = path.count > 1 && path.hasSuffix("/") ? String(path.dropLast()) : path
        let temporary = "\(trimmed).\(getpid()).part"
        try makeFolder(temporary)
        do throws(PithError) {
            try fill(temporary)
            guard rename(temporary, trimmed) == 0 else {
                throw .fault("cannot be put in place: \(lastSystemError)", at: path)
            }
        } catch {
            try? remove(temporary)
            throw error
        }
    }

    /// Copies a file.
    public static func copy(_ source: String, to target: String) throws(PithError) {
        let region = try MappedFile.open(source)
        var file = try AtomicFile(at: target)
        try region.withBytes { (bytes) throws(PithError) in try file.write(bytes) }
        try file.commit()
    }
}

/// `path` with `name` below it.
public func joinPath(_ path: String, _ name: String) -> String { path.hasSuffix("/") ? path + name : path + "/" + name }
