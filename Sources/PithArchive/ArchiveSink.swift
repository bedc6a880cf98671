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

extension AtomicFile: ByteSink {}

/// Writes to standard output.
public final class StandardOutputSink: ByteSink {
    /// Nothing was written yet.
    public init() {}
    /// Appends bytes.
    public func write(_ bytes: UnsafeRawBufferPointer) throws(PithError) { try bytes.writeToStandardOutput() }
}
