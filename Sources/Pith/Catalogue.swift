import PithConversion
import PithCore
import PithModels
import PithPredictors
import PithTraining
import PithWeights

/// All methods of Pith, plane by plane: what `pith methods` lists, and the tables in README and Docs are made from.
public enum Catalogue {
    /// The planes. Each names its methods itself.
    public static let planes = [
        WeightCatalogue.plane, FormatCatalogue.plane, CacheCatalogue.plane, InputCatalogue.plane, DataCatalogue.plane,
        AdapterCatalogue.plane,
    ]

    /// The methods of a plane as a table in Markdown: name, what it does, where it was published, and its options with
    /// their defaults if they are asked for.
    public static func table(of plane: Plane, withOptions: Bool) -> String {
        let header = ["Method", "Does", "From"] + (withOptions ? ["Options"] : [])
        let rows = plane.entries.map { entry in
            let source = entry.paper.map { "\($0.title) (\($0.year))" } ?? ""
            let options = entry.options.map { "`\($0.name)=\($0.defaultValue)`" }.joined(separator: " ")
            return ["`\(entry.identifier)`", entry.summary, source] + (withOptions ? [options] : [])
        }
        let lines = [header, header.map { _ in "---" }] + rows.map { $0.map { $0.replacing("|", with: "\\|") } }
        return lines.map { "| \($0.joined(separator: " | ")) |" }.joined(separator: "\n")
    }

    /// A page with its tables made anew: each stands between `<!-- methods of PLANE -->`, or `… with options -->`, and
    /// `<!-- end of methods -->`. Throws if a plane is unknown or a mark is missing.
    public static func withTables(_ page: String) throws(PithError) -> String {
        let (opening, closing) = ("<!-- methods of ", "<!-- end of methods -->")
        let parts = page.split(separator: opening, omittingEmptySubsequences: false)
        var result = String(parts[0])
        for part in parts.dropFirst() {
            guard let end = part.firstRange(of: " -->"), let close = part.firstRange(of: closing) else {
                throw .data("a table of methods has no end", remedy: closing)
            }
            let words = part[..<end.lowerBound].split(separator: " ")
            guard let plane = planes.first(where: { $0.name == words.first.map(String.init) }) else {
                throw .data(
                    "there is no plane '\(words.first ?? "")'", remedy: planes.map(\.name).joined(separator: ", "))
            }
            let table = table(of: plane, withOptions: words.dropFirst().elementsEqual(["with", "options"]))
            result += opening + part[..<end.upperBound] + "\n" + table + "\n" + part[close.lowerBound...]
        }
        return result
    }
}
