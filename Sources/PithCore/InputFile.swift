import Foundation

/// A file that is open for reading. Pipes, devices and sockets are refused, since they may never end or never begin.
public final class InputFile: Sendable {
    let descriptor: Int32
    private let place: BytePath
    private let kind: mode_t
    private let blocks: Int
    /// Which file it is and how it was when it was opened.
    public let state: State
    /// Permissions, owner and times.
    public let attributes: FileAttributes
    /// Bytes, as the system says; files that it makes up when they are read have others.
    public var size: Int { state.size }

    /// What tells that a file is another one, or was changed.
    public struct State: Sendable, Equatable {
        /// Bytes.
        public var size: Int
        private var device: UInt64
        private var number: UInt64
        private var changes: [Int]

        init(_ information: stat) {
            size = Int(information.st_size)
            (device, number) = (UInt64(truncatingIfNeeded: information.st_dev), UInt64(information.st_ino))
            #if os(macOS)
                let times = [information.st_mtimespec, information.st_ctimespec]
            #else
                let times = [information.st_mtim, information.st_ctim]
            #endif
            changes = times.flatMap { [Int($0.tv_sec), Int($0.tv_nsec)] }
        }

        /// Where standard output goes.
        public static var standardOutput: State {
            var information = stat()
            fstat(1, &information)
            return State(information)
        }

        /// Whether both are of the same file, changed or not.
        public func isSameFile(as other: State) -> Bool { device == other.device && number == other.number }
    }

    /// Opens the file at `path`; a link is followed.
    public convenience init(_ path: BytePath) throws(PithError) {
        // Not to wait for the other end of a pipe.
        let descriptor = path.withCString { open($0, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC) }
        guard descriptor >= 0 else {
            // Sockets cannot be opened.
            if errno == ENXIO { throw Self.unsuitable(path, S_IFSOCK) }
            throw .data("cannot be opened: \(lastSystemError)", at: path.description)
        }
        try self.init(descriptor, path)
        guard kind == S_IFREG else { throw Self.unsuitable(path, kind) }
    }

    /// A new file without a name, to be written to its descriptor.
    convenience init(temporaryIn folder: FolderHandle) throws(PithError) {
        let name = TemporaryName.next()
        let descriptor = name.withCString {
            openat(folder.descriptor, $0, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0o600)
        }
        guard descriptor >= 0 else {
            throw .fault("cannot be created: \(lastSystemError)", at: folder.path.description)
        }
        try folder.remove(name)
        try self.init(descriptor, folder.path)
    }

    /// The same file as it is now.
    func reopened() throws(PithError) -> InputFile { try InputFile(dup(descriptor), place) }

    private init(_ descriptor: Int32, _ place: BytePath) throws(PithError) {
        (self.descriptor, self.place) = (descriptor, place)
        var information = stat()
        let status = fstat(descriptor, &information)
        (state, attributes) = (State(information), FileAttributes(information))
        (kind, blocks) = (information.st_mode & S_IFMT, Int(information.st_blocks))
        guard status == 0 else { throw .data("cannot be examined: \(lastSystemError)", at: place.description) }
    }

    deinit { if descriptor >= 0 { close(descriptor) } }

    private static func unsuitable(_ path: BytePath, _ kind: mode_t) -> PithError {
        let (what, remedy): (String, String?) =
            switch kind {
            case S_IFDIR: ("is a folder", nil)
            case S_IFIFO: ("is a pipe", "commands that read '-' take it from standard input")
            case S_IFSOCK: ("is a socket", nil)
            default: ("is a device", nil)
            }
        return .data(what + ", not a file", at: path.description, remedy: remedy)
    }

    /// Whether the system may make up the bytes when they are read, so that their number is not known before.
    public var mayBeMadeUp: Bool { size == 0 || blocks == 0 && size <= 1 << 16 }

    /// How the file is now.
    public func currentState() throws(PithError) -> State {
        var information = stat()
        guard fstat(descriptor, &information) == 0 else {
            throw .data("cannot be examined: \(lastSystemError)", at: place.description)
        }
        return State(information)
    }

    /// The bytes in `range`; fewer if the file ends before.
    public func read(_ range: Range<Int>) throws(PithError) -> [UInt8] {
        var failure: Int32 = 0
        let bytes = [UInt8](unsafeUninitializedCapacity: range.count) { buffer, count in
            while count < range.count {
                let got = pread(
                    descriptor, buffer.baseAddress! + count, min(range.count - count, 1 << 30),
                    off_t(range.lowerBound + count))
                if got < 0 && errno == EINTR { continue }
                if got < 0 { failure = errno }
                if got <= 0 { break }
                count += got
            }
        }
        guard failure == 0 else {
            throw .data("cannot be read: \(String(cString: strerror(failure)))", at: place.description)
        }
        return bytes
    }

    /// All bytes up to the end, wherever that is.
    public func readToEnd() throws(PithError) -> [UInt8] {
        var bytes: [UInt8] = []
        while true {
            // Files that the system makes up come in portions of its choice.
            let next = try read(bytes.count..<bytes.count + max(1 << 16, size + 1 - bytes.count))
            if next.isEmpty { return bytes }
            guard bytes.count < 1 << 30 || bytes.count <= size else {
                throw .data("goes on and on", at: place.description)
            }
            bytes += next
        }
    }
}
