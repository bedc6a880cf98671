import PithCore

/// A repository of a hub: `org/name`, at a revision, and a file in it if one is meant.
///
/// As text `org/name[/FILE][@revision]`.
public struct RepositoryAddress: Hashable, Sendable, CustomStringConvertible {
    /// Whose it is.
    public let owner: String
    /// What it is called.
    public let name: String
    /// A branch, a tag, `refs/pr/NUMBER` or a commit.
    public let revision: String
    /// A file in it; nil for the repository.
    public let file: String?

    /// The revision that is meant where none is said.
    public static let defaultRevision = "main"

    /// Reads `org/name[/FILE][@revision]`; throws with the form that it should have.
    public init(parsing text: String) throws(PithError) {
        let halves = text.split(separator: "@", maxSplits: 1, omittingEmptySubsequences: false)
        let parts = halves[0].split(separator: "/", maxSplits: 2, omittingEmptySubsequences: false).map(String.init)
        guard parts.count >= 2, parts[..<2].allSatisfy(Self.isName) else {
            throw .usage(
                "is no repository of a hub", at: text.printable, remedy: "it should be org/name or org/name@revision")
        }
        let revision = halves.count == 2 ? String(halves[1]) : Self.defaultRevision
        guard Self.isRevision(revision) else {
            throw .usage(
                "is no revision", at: revision.printable, remedy: "it should be a branch, a tag or a commit")
        }
        (owner, name, self.revision) = (parts[0], parts[1], revision)
        file = parts.count == 3 ? parts[2] : nil
        if let file { try HubPath.check(file) }
    }

    /// `org/name`.
    public var repository: String { "\(owner)/\(name)" }

    /// As it is parsed.
    public var description: String {
        repository + (file.map { "/" + $0 } ?? "") + (revision == Self.defaultRevision ? "" : "@" + revision)
    }

    /// Whether the revision can only be a commit.
    var isCommit: Bool { Self.isCommit(revision) }

    static func isCommit(_ text: String) -> Bool { text.utf8.count == 40 && text.isHexadecimal }

    /// Letters, digits, `-`, `_` and `.`; not two of these signs where folders of caches need them.
    private static func isName(_ text: String) -> Bool {
        let isPlain = text.utf8.allSatisfy { byte in
            byte.isLetterOrDigit || byte == UInt8(ascii: "-") || byte == UInt8(ascii: "_") || byte == UInt8(ascii: ".")
        }
        let ends = [text.first, text.last]
        return isPlain && !text.isEmpty && text.utf8.count <= 96 && !text.contains("--") && !text.contains("..")
            && !ends.contains("-") && !ends.contains(".")
    }

    /// A name that may stand in a cache as a path of its own.
    private static func isRevision(_ text: String) -> Bool {
        text.utf8.count <= 255 && (try? HubPath.check(text)) != nil
            && !text.utf8.contains { "\\?*[~^: ".utf8.contains($0) }
    }
}

extension String {
    /// Whether all of it are digits of base 16 in small letters.
    var isHexadecimal: Bool {
        utf8.allSatisfy {
            (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) || (UInt8(ascii: "a")...UInt8(ascii: "f")).contains($0)
        }
    }
}

extension UInt8 {
    var isLetterOrDigit: Bool {
        switch self {
        case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "a")...UInt8(ascii: "z"),
            UInt8(ascii: "A")...UInt8(ascii: "Z"):
            true
        default: false
        }
    }
}
