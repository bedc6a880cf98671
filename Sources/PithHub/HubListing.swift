import Foundation
import PithCore
import PithFormats

/// What a hub says of a repository.
extension HubClient {
    /// The commit that a revision stands for, and the names of its files if the hub tells them with it.
    func revision(_ address: RepositoryAddress) throws(PithError) -> (commit: String, names: [String]?) {
        let url = try url("/api/models/\(address.repository)/revision/\(address.revision.escapedWhole)")
        let document = try document(at: url, about: HubQuestion(address: address)) { failure in
            guard failure.isUnknownRevision, let names = try? revisions(of: address), !names.isEmpty else {
                return failure.error
            }
            var error = failure.error
            error.remedy = PithError.suggestion(for: address.revision, among: names, called: "it has")
            return error
        }.0
        do throws(PithError) {
            let commit = try document.member("sha")
            guard RepositoryAddress.isCommit(try commit.text()) else { throw commit.failure("is no commit") }
            guard let siblings = try document.optional("siblings")?.array() else { return (try commit.text(), nil) }
            guard siblings.count <= settings.transfer.fileLimit else { throw tooMany }
            var names: [String] = []
            for sibling in siblings { names.append(try sibling.member("rfilename").text()) }
            for name in names { try HubPath.check(name) }
            return (try commit.text(), names)
        } catch { throw error.within(address.repository) }
    }

    /// The files of a commit, in the hub's order.
    func files(of address: RepositoryAddress, at commit: String) throws(PithError) -> [HubFile] {
        var page: URL? = try url("/api/models/\(address.repository)/tree/\(commit)?recursive=true")
        var (files, seen) = ([HubFile](), Set<URL>())
        var entryCount = 0
        while let url = page {
            guard seen.insert(url).inserted, seen.count <= settings.transfer.fileLimit else {
                throw .data("the pages of the listing lead in a circle", at: address.repository)
            }
            let (document, next) = try document(at: url, about: HubQuestion(address: address))
            do throws(PithError) {
                let entries = try document.array()
                entryCount += entries.count
                guard entryCount <= settings.transfer.fileLimit else { throw tooMany }
                for entry in entries { if let file = try HubFile(entry) { files.append(file) } }
            } catch { throw error.within(address.repository) }
            page = next
        }
        do { try HubPath.checkDistinct(files.map(\.path)) } catch { throw error.within(address.repository) }
        return files
    }

    /// The branches and tags.
    private func revisions(of address: RepositoryAddress) throws(PithError) -> [String] {
        let url = try url("/api/models/\(address.repository)/refs")
        let document = try document(at: url, about: HubQuestion(address: address)).0
        var names: [String] = []
        for kind in ["branches", "tags"] {
            for entry in try document.optional(kind)?.array() ?? [] {
                names.append(try entry.member("name").text().printable)
            }
        }
        return names
    }

    private var tooMany: PithError { .data("the listing has more than \(settings.transfer.fileLimit) files") }

    /// What was asked about a file: where it is, what names its content, and how large it is.
    func resolve(
        _ file: HubFile, of address: RepositoryAddress, at commit: String
    ) throws(PithError) -> (source: URL, tag: String) {
        let url = try url("/\(address.repository)/resolve/\(commit)/\(file.path.escapedPath)")
        let head = try head(of: url, about: HubQuestion(address: address, file: file.path))
        if let other = head["X-Repo-Commit"], other != commit {
            throw .data(
                "the hub answers for commit \(other.printable.shortened) where \(commit) was asked for", at: file.path)
        }
        let size = head["X-Linked-Size"].flatMap { Int($0) } ?? (head.isSuccess ? head.contentLength : nil)
        if let size, size != file.size {
            throw .data("the hub says two sizes: \(size) and, in its listing, \(file.size) bytes", at: file.path)
        }
        // A name of a file in the cache: what is none gives way to the sum.
        let tags = [head["X-Linked-Etag"], head["ETag"]].compactMap { $0.map(HTTPHead.unquoted) }
        guard let tag = (tags + [file.sum?.digits].compactMap { $0 }).first(where: HubCache.isBlobName) else {
            throw .data(
                "the hub says nothing that names the file's content", at: file.path, remedy: "ETag should be there")
        }
        return (url, tag)
    }
}

extension String {
    /// Escaped for a place between slashes of an address.
    var escapedWhole: String { escaped { $0.isLetterOrDigit || "-._~".utf8.contains($0) } }

    /// Escaped for the path of an address.
    var escapedPath: String { escaped { $0.isLetterOrDigit || "-._~/".utf8.contains($0) } }

    private func escaped(_ isPlain: (UInt8) -> Bool) -> String {
        utf8.reduce(into: "") { result, byte in
            if isPlain(byte) {
                result.unicodeScalars.append(Unicode.Scalar(byte))
            } else {
                let digits = String(byte, radix: 16, uppercase: true)
                result += "%" + (digits.count < 2 ? "0" : "") + digits
            }
        }
    }
}
