import PithCore

/// Deals the content of an archive out to its files.
///
/// Everything is made in folders that are held open and entered name by name, never through a link; links are made last.
/// A file that cannot be made is passed over: it is among the losses, and the others come out.
struct Extraction {
    private let root: FolderHandle
    private let directory: ArchiveDirectory
    private let isReplacing: Bool
    // The entry whose content comes next, and how much of it is to come.
    private var index = -1
    private var left = 0
    private var file: AtomicFile?
    private var target: [UInt8] = []
    // Bytes of the entry that were written, and whether some are missing or wrong.
    private var written = 0
    private var isDamaged = false
    private var links: [(entry: ArchiveDirectory.Entry, target: BytePath)] = []
    private var losses: [Unzip.Loss] = []

    /// Makes the folders of `directory` below the folder at `root`. What stands at the place of a file or link gives way
    /// if `isReplacing`.
    init(_ directory: ArchiveDirectory, _ root: BytePath, isReplacing: Bool) throws(PithError) {
        try Files.makeFolder(root.systemText)
        self.root = try FolderHandle(root)
        self.directory = directory
        self.isReplacing = isReplacing
        for entry in directory where entry.kind == .folder { makeFolder(entry) }
        try advance()
    }

    // MARK: Places

    /// The folder that an entry lies in, made if it is not there.
    private func folder(of entry: ArchiveDirectory.Entry) throws(PithError) -> FolderHandle {
        var folder = root
        for name in entry.path.components.dropLast() { folder = try inner(name, of: folder) }
        return folder
    }

    /// The folder at a name; a file or link that stands there gives way.
    private func inner(_ name: BytePath, of folder: FolderHandle) throws(PithError) -> FolderHandle {
        if isReplacing, let occupant = try folder.occupant(name), occupant == .link || occupant == .file {
            try folder.remove(name)
        }
        return try folder.folder(name, making: true)
    }

    private mutating func makeFolder(_ entry: ArchiveDirectory.Entry) {
        do throws(PithError) { _ = try inner(entry.path.name, of: try folder(of: entry)) } catch {
            losses.append(Unzip.Loss(path: entry.path, count: 0, reason: error))
        }
    }

    /// Throws if something stands at the place of a file or link that must not be replaced.
    private func checkFree(_ name: BytePath, _ folder: FolderHandle) throws(PithError) {
        guard !isReplacing, try folder.occupant(name) != nil else { return }
        throw .usage("stands there already", at: folder.path.appending(name).description, remedy: "--force replaces it")
    }

    // MARK: Files

    /// Ends the current file once it is whole and begins the next, over those without content.
    private mutating func advance() throws(PithError) {
        while left == 0 && index < directory.count {
            close()
            index += 1
            guard index < directory.count else { return }
            let entry = directory[index]
            (left, written) = (entry.size, 0)
            guard entry.kind == .file else { continue }
            do throws(PithError) {
                let folder = try folder(of: entry)
                try checkFree(entry.path.name, folder)
                file = try AtomicFile(entry.path.name, in: folder)
            } catch { lose(entry.size, error) }
        }
    }

    /// Puts the current file in its place, or beside it if it is damaged.
    private mutating func close() {
        guard directory.indices.contains(index) else { return }
        defer { (file, target, isDamaged) = (nil, [], false) }
        let entry = directory[index]
        if entry.kind == .link && !isDamaged { links.append((entry, BytePath(target))) }
        // Nothing is no use to anyone.
        guard let file, !isDamaged || written > 0 else { return }
        let ending = Array(".damaged".utf8)
        let name = BytePath(entry.path.name.bytes.prefix(ArchiveDirectory.longestName - ending.count) + ending)
        do throws(PithError) {
            // A flush for each would take most of the time where files are small.
            try file.commit(as: entry.attributes, at: isDamaged ? name : nil, isFlushed: false)
        } catch { losses.append(Unzip.Loss(path: entry.path, count: entry.size, reason: error)) }
    }

    /// Takes the next bytes of content; with a reason, some of them are wrong.
    mutating func write(_ bytes: [UInt8], damagedBy reason: PithError? = nil) throws(PithError) {
        var rest = bytes[...]
        while !rest.isEmpty {
            guard index < directory.count else { throw .data("the content is longer than its files") }
            if let reason { lose(0, reason) }
            let part = rest.prefix(left)
            if directory[index].kind == .link { target += part } else { try file?.write(Array(part)) }
            written += part.count
            rest = rest.dropFirst(part.count)
            left -= part.count
            try advance()
        }
    }

    /// Passes over bytes that are lost; in a file they are zeros.
    mutating func skip(_ count: Int, _ reason: PithError) throws(PithError) {
        var rest = count
        while rest > 0 && index < directory.count {
            let part = min(rest, left)
            lose(part, reason)
            try file?.skip(part)
            rest -= part
            left -= part
            try advance()
        }
    }

    private mutating func lose(_ count: Int, _ reason: PithError) {
        isDamaged = true
        losses.append(Unzip.Loss(path: directory[index].path, count: count, reason: reason))
    }

    // MARK: The end

    /// Ends early: the current file is kept as far as it came, and those behind it are not made.
    mutating func abandon(_ reason: PithError) {
        guard index < directory.count else { return }
        if index >= 0 {
            lose(left, reason)
            close()
        }
        for entry in directory[(index + 1)...] where entry.kind != .folder {
            losses.append(Unzip.Loss(path: entry.path, count: entry.size, reason: reason))
        }
        index = directory.count
    }

    /// Makes the links, gives folders their permissions, the innermost first, and says what was lost.
    mutating func finish() -> [Unzip.Loss] {
        for link in links {
            do throws(PithError) { try make(link.entry, link.target) } catch {
                losses.append(Unzip.Loss(path: link.entry.path, count: 0, reason: error))
            }
        }
        for entry in directory.reversed() where entry.kind == .folder {
            try? folder(of: entry).folder(entry.path.name).set(entry.attributes)
        }
        return losses
    }

    private func make(_ link: ArchiveDirectory.Entry, _ target: BytePath) throws(PithError) {
        guard !target.bytes.contains(0) else { throw .data("leads to a path with a zero in it") }
        let (folder, name) = (try folder(of: link), link.path.name)
        try checkFree(name, folder)
        if let occupant = try folder.occupant(name), occupant == .folder || occupant == .special {
            throw .usage("something else than a file or link stands there", at: folder.path.appending(name).description)
        }
        try folder.makeLink(name, to: target, replacing: isReplacing)
    }
}

extension ArchiveDirectory.Entry {
    /// What the file or folder is given. Programs that would run with another's rights do not come out of archives.
    fileprivate var attributes: FileAttributes { FileAttributes(permissions: permissions & 0o777, modified: modified) }
}
