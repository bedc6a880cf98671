import PithCore

/// Where bytes go, front to back.
public protocol ByteSink: AnyObject {
    /// Appends bytes.
    func write(_ bytes: UnsafeRawBufferPointer) throws(PithError)
}

extension ByteSink {
    /// Appends bytes.
    func write(_ bytes: [UInt8]) throws(PithError) {
        try bytes.withUnsafeBufferPointer { (bytes) throws(PithError) in try write(UnsafeRawBufferPointer(bytes)) }
    }
}

/// Collects bytes in memory.
public final class MemorySink: ByteSink {
    /// What was written.
    public private(set) var bytes: [UInt8] = []
    /// Nothing was written yet.
    public init() {}
    /// Appends bytes.
    public func write(_ bytes: UnsafeRawBufferPointer) { self.bytes.append(contentsOf: bytes) }
}

/// Writes a file that appears at its place when it is whole.
public final class FileSink: ByteSink {
    private var file: AtomicFile
    /// Begins a file that shall stand at `path`.
    public init(_ path: BytePath) throws(PithError) { file = try AtomicFile(at: path) }
    /// Begins a file that shall stand at `name` in a folder.
    init(_ name: BytePath, in folder: FolderHandle) throws(PithError) { file = try AtomicFile(name, in: folder) }
    /// Appends bytes.
    public func write(_ bytes: UnsafeRawBufferPointer) throws(PithError) { try file.write(bytes) }
    /// Leaves out `count` bytes, which are read as zeros.
    func skip(_ count: Int) throws(PithError) { try file.skip(count) }
    /// Puts the whole file in its place.
    public func commit(
        as attributes: FileAttributes = .new, at name: BytePath? = nil, isFlushed: Bool = true
    ) throws(PithError) {
        try file.commit(as: attributes, at: name, isFlushed: isFlushed)
    }
}

/// Writes to standard output.
public final class StandardOutputSink: ByteSink {
    /// Nothing was written yet.
    public init() {}
    /// Appends bytes.
    public func write(_ bytes: UnsafeRawBufferPointer) throws(PithError) { try bytes.writeToStandardOutput() }
}
