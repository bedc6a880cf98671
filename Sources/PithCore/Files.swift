import Foundation

/// Questions about paths, answered with `PithError`s.
public enum Files {
    /// Whether something stands at `path`, if only a link that leads nowhere.
    public static func exists(_ path: String) -> Bool { exists(BytePath(path)) }

    /// Whether something stands at `path`, if only a link that leads nowhere.
    public static func exists(_ path: BytePath) -> Bool { (try? FileStatus(path, followsLinks: false)) != nil }

    /// Whether a folder stands at `path`.
    public static func isFolder(_ path: String) -> Bool { isFolder(BytePath(path)) }

    /// Whether a folder stands at `path`.
    public static func isFolder(_ path: BytePath) -> Bool {
        (try? FileStatus(path, followsLinks: true))?.kind == .folder
    }

    /// Where the link at `path` leads.
    public static func linkTarget(_ path: BytePath) throws(PithError) -> BytePath {
        let (target, status) = path.withCString { path in
            var status = 0
            let bytes = [UInt8](unsafeUninitializedCapacity: Int(PATH_MAX)) { buffer, count in
                status = readlink(
                    path, UnsafeMutableRawPointer(buffer.baseAddress!).assumingMemoryBound(to: CChar.self), buffer.count
                )
                count = max(0, status)
            }
            return (BytePath(bytes), status)
        }
        guard (1..<Int(PATH_MAX)).contains(status) else {
            throw .data("the link cannot be read: \(lastSystemError)", at: path.description)
        }
        return target
    }

    /// The size of the file at `path`.
    public static func size(_ path: String) throws(PithError) -> ByteCount {
        ByteCount(try FileStatus(BytePath(path), followsLinks: true).size)
    }

    /// The names in the folder at `path`, sorted.
    public static func names(in path: String) throws(PithError) -> [String] {
        do { return try FileManager.default.contentsOfDirectory(atPath: path).sorted() } catch {
            throw .data("cannot be listed: \(error.localizedDescription)", at: path)
        }
    }

    /// The whole file as bytes.
    public static func bytes(_ path: String) throws(PithError) -> [UInt8] {
        try MappedFile.open(path).withBytes { Array($0) }
    }

    /// The whole file as text, which must be UTF-8.
    public static func text(_ path: String) throws(PithError) -> String {
        let region = try MappedFile.open(path)
        try region.refusePointer(at: path)
        return try region.withBytes { (bytes) throws(PithError) in try String(strictUTF8: bytes, at: path) }
    }

    /// Makes a folder, with those above it.
    public static func makeFolder(_ path: String) throws(PithError) {
        do { try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true) } catch {
            throw .fault("cannot be made: \(error.localizedDescription)", at: path)
        }
    }

    /// Removes what stands at `path`, if anything.
    public static func remove(_ path: String) throws(PithError) {
        guard exists(path) else { return }
        do { try FileManager.default.removeItem(atPath: path) } catch {
            throw .fault("cannot be removed: \(error.localizedDescription)", at: path)
        }
    }

    /// Puts what stands at `path` in the place of `target`, in the same file system, where nothing may stand.
    public static func move(_ path: String, to target: String) throws(PithError) {
        guard !exists(target) else { throw .usage("exists already", at: target, remedy: "give another place") }
        try UnfinishedFiles.finish { () throws(PithError) in
            guard rename(path, target) == 0 else {
                throw .fault("cannot be put in place: \(lastSystemError)", at: target)
            }
        }
    }

    /// The bytes that can still be written to the file system of the folder at `path`.
    public static func freeSpace(in path: String) throws(PithError) -> ByteCount {
        var information = statvfs()
        guard statvfs(path, &information) == 0 else {
            throw .data("cannot be examined: \(lastSystemError)", at: path)
        }
        return ByteCount(Int(min(Double(information.f_bavail) * Double(information.f_frsize), 0x1p62)))
    }

    /// Makes the folder `path` by filling another beside it and renaming that when it is whole.
    public static func buildFolder(
        at path: String, _ fill: (_ folder: String) throws(PithError) -> Void
    ) throws(PithError) {
        let target = BytePath(path).trimmed
        let parent = try FolderHandle(target.folder)
        try withTemporaryFolder(in: parent) { (name) throws(PithError) in
            try fill(target.folder.appending(name).systemText)
            try parent.folder(name).set(.newFolder)
            try UnfinishedFiles.finish { () throws(PithError) in try parent.rename(name, to: target.name) }
        }
    }

    /// Calls `body` with a folder for its work, which is gone afterwards, also if the program is ended.
    public static func withWorkFolder<Result>(
        _ body: (_ folder: String) throws(PithError) -> Result
    ) throws(PithError) -> Result {
        let parent = try FolderHandle(BytePath(NSTemporaryDirectory()).trimmed)
        return try withTemporaryFolder(in: parent) { (name) throws(PithError) in
            try body(parent.path.appending(name).systemText)
        }
    }

    /// Calls `body` with the name of a new folder, and removes it afterwards if it is still there.
    private static func withTemporaryFolder<Result>(
        in parent: FolderHandle, _ body: (BytePath) throws(PithError) -> Result
    ) throws(PithError) -> Result {
        let name = TemporaryName.next()
        let number = UnfinishedFiles.add(name, in: parent)
        defer {
            try? remove(parent.path.appending(name).systemText)
            UnfinishedFiles.remove(number)
        }
        _ = try parent.folder(name, making: true)
        return try body(name)
    }

    /// Copies a file.
    public static func copy(_ source: String, to target: String) throws(PithError) {
        let region = try MappedFile.open(source)
        let file = try AtomicFile(at: target)
        try region.withBytes { (bytes) throws(PithError) in try file.write(bytes) }
        try file.commit()
    }
}

/// `path` with `name` below it.
public func joinPath(_ path: String, _ name: String) -> String { path.hasSuffix("/") ? path + name : path + "/" + name }
