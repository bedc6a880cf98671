import Foundation
import PithCore

/// What goes into an archive: the content of files, one behind the other, and what stands where.
public struct ArchiveInput: Sendable {
    /// Content that is to be found under one name.
    struct File: Sendable {
        var name: String
        var content: ByteRegion
    }

    /// The content, in order.
    var files: [File]
    /// The files and folders; nil for one run of bytes without a name.
    public let directory: ArchiveDirectory?

    /// One run of bytes; its name is not kept.
    public init(_ content: ByteRegion, name: String = "") {
        files = [File(name: name, content: content)]
        directory = nil
    }

    /// A directory alone, of entries without content.
    package init(directory: ArchiveDirectory) {
        files = []
        self.directory = directory
    }

    /// Bytes of content.
    public var count: Int { files.reduce(0) { $0 + $1.content.count } }

    /// The files and folders at `paths`, each under its last name. One file alone is a run of bytes without a name.
    public init(paths: [String]) throws(PithError) {
        if paths.count == 1, !Files.isFolder(paths[0]) {
            files = [File(name: paths[0], content: try MappedFile.open(paths[0]))]
            directory = nil
            return
        }
        var found: [(entry: ArchiveDirectory.Entry, path: String)] = []
        for path in paths {
            let name = URL(fileURLWithPath: path).standardizedFileURL.lastPathComponent
            guard !found.contains(where: { $0.entry.path == name }) else {
                throw .usage("two inputs have the name '\(name)'", remedy: "put them into one folder")
            }
            try Self.collect(path, as: name, into: &found)
        }
        // Folders first, so that they are there when files come; then like beside like.
        func order(_ entry: ArchiveDirectory.Entry) -> (Int, String, String) {
            let name = entry.path.split(separator: "/").last ?? ""
            let ending = name.lastIndex(of: ".").map { String(name[$0...]) } ?? ""
            return (
                entry.kind == .folder ? 0 : entry.kind == .file ? 1 : 2, entry.kind == .file ? ending : "", entry.path
            )
        }
        found.sort { order($0.entry) < order($1.entry) }
        files = []
        for index in found.indices {
            switch found[index].entry.kind {
            case .folder: break
            case .file:
                let content = try MappedFile.open(found[index].path)
                // The file may have changed since it was listed.
                found[index].entry.size = content.count
                files.append(File(name: found[index].entry.path, content: content))
            case .link:
                let target = try Self.target(of: found[index].path)
                found[index].entry.size = target.count
                files.append(File(name: found[index].entry.path, content: ByteRegion(copying: target)))
            }
        }
        directory = ArchiveDirectory(entries: found.map(\.entry))
    }

    /// Lists what stands at `path` and below it. What is neither file, folder nor link is left out.
    private static func collect(
        _ path: String, as name: String, into found: inout [(entry: ArchiveDirectory.Entry, path: String)]
    ) throws(PithError) {
        var information = stat()
        guard lstat(path, &information) == 0 else { throw .data("cannot be examined", at: path) }
        let kind: ArchiveDirectory.Kind
        switch information.st_mode & S_IFMT {
        case S_IFREG: kind = .file
        case S_IFDIR: kind = .folder
        case S_IFLNK: kind = .link
        default: return
        }
        #if os(macOS)
            let modified = information.st_mtimespec.tv_sec
        #else
            let modified = information.st_mtim.tv_sec
        #endif
        found.append(
            (
                ArchiveDirectory.Entry(
                    path: name, kind: kind, size: 0, permissions: Int(information.st_mode) & 0o7777, modified: modified),
                path
            ))
        guard kind == .folder else { return }
        for child in try Files.names(in: path) {
            try collect(joinPath(path, child), as: "\(name)/\(child)", into: &found)
        }
    }

    private static func target(of path: String) throws(PithError) -> [UInt8] {
        do { return Array(try FileManager.default.destinationOfSymbolicLink(atPath: path).utf8) } catch {
            throw .data("the link cannot be read: \(error.localizedDescription)", at: path)
        }
    }
}
