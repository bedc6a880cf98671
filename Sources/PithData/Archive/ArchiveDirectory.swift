import PithCoding
import PithCore

/// The files and folders of an archive. The content of an archive is that of its files, one behind the other.
public struct ArchiveDirectory: Sendable, Equatable {
    /// What stands at a path.
    public enum Kind: UInt8, Sendable {
        /// Bytes.
        case file
        /// A folder; what is in it has entries of its own.
        case folder
        /// A symbolic link; its content is where it leads.
        case link
    }

    /// One file, folder or link.
    public struct Entry: Sendable, Equatable {
        /// Names joined by `/`, from the root of the archive.
        public var path: String
        /// What stands there.
        public var kind: Kind
        /// Bytes of content; none for folders.
        public var size: Int
        /// Permissions, as in `chmod`.
        public var permissions: Int
        /// When the content was changed, in seconds since 1970.
        public var modified: Int

        /// An entry.
        public init(path: String, kind: Kind, size: Int, permissions: Int, modified: Int) {
            self.path = path
            self.kind = kind
            self.size = size
            self.permissions = permissions
            self.modified = modified
        }
    }

    /// All entries, in the order of their content.
    public var entries: [Entry]

    /// A directory.
    public init(entries: [Entry]) { self.entries = entries }

    /// The bytes of all files.
    public var contentCount: Int { entries.reduce(0) { $0 + $1.size } }

    /// The directory in bytes: one property of all entries after the other, so that like stands beside like.
    var bytes: [UInt8] {
        var bytes: [UInt8] = []
        bytes.append(number: entries.count)
        bytes += entries.map(\.kind.rawValue)
        for entry in entries { bytes.append(number: entry.permissions) }
        var last = 0
        for entry in entries {
            // Differences of either sign: 0, −1, 1, −2, …
            let difference = entry.modified - last
            bytes.append(number: difference >= 0 ? 2 * difference : -2 * difference - 1)
            last = entry.modified
        }
        for entry in entries { bytes.append(number: entry.size) }
        for entry in entries { bytes += Array(entry.path.utf8) + [0] }
        return bytes
    }

    /// Reads a directory and refuses paths that lead out of the place where an archive is opened.
    init(_ bytes: [UInt8]) throws(PithError) {
        var reader = ByteReader(bytes)
        let count = try reader.number()
        // Five bytes at least for each.
        guard count <= bytes.count / 5 else { throw .truncated(at: bytes.count) }
        var kinds: [Kind] = []
        for _ in 0..<count {
            guard let kind = Kind(rawValue: try reader.byte()) else {
                throw .invalidStream("an entry is neither file, folder nor link")
            }
            kinds.append(kind)
        }
        var (permissions, times, sizes, total) = ([Int](), [Int](), [Int](), 0)
        for _ in 0..<count { permissions.append(try reader.number() & 0o7777) }
        for _ in 0..<count {
            let number = try reader.number()
            times.append((times.last ?? 0) &+ (number & 1 == 0 ? number / 2 : -(number + 1) / 2))
        }
        for _ in 0..<count {
            sizes.append(try reader.number())
            let (sum, overflow) = total.addingReportingOverflow(sizes[sizes.count - 1])
            guard !overflow else { throw .invalidStream("the files are absurdly large") }
            total = sum
        }
        entries = []
        entries.reserveCapacity(count)
        for index in 0..<count {
            let path = try reader.text()
            guard Self.isSafe(path) else {
                throw .data(
                    "holds the path '\(path.prefix(80))'", remedy: "paths should lead down from the archive's root")
            }
            entries.append(
                Entry(
                    path: path, kind: kinds[index], size: sizes[index], permissions: permissions[index],
                    modified: times[index]))
        }
        guard reader.isAtEnd else { throw .invalidStream("bytes are left behind the last path") }
    }

    private static func isSafe(_ path: String) -> Bool {
        !path.isEmpty
            && path.split(separator: "/", omittingEmptySubsequences: false).allSatisfy {
                !$0.isEmpty && $0 != "." && $0 != ".."
            }
    }
}
