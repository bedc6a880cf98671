import PithBuiltIn
import PithCore
import PithFormats

/// A paper of those that Pith was conceived from, and where it can be run.
public struct ListedPaper: Sendable {
    /// Its name in Pith.
    public let identifier: String
    /// The full title.
    public let title: String
    /// The year of first publication.
    public let year: Int
    /// The plane that it belongs to, the family of ideas there, and whether it is a method, an analysis, or the like.
    public let plane, family, kind: String
    /// The methods of the catalogue that say they come from it.
    public let methods: [String]
    /// The command that does what it says, where that is no method.
    public let command: String?

    /// Whether it can be run.
    public var isThere: Bool { !methods.isEmpty || command != nil }

    /// For people: `method vq`, `pith distance`, or `not yet`.
    public var state: String {
        let methods = methods.isEmpty ? [] : ["method " + methods.joined(separator: ", ")]
        let all = methods + (command.map { ["pith \($0)"] } ?? [])
        return all.isEmpty ? "not yet" : all.joined(separator: "; ")
    }
}

extension Catalogue {
    /// The papers, in the order of their list. Which methods come from one, the methods say themselves.
    public static func papers() throws(PithError) -> [ListedPaper] {
        guard let path = BuiltIn.papersPath else {
            throw .fault("the list of papers was not installed with the program")
        }
        var methods: [String: [String]] = [:]
        for entry in planes.flatMap(\.entries) {
            if let paper = entry.paper?.identifier { methods[paper, default: []].append(entry.identifier) }
        }
        do throws(PithError) {
            return try JSONReader(JSONValue(contentsOf: path)).array().map { (paper) throws(PithError) in
                let identifier = try paper.member("id").text()
                return try ListedPaper(
                    identifier: identifier, title: paper.member("title").text(), year: paper.member("year").integer(),
                    plane: paper.member("plane").text(), family: paper.member("family").text(),
                    kind: paper.member("kind").text(), methods: methods[identifier] ?? [],
                    command: paper.optional("command")?.text())
            }
        } catch { throw error.within(path) }
    }
}
