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
        public var path: BytePath
        /// What stands there.
        public var kind: Kind
        /// Bytes of content; none for folders.
        public var size: Int
        /// Permissions, as in `chmod`.
        public var permissions: Int
        /// When the content was changed, in seconds since 1970.
        public var modified: Int

        /// An entry.
        public init(path: BytePath, kind: Kind, size: Int, permissions: Int, modified: Int) {
            self.path = path
            self.kind = kind
            self.size = size
            self.permissions = permissions
            self.modified = modified
        }
    }

    // One property of all entries after the other, since there may be millions of them.
    private var kinds: [Kind] = []
    private var permissions: [UInt16] = []
    private var times: [Int] = []
    private var sizes: [Int] = []
    private var pathEnds: [Int] = []
    private var pathBytes: [UInt8] = []

    /// The bytes of all files.
    public private(set) var contentCount = 0

    /// A directory.
    public init(entries: some Sequence<Entry>) {
        for entry in entries {
            kinds.append(entry.kind)
            permissions.append(UInt16(entry.permissions & 0o7777))
            times.append(entry.modified)
            sizes.append(entry.size)
            contentCount += entry.size
            pathBytes += entry.path.bytes
            pathEnds.append(pathBytes.count)
        }
    }

    /// The directory in bytes: one property of all entries after the other, so that like stands beside like.
    package var bytes: [UInt8] {
        var bytes: [UInt8] = []
        bytes.append(number: count)
        bytes += kinds.map(\.rawValue)
        for permissions in permissions { bytes.append(number: Int(permissions)) }
        var last = 0
        for time in times {
            // Differences of either sign, around the end of the numbers if need be: 0, −1, 1, −2, …
            let difference = time &- last
            bytes.append(wide: UInt64(bitPattern: Int64(difference << 1 ^ difference >> 63)))
            last = time
        }
        for size in sizes { bytes.append(number: size) }
        for index in indices { bytes += path(index) + [0] }
        return bytes
    }
}

extension ArchiveDirectory: RandomAccessCollection {
    /// The first entry.
    public var startIndex: Int { 0 }
    /// Behind the last entry.
    public var endIndex: Int { kinds.count }

    /// The entry at a place in the order of the content.
    public subscript(index: Int) -> Entry {
        Entry(
            path: BytePath(path(index)), kind: kinds[index], size: sizes[index],
            permissions: Int(permissions[index]), modified: times[index])
    }

    private func path(_ index: Int) -> ArraySlice<UInt8> {
        pathBytes[(index == 0 ? 0 : pathEnds[index - 1])..<pathEnds[index]]
    }
}

// MARK: - Reading

extension ArchiveDirectory {
    /// The longest path, and the longest name in one: what file systems take.
    static let (longestPath, longestName) = (1 << 16, 255)
    /// The longest path that a link may lead to.
    private static let longestTarget = 4095

    /// About how many bytes of memory are needed for a directory of `count` bytes.
    static func memory(for count: Int) -> Int { 12 * count }

    /// Reads a directory. Refuses what has no place in the folder where an archive is opened: paths that lead out of it,
    /// two things at one path, and things below a file or a link.
    package init(_ bytes: [UInt8]) throws(PithError) {
        var reader = ByteReader(bytes)
        let count = try reader.number()
        // Five bytes at least for each.
        guard count <= bytes.count / 5 else { throw .truncated(at: bytes.count) }
        for _ in 0..<count {
            guard let kind = Kind(rawValue: try reader.byte()) else {
                throw .invalidStream("an entry is neither file, folder nor link")
            }
            kinds.append(kind)
        }
        for _ in 0..<count { permissions.append(UInt16(try reader.number() & 0o7777)) }
        for _ in 0..<count {
            let number = try reader.wide()
            times.append((times.last ?? 0) &+ (Int(number >> 1) ^ -Int(number & 1)))
        }
        for index in 0..<count { try readSize(&reader, of: kinds[index]) }
        for _ in 0..<count {
            let path = try reader.text()
            guard path.count <= Self.longestPath, BytePath(path).leadsDown else {
                throw .data(
                    "holds the path '\(BytePath(path.prefix(80)))'",
                    remedy:
                        "paths should lead down from the archive's root, by names of at most \(Self.longestName) bytes")
            }
            pathBytes += path
            pathEnds.append(pathBytes.count)
        }
        guard reader.isAtEnd else { throw .invalidStream("bytes are left behind the last path") }
        try checkPlaces()
    }

    private mutating func readSize(_ reader: inout ByteReader, of kind: Kind) throws(PithError) {
        let size = try reader.number()
        switch kind {
        case .folder where size > 0: throw .invalidStream("a folder has content of its own")
        case .link where !(1...Self.longestTarget).contains(size):
            throw .invalidStream("a link leads to a path of \(size) bytes")
        default: break
        }
        let (sum, overflow) = contentCount.addingReportingOverflow(size)
        guard !overflow else { throw .invalidStream("the files are absurdly large") }
        sizes.append(size)
        contentCount = sum
    }

    /// Whether each path is there once, and what stands above it is a folder.
    private func checkPlaces() throws(PithError) {
        // In this order what lies below a path comes right behind it.
        func key(_ index: Int) -> some Sequence<UInt8> { path(index).lazy.map { $0 == UInt8(ascii: "/") ? 0 : $0 } }
        let order = indices.sorted { key($0).lexicographicallyPrecedes(key($1)) }
        for (index, next) in zip(order, order.dropFirst()) {
            let (above, below) = (path(index), path(next))
            guard below.starts(with: above) else { continue }
            if below.count == above.count {
                throw .data("holds '\(BytePath(above))' twice")
            }
            if below[below.startIndex + above.count] == UInt8(ascii: "/"), kinds[index] != .folder {
                throw .data("holds '\(BytePath(below))' below what is no folder")
            }
        }
    }
}

extension BytePath {
    /// Whether the path stays in the folder that it starts from, by what its bytes say.
    var leadsDown: Bool {
        components.allSatisfy {
            !$0.bytes.isEmpty && $0 != "." && $0 != ".." && $0.bytes.count <= ArchiveDirectory.longestName
        }
    }
}
