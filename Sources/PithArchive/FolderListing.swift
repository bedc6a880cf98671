import Foundation
import PithCore

/// Lists files and folders for an archive.
struct FolderListing {
    /// One thing found.
    struct Item {
        var entry: ArchiveDirectory.Entry
        /// The bytes of a file, or where a link leads.
        var content: ContentSource?
    }

    private let followsLinks: Bool
    private let archive: InputFile.State?
    private let notes: InputNotes
    /// What was found.
    private(set) var items: [Item] = []
    /// Who may read all of it, as bits of permissions.
    private(set) var readers = 0o666
    private var names: Set<BytePath> = []

    init(followsLinks: Bool, archive: InputFile.State?, notes: InputNotes) {
        (self.followsLinks, self.archive, self.notes) = (followsLinks, archive, notes)
    }

    /// Adds what stands at `path` under its last name, and all below it.
    mutating func add(_ path: BytePath) throws(PithError) {
        let name = Self.name(of: path)
        guard names.insert(name).inserted else {
            throw .usage("two inputs have the name '\(name)'", remedy: "put them into one folder")
        }
        collect(path, as: name, isArgument: true, within: [])
    }

    /// The last name of a path, for `.` and the like that of the folder which it stands for.
    private static func name(of path: BytePath) -> BytePath {
        let name = path.trimmed.name
        guard name == "." || name == ".." || name == "" else { return name }
        let real = realpath(path.systemText, nil).map { pointer in
            defer { free(pointer) }
            return BytePath(String(cString: pointer))
        }
        return real.map(\.name).flatMap { $0 == "" ? nil : $0 } ?? "root"
    }

    /// Lists what stands at `path` and below it; `ancestors` are the folders that it lies in.
    private mutating func collect(
        _ path: BytePath, as name: BytePath, isArgument: Bool = false, within ancestors: [FileStatus]
    ) {
        guard name.bytes.count <= ArchiveDirectory.longestPath else {
            return notes.add(path, "left out: its path is too long")
        }
        do throws(PithError) {
            var status = try FileStatus(path, followsLinks: false)
            if status.kind == .link, isArgument || followsLinks { status = try followed(path, status, ancestors) }
            switch status.kind {
            case .file: try addFile(path, name, status)
            case .folder: addFolder(path, name, status, ancestors)
            case .link: try addLink(path, name, status)
            case .special: notes.add(path, "left out: it is a device, a pipe or a socket")
            }
        } catch { notes.add(path, "left out: \(error.message)") }
    }

    /// What a link leads to; the link itself if that is nothing, or a folder that the link lies in.
    private func followed(
        _ path: BytePath, _ link: FileStatus, _ ancestors: [FileStatus]
    ) throws(PithError) -> FileStatus {
        guard let target = try? FileStatus(path, followsLinks: true) else {
            notes.add(path, "stored as a link: it leads nowhere")
            return link
        }
        guard !ancestors.contains(where: { $0.isSame(as: target) }) else {
            notes.add(path, "stored as a link: it leads to a folder that it lies in")
            return link
        }
        return target
    }

    private mutating func addFile(_ path: BytePath, _ name: BytePath, _ status: FileStatus) throws(PithError) {
        let file = try InputFile(path)
        if let archive, file.state.isSameFile(as: archive) { return }
        let content = try ArchiveInput.content(of: file, path, isFilled: true, notes)
        readers &= status.permissions
        items.append(Item(entry: status.entry(name, .file, size: content.count), content: content))
    }

    private mutating func addFolder(
        _ path: BytePath, _ name: BytePath, _ status: FileStatus, _ ancestors: [FileStatus]
    ) {
        // Who may not enter a folder may not read what is in it.
        readers &= status.permissions << 2 | 0o222
        items.append(Item(entry: status.entry(name, .folder, size: 0)))
        do throws(PithError) {
            for child in try FolderHandle(path).names() {
                collect(path.appending(child), as: name.appending(child), within: ancestors + [status])
            }
        } catch { notes.add(path, "what is in it is left out: \(error.message)") }
    }

    private mutating func addLink(_ path: BytePath, _ name: BytePath, _ status: FileStatus) throws(PithError) {
        let target = try Files.linkTarget(path)
        items.append(
            Item(
                entry: status.entry(name, .link, size: target.bytes.count),
                content: ContentSource(ByteRegion(copying: target.bytes))))
    }

    /// Says so if links lead to what is not in the archive.
    func noteLinksThatLeadOut() {
        var (first, count) = (BytePath?.none, 0)
        for item in items where item.entry.kind == .link {
            guard let target = try? item.content?.read(), BytePath(target).leads(outFrom: item.entry.path) else {
                continue
            }
            first = first ?? item.entry.path
            count += 1
        }
        guard let first else { return }
        let what = count == 1 ? "a link that leads" : "the first of \(count) links that lead"
        notes.addRemark(
            first, "\(what) out of what is archived, stored as links; with --follow what they lead to is stored")
    }

    /// Folders first, so that they are there when files come; then like beside like; links last.
    func sorted() -> [Item] {
        let keys = items.map { item -> (Int, BytePath) in
            let name = item.entry.path.name.bytes
            switch item.entry.kind {
            case .folder: return (0, "")
            case .file: return (1, BytePath(name.lastIndex(of: UInt8(ascii: ".")).map { name[$0...] } ?? []))
            case .link: return (2, "")
            }
        }
        return items.indices.sorted { left, right in
            let (a, b) = (keys[left], keys[right])
            if a.0 != b.0 { return a.0 < b.0 }
            if a.1 != b.1 { return a.1 < b.1 }
            return items[left].entry.path < items[right].entry.path
        }.map { items[$0] }
    }
}

extension FileStatus {
    /// What a directory says of the thing.
    fileprivate func entry(
        _ path: BytePath, _ kind: ArchiveDirectory.Kind, size: Int
    ) -> ArchiveDirectory.Entry {
        ArchiveDirectory.Entry(path: path, kind: kind, size: size, permissions: permissions, modified: modified)
    }
}

extension BytePath {
    /// Whether a link at `place` that leads to this path leads out of the folder that `place` begins in.
    fileprivate func leads(outFrom place: BytePath) -> Bool {
        var depth = place.components.count - 1
        guard bytes.first != UInt8(ascii: "/") else { return true }
        for component in components where component != "." && component != "" {
            depth += component == ".." ? -1 : 1
            if depth < 1 { return true }
        }
        return false
    }
}
