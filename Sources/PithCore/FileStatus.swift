import Foundation

/// What stands at a path: its kind, permissions and time.
public struct FileStatus: Sendable {
    /// What stands there.
    public enum Kind: Sendable {
        case file, folder, link
        /// A device, a pipe or a socket.
        case special
    }
    /// What stands there.
    public let kind: Kind
    /// Permissions, as in `chmod`.
    public let permissions: Int
    /// When it was changed, in seconds since 1970.
    public let modified: Int
    /// Bytes, as the system says.
    public var size: Int { state.size }
    private let state: InputFile.State

    /// What stands at `path`.
    public init(_ path: BytePath, followsLinks: Bool) throws(PithError) {
        var information = stat()
        let status = path.withCString { followsLinks ? stat($0, &information) : lstat($0, &information) }
        guard status == 0 else { throw .data("cannot be examined: \(lastSystemError)", at: path.description) }
        self.init(information)
    }

    init(_ information: stat) {
        kind =
            switch information.st_mode & S_IFMT {
            case S_IFREG: .file
            case S_IFDIR: .folder
            case S_IFLNK: .link
            default: .special
            }
        permissions = Int(information.st_mode) & 0o7777
        #if os(macOS)
            modified = information.st_mtimespec.tv_sec
        #else
            modified = information.st_mtim.tv_sec
        #endif
        state = InputFile.State(information)
    }

    /// Whether both are of the same file or folder.
    public func isSame(as other: FileStatus) -> Bool { state.isSameFile(as: other.state) }
}
