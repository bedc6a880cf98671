import Foundation

/// An open folder. What is done in it by name is done in this folder, whatever becomes of its path, and never through
/// a link.
public final class FolderHandle: Sendable {
    let descriptor: Int32
    /// Where it was found, for errors.
    public let path: BytePath

    private init(_ descriptor: Int32, _ path: BytePath) { (self.descriptor, self.path) = (descriptor, path) }

    deinit { close(descriptor) }

    /// Opens the folder at `path`, through links if it is one.
    public convenience init(_ path: BytePath) throws(PithError) {
        let descriptor = path.withCString { open($0, O_RDONLY | O_DIRECTORY | O_CLOEXEC) }
        guard descriptor >= 0 else { throw .data("cannot be opened: \(lastSystemError)", at: path.description) }
        self.init(descriptor, path)
    }

    /// What stands at `name`, if anything; a link is not followed.
    public func occupant(_ name: BytePath) throws(PithError) -> FileStatus.Kind? {
        var information = stat()
        guard name.withCString({ fstatat(descriptor, $0, &information, AT_SYMLINK_NOFOLLOW) }) == 0 else {
            if errno == ENOENT { return nil }
            throw error("cannot be examined", name)
        }
        return FileStatus(information).kind
    }

    /// Opens the folder at `name`, which must not be a link; makes it first, for its owner alone, if nothing is there.
    public func folder(_ name: BytePath, making: Bool = false) throws(PithError) -> FolderHandle {
        if making, name.withCString({ mkdirat(descriptor, $0, 0o700) }) != 0, errno != EEXIST {
            throw error("cannot be made", name)
        }
        let inner = name.withCString { openat(descriptor, $0, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC) }
        guard inner >= 0 else {
            if errno == ENOTDIR || errno == ELOOP { throw occupied(name, by: try occupant(name)) }
            throw error("cannot be opened", name)
        }
        return FolderHandle(inner, path.appending(name))
    }

    /// Makes a symbolic link at `name` that leads to `target`; what stands there, if no folder, gives way at once.
    public func makeLink(_ name: BytePath, to target: BytePath, replacing: Bool) throws(PithError) {
        guard !replacing else {
            let temporary = TemporaryName.next()
            try makeLink(temporary, to: target, replacing: false)
            do throws(PithError) { try rename(temporary, to: name) } catch {
                try? remove(temporary)
                throw error
            }
            return
        }
        let status = target.withCString { target in name.withCString { symlinkat(target, descriptor, $0) } }
        guard status == 0 else { throw error("the link cannot be made", name) }
    }

    /// Removes the file or link at `name`.
    public func remove(_ name: BytePath) throws(PithError) {
        guard name.withCString({ unlinkat(descriptor, $0, 0) }) == 0 else { throw error("cannot be removed", name) }
    }

    /// Keeps the folder for this program until the handle is gone; false if another has it. Only those that ask heed it.
    public func lock() -> Bool { flock(descriptor, LOCK_EX | LOCK_NB) == 0 }

    func rename(_ name: BytePath, to target: BytePath) throws(PithError) {
        let status = name.withCString { name in
            target.withCString { renameat(descriptor, name, descriptor, $0) }
        }
        guard status == 0 else { throw error("cannot be put in place", target) }
    }

    /// Gives the folder permissions and times.
    public func set(_ attributes: FileAttributes) { attributes.apply(to: descriptor) }

    /// The names in it, in the order of their bytes.
    public func names() throws(PithError) -> [BytePath] {
        // A descriptor of its own: reading moves it.
        let copy = openat(descriptor, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard copy >= 0, let stream = fdopendir(copy) else {
            defer { if copy >= 0 { close(copy) } }
            throw .data("cannot be listed: \(lastSystemError)", at: path.description)
        }
        defer { closedir(stream) }
        var names: [BytePath] = []
        errno = 0
        while let entry = readdir(stream) {
            let name = withUnsafePointer(to: &entry.pointee.d_name) {
                $0.withMemoryRebound(to: CChar.self, capacity: 1) { BytePath($0) }
            }
            if name != "." && name != ".." { names.append(name) }
            errno = 0
        }
        guard errno == 0 else { throw .data("cannot be listed: \(lastSystemError)", at: path.description) }
        return names.sorted()
    }

    private func error(_ message: String, _ name: BytePath) -> PithError {
        .fault("\(message): \(lastSystemError)", at: path.appending(name).description)
    }

    func occupied(_ name: BytePath, by occupant: FileStatus.Kind?) -> PithError {
        let what =
            switch occupant {
            case .folder: "a folder stands there already"
            case .link: "a link stands there already"
            case .special: "a device, pipe or socket stands there"
            case .file, nil: "stands there already"
            }
        return .usage(what, at: path.appending(name).description, remedy: "give another place")
    }
}
