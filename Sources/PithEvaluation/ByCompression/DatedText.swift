import PithCore
import PithFormats

/// A text and when it was written.
public struct DatedText: Equatable, Sendable {
    /// `2023`, `2023-05` or `2023-05-17`.
    public var date: String
    /// The text.
    public var text: String

    /// A text of a date.
    public init(date: String, text: String) {
        self.date = date
        self.text = text
    }

    /// Reads folders, files whose names carry dates, and files of JSON lines with `date` and `text`.
    public static func load(_ paths: [String]) throws(PithError) -> [DatedText] {
        var result: [DatedText] = []
        for path in paths {
            if Files.isFolder(path) {
                let files = try Files.names(in: path).map { joinPath(path, $0) }
                for file in files where !Files.isFolder(file) { result += try texts(of: file) }
            } else {
                result += try texts(of: path)
            }
        }
        guard !result.isEmpty else { throw .data("there are no texts", remedy: "give files whose names carry dates") }
        return result.sorted { $0.date < $1.date }
    }

    private static func texts(of path: String) throws(PithError) -> [DatedText] {
        if path.hasSuffix(".jsonl") { return try lines(of: path) }
        let name = String(path.split(separator: "/").last ?? "")
        guard let date = date(in: name) else {
            throw .data("the name carries no date", at: path, remedy: "for example 2023-05-news.txt, or a .jsonl file")
        }
        return [DatedText(date: date, text: try Files.text(path))]
    }

    private static func lines(of path: String) throws(PithError) -> [DatedText] {
        var result: [DatedText] = []
        for (number, line) in try Files.text(path).split(separator: "\n").enumerated() {
            do throws(PithError) {
                let object = JSONReader(try JSONValue(parsing: String(line)))
                let text = try object.member("date").text()
                guard let date = date(in: text) else {
                    throw .data("'\(text)' is no date", remedy: "write it as 2023-05-17, 2023-05 or 2023")
                }
                result.append(DatedText(date: date, text: try object.member("text").text()))
            } catch { throw error.within("\(path): line \(number + 1)") }
        }
        return result
    }

    /// The first date in a text: year, then month and day if they follow after dashes, dots or underscores.
    package static func date(in text: String) -> String? {
        let pattern =
            /(?:^|[^0-9])((?:19|20)[0-9]{2})(?:[-_.](0[1-9]|1[0-2])(?:[-_.](0[1-9]|[12][0-9]|3[01]))?)?(?![0-9])/
        guard let match = text.firstMatch(of: pattern) else { return nil }
        return [match.1, match.2, match.3].compactMap { $0 }.joined(separator: "-")
    }

    /// Whether the text was written on `cutoff` or later; refused where the text's date does not tell.
    package func isAfter(_ cutoff: String) throws(PithError) -> Bool {
        guard date.count >= cutoff.count || !cutoff.hasPrefix(date) else {
            throw .data(
                "a text of \(date) may be from before or after \(cutoff)",
                remedy: "give dates of texts as exactly as the cutoff")
        }
        return date >= cutoff
    }
}

/// How long a period is.
public enum Period: String, CaseIterable, Sendable {
    /// Texts of the same year belong together.
    case year
    /// Texts of the same month belong together.
    case month

    /// The period of a date.
    func name(_ date: String) -> String { String(date.prefix(self == .year ? 4 : 7)) }
}
