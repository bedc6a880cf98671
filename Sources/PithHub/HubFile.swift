import PithCore
import PithFormats

/// A file as a hub lists it.
public struct HubFile: Hashable, Sendable {
    /// Its path in the repository.
    public let path: String
    /// Bytes.
    public let size: Int
    /// What its content must add up to; nil where the hub does not say.
    let sum: ContentSum?

    /// A file of which nothing else is known.
    package init(path: String, size: Int) { (self.path, self.size, sum) = (path, size, nil) }

    /// The largest file that is believed.
    private static let largestSize = 1 << 44

    /// Reads an entry of a listing; nil for a folder.
    package init?(_ entry: JSONReader) throws(PithError) {
        guard try entry.member("type").text() == "file" else { return nil }
        path = try entry.member("path").text()
        try HubPath.check(path)
        let listed = try entry.member("size").integer(in: 0...Self.largestSize)
        guard let large = try entry.optional("lfs") else {
            size = listed
            sum = try entry.optional("oid").map { (oid) throws(PithError) in
                .gitBlob(try Self.digest(oid, digits: 40))
            }
            return
        }
        size = try large.optional("size")?.integer(in: 0...Self.largestSize) ?? listed
        sum = .sha256(try Self.digest(try large.member("oid", or: "sha256"), digits: 64))
    }

    private static func digest(_ value: JSONReader, digits: Int) throws(PithError) -> String {
        let text = try value.text()
        guard text.utf8.count == digits, text.isHexadecimal else {
            throw value.failure("is no sum of \(digits) digits of base 16")
        }
        return text
    }
}

/// What the bytes of a file add up to.
enum ContentSum: Hashable, Sendable, CustomStringConvertible {
    /// SHA-256, for files that lie outside of Git.
    case sha256(String)
    /// Git's name of a file: SHA-1 of its size and bytes.
    case gitBlob(String)

    /// The digits.
    var digits: String {
        switch self {
        case .sha256(let digits), .gitBlob(let digits): digits
        }
    }

    /// `SHA-256 …`.
    var description: String {
        switch self {
        case .sha256(let digits): "SHA-256 \(digits)"
        case .gitBlob(let digits): "Git's \(digits)"
        }
    }

    /// Whether the file at `path` adds up to this.
    func isThat(of path: String) throws(PithError) -> Bool {
        let content = try MappedFile.open(path)
        switch self {
        case .sha256(let expected):
            var digest = SHA256()
            content.forEachPiece { digest.update($0) }
            return digest.hexDigest() == expected
        case .gitBlob(let expected):
            var digest = SHA1()
            Array("blob \(content.count)\0".utf8).withUnsafeBytes { digest.update($0) }
            content.forEachPiece { digest.update($0) }
            return digest.hexDigest() == expected
        }
    }
}
