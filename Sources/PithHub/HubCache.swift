import Foundation
import PithCore
import PithFormats

/// A folder of files from hubs, laid out as `huggingface_hub` does, which reads what Pith puts there and the reverse.
///
/// `models--ORG--NAME/blobs/TAG` holds contents, `snapshots/COMMIT/PATH` are links to them, and `refs/REVISION` holds
/// the commit that a branch or tag stood for.
public struct HubCache: Sendable {
    /// The folder.
    public let root: String

    /// The cache in a folder, which need not be there.
    public init(root: String) { self.root = root }

    /// The folder of a repository.
    func folder(_ address: RepositoryAddress) -> String {
        joinPath(root, "models--\(address.owner)--\(address.name)")
    }

    func blobs(_ address: RepositoryAddress) -> String { joinPath(folder(address), "blobs") }

    func snapshot(_ address: RepositoryAddress, _ commit: String) -> String {
        joinPath(folder(address), "snapshots/\(commit)")
    }

    /// Whether `tag` may be the name of a file among the contents.
    static func isBlobName(_ tag: String) -> Bool {
        (1...128).contains(tag.utf8.count) && !tag.hasPrefix(".")
            && tag.utf8.allSatisfy { $0.isLetterOrDigit || "-._".utf8.contains($0) }
    }

    // MARK: Reading

    /// The commit that a revision stood for when it was fetched last; nil if it never was.
    public func commit(_ address: RepositoryAddress) -> String? {
        if address.isCommit { return address.revision }
        guard let text = try? Files.text(joinPath(folder(address), "refs/\(address.revision)")) else { return nil }
        let commit = text.trimmingCharacters(in: .whitespacesAndNewlines)
        return RepositoryAddress.isCommit(commit) ? commit : nil
    }

    /// The folder with the files of a revision as it was fetched last; nil if there is none.
    public func snapshot(_ address: RepositoryAddress) -> String? {
        commit(address).map { snapshot(address, $0) }.flatMap { Files.isFolder($0) ? $0 : nil }
    }

    /// The model of a repository: its folder, or the GGUF file that is meant or the only one. Throws if there is none.
    public func model(_ address: RepositoryAddress) throws(PithError) -> String {
        let absent = PithError.data(
            "is not in the cache", at: "\(address)", remedy: "'pith pull \(address)' fetches it")
        guard let commit = commit(address), let folder = snapshot(address) else { throw absent }
        if let file = address.file {
            guard size(joinPath(folder, file)) != nil else { throw absent }
            return joinPath(folder, file)
        }
        guard size(joinPath(folder, ModelConfiguration.fileName)) == nil else { return folder }
        let models = GGUFSet.all(in: try files(address, commit).map { HubFile(path: $0, size: 0) })
        guard models.count <= 1 else {
            throw .usage(
                "several of its GGUF files are in the cache", at: "\(address)",
                remedy: "name one: \(models.map { "\(address.repository)/\($0.name)" }.joined(separator: ", "))")
        }
        return models.first.map { joinPath(folder, $0.name) } ?? folder
    }

    /// The paths of the files of a commit that are there.
    package func files(_ address: RepositoryAddress, _ commit: String) throws(PithError) -> [String] {
        let root = BytePath(snapshot(address, commit))
        var (files, folders) = ([String](), [BytePath("")])
        while let folder = folders.popLast() {
            for name in try FolderHandle(folder.bytes.isEmpty ? root : root.appending(folder)).names() {
                let path = folder.appending(name)
                if try FileStatus(root.appending(path), followsLinks: false).kind == .folder {
                    folders.append(path)
                } else if let text = path.text, size(joinPath(root.systemText, text)) != nil {
                    files.append(text)
                }
            }
        }
        return files.sorted()
    }

    /// Bytes of the file at `path`, through links; nil if none is there.
    func size(_ path: String) -> Int? {
        guard let status = try? FileStatus(BytePath(path), followsLinks: true), status.kind == .file else { return nil }
        return status.size
    }

    // MARK: Writing

    /// Keeps other processes of Pith from fetching the same repository, until the handle or the process is gone; waits
    /// while another has it, and says so.
    func lock(
        _ address: RepositoryAddress, _ transfer: TransferSettings, _ report: (HubEvent) -> Void
    ) throws(PithError) -> FolderHandle {
        let path = joinPath(root, ".locks/models--\(address.owner)--\(address.name)")
        try Files.makeFolder(path)
        let folder = try FolderHandle(BytePath(path))
        if folder.lock() { return folder }
        report(.notice("another process fetches \(address.repository); waiting for it"))
        while !folder.lock() { transfer.sleep(.seconds(1)) }
        return folder
    }

    /// Makes the folders of a repository.
    func makeFolders(_ address: RepositoryAddress) throws(PithError) {
        try Files.makeFolder(blobs(address))
        try Files.makeFolder(joinPath(folder(address), "snapshots"))
        try Files.makeFolder(joinPath(folder(address), "refs"))
    }

    /// Puts a link at `path` in the snapshot of a commit to the content `tag`.
    func link(_ path: String, to tag: String, _ address: RepositoryAddress, _ commit: String) throws(PithError) {
        let places = [BytePath(commit)] + BytePath(path).components
        // Name by name and never through a link: the names come from the hub.
        var inner = try FolderHandle(BytePath(joinPath(folder(address), "snapshots")))
        for name in places.dropLast() {
            let isNew = try inner.occupant(name) == nil
            inner = try inner.folder(name, making: true)
            if isNew { inner.set(.newFolder) }
        }
        let up = String(repeating: "../", count: places.count)
        try inner.makeLink(places[places.count - 1], to: BytePath("\(up)blobs/\(tag)"), replacing: true)
    }

    /// Notes which commit a revision stands for.
    func note(_ commit: String, _ address: RepositoryAddress) throws(PithError) {
        guard !address.isCommit else { return }
        let path = joinPath(folder(address), "refs/\(address.revision)")
        if (try? Files.text(path)) == commit { return }
        try Files.makeFolder(BytePath(path).folder.systemText)
        try AtomicFile.write(commit, to: path)
    }
}
