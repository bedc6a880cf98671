import Foundation

/// Writes a file beside its target and renames it when whole: a reader sees the old file or the new, never a part.
///
/// Until then only its owner may read it. Where a device or a pipe stands, or `/dev/stdout` and its like, bytes go there
/// at once.
public final class AtomicFile {
    private let place: BytePath
    private let descriptor: Int32
    /// The folder and both names; nil where bytes go to a device or a pipe.
    private let target: (folder: FolderHandle, name: BytePath, temporary: BytePath, number: Int)?
    private var finished = false

    /// Begins a file that shall stand at `path`.
    public convenience init(at path: String) throws(PithError) { try self.init(at: BytePath(path)) }

    /// Begins a file that shall stand at `path`.
    public convenience init(at path: BytePath) throws(PithError) {
        if let stream = try Self.openStream(path) {
            self.init(descriptor: stream, place: path, target: nil)
            return
        }
        guard !path.name.bytes.isEmpty else { throw .usage("is a folder", at: path.description) }
        let folder: FolderHandle
        do throws(PithError) { folder = try FolderHandle(path.folder) } catch {
            throw .fault("cannot be created: \(error.message)", at: path.description)
        }
        try self.init(path.name, in: folder, place: path)
    }

    /// Begins a file that shall stand at `name` in a folder, in place of what is no folder there.
    public convenience init(_ name: BytePath, in folder: FolderHandle) throws(PithError) {
        try self.init(name, in: folder, place: folder.path.appending(name))
    }

    private convenience init(_ name: BytePath, in folder: FolderHandle, place: BytePath) throws(PithError) {
        // That the name can be had is to be known before the work, not behind it.
        let occupant = try folder.occupant(name)
        guard occupant != .folder && occupant != .special else { throw folder.occupied(name, by: occupant) }
        let temporary = TemporaryName.next()
        let number = UnfinishedFiles.add(temporary, in: folder)
        let descriptor = temporary.withCString {
            openat(folder.descriptor, $0, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0o600)
        }
        guard descriptor >= 0 else {
            let reason = lastSystemError
            UnfinishedFiles.remove(number)
            throw .fault("cannot be created: \(reason)", at: place.description)
        }
        self.init(descriptor: descriptor, place: place, target: (folder, name, temporary, number))
    }

    private init(
        descriptor: Int32, place: BytePath,
        target: (folder: FolderHandle, name: BytePath, temporary: BytePath, number: Int)?
    ) {
        (self.descriptor, self.place, self.target) = (descriptor, place, target)
    }

    deinit {
        close(descriptor)
        guard let target else { return }
        if !finished { try? target.folder.remove(target.temporary) }
        UnfinishedFiles.remove(target.number)
    }

    /// Appends bytes.
    public func write(_ bytes: UnsafeRawBufferPointer) throws(PithError) {
        try writeAll(bytes, to: descriptor, place)
    }

    /// Leaves out `count` bytes, which are read as zeros.
    public func skip(_ count: Int) throws(PithError) {
        guard target != nil else {
            let zeros = ByteRegion(copying: [UInt8](repeating: 0, count: min(count, 1 << 20)))
            for start in stride(from: 0, to: count, by: max(1, zeros.count)) {
                try writeAll(zeros[0..<min(zeros.count, count - start)].bytes, to: descriptor, place)
            }
            withExtendedLifetime(zeros) {}
            return
        }
        let end = lseek(descriptor, off_t(count), SEEK_CUR)
        guard end >= 0, ftruncate(descriptor, end) == 0 else {
            throw .fault("cannot be written: \(lastSystemError)", at: place.description)
        }
    }

    /// Puts the whole file in its place, or at another name beside it; `isFlushed` says whether it must be on the disk
    /// before.
    public func commit(
        as attributes: FileAttributes = .new, at name: BytePath? = nil, isFlushed: Bool = true
    ) throws(PithError) {
        guard let target else { return }
        attributes.apply(to: descriptor)
        guard !isFlushed || fsync(descriptor) == 0 else {
            throw .fault("cannot be written: \(lastSystemError)", at: place.description)
        }
        try UnfinishedFiles.finish { () throws(PithError) in
            try target.folder.rename(target.temporary, to: name ?? target.name)
        }
        finished = true
    }

    /// Writes all that the file shall hold and puts it in its place.
    public func finish(_ bytes: some Sequence<UInt8>) throws(PithError) {
        try Array(bytes).withUnsafeBufferPointer { (bytes) throws(PithError) in
            try write(UnsafeRawBufferPointer(bytes))
        }
        try commit()
    }

    /// Writes a whole file at once.
    public static func write(_ bytes: some Sequence<UInt8>, to path: String) throws(PithError) {
        try AtomicFile(at: path).finish(bytes)
    }

    /// Writes a whole text at once.
    public static func write(_ text: String, to path: String) throws(PithError) {
        try write(text.utf8, to: path)
    }

    /// Whether bytes for `path` go to a device, a pipe or a descriptor of this program instead of into a file.
    public static func isStream(_ path: BytePath) -> Bool {
        if ownDescriptor(path) != nil { return true }
        return (try? FileStatus(path, followsLinks: true))?.kind == .special
    }

    /// Whether bytes for `path` go to standard output.
    public static func isStandardOutput(_ path: BytePath) -> Bool { ownDescriptor(path) == 1 }

    private static func openStream(_ path: BytePath) throws(PithError) -> Int32? {
        guard isStream(path) else { return nil }
        let stream =
            ownDescriptor(path).map { fcntl($0, F_DUPFD_CLOEXEC, 3) }
            ?? path.withCString { open($0, O_WRONLY | O_NOCTTY | O_CLOEXEC) }
        guard stream >= 0 else { throw .fault("cannot be written: \(lastSystemError)", at: path.description) }
        return stream
    }

    /// The descriptor of this program that a path such as `/dev/stdout` stands for.
    private static func ownDescriptor(_ path: BytePath) -> Int32? {
        switch path {
        case "/dev/stdout": return 1
        case "/dev/stderr": return 2
        default: break
        }
        for folder in ["/dev/fd/", "/proc/self/fd/", "/proc/\(getpid())/fd/"] where path.bytes.starts(with: folder.utf8)
        {
            return Int32(String(decoding: path.bytes.dropFirst(folder.utf8.count), as: UTF8.self))
        }
        return nil
    }
}

/// Writes all bytes to a descriptor; `place` is its name for errors.
func writeAll(_ bytes: UnsafeRawBufferPointer, to descriptor: Int32, _ place: BytePath) throws(PithError) {
    var rest = bytes
    while let base = rest.baseAddress, rest.count > 0 {
        let written = write(descriptor, base, rest.count)
        if written < 0 && errno == EINTR { continue }
        guard written > 0 else { throw .fault("cannot be written: \(lastSystemError)", at: place.description) }
        rest = UnsafeRawBufferPointer(rebasing: rest[written...])
    }
}

extension UnsafeRawBufferPointer {
    /// Writes the bytes to standard output.
    public func writeToStandardOutput() throws(PithError) { try writeAll(self, to: 1, "standard output") }
}
