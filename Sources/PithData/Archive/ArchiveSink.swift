import Foundation
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
    public init(_ path: String) throws(PithError) { file = try AtomicFile(at: path) }
    /// Appends bytes.
    public func write(_ bytes: UnsafeRawBufferPointer) throws(PithError) { try file.write(bytes) }
    /// Puts the whole file in its place.
    public func commit() throws(PithError) { try file.commit() }
}

/// Writes to a pipe, for example standard output.
public final class StreamSink: ByteSink {
    private let handle: FileHandle
    /// Writes to `handle`.
    public init(_ handle: FileHandle) { self.handle = handle }
    /// Appends bytes.
    public func write(_ bytes: UnsafeRawBufferPointer) throws(PithError) {
        do { try handle.write(contentsOf: Data(bytes)) } catch {
            throw .fault("cannot be written: \(error.localizedDescription)", at: "standard output")
        }
    }
}
