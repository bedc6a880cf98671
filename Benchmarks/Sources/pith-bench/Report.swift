import Foundation
import Pith

/// Tables that are printed as they come, and written as Markdown and JSON at the end.
struct Report {
    private var sections: [(title: String, table: Table?, note: String)] = []
    private let options: ReportOptions

    /// Cells under a header; the first `names` columns are names, the others figures.
    struct Table {
        var header: [String]
        var names: Int
        var rows: [[String]]
    }

    /// An empty report.
    init(_ options: ReportOptions) { self.options = options }

    /// Prints a table under a title, with a sentence below it.
    mutating func add(_ title: String, _ table: Table? = nil, note: String = "") {
        sections.append((title, table, note))
        var text = "\(title)\n\n"
        if let table {
            text += TextTable(header: table.header, rows: table.rows, leftAligned: Set(0..<table.names)).text + "\n\n"
        }
        if !note.isEmpty { text += note + "\n\n" }
        // At once, also where the output is no terminal.
        FileHandle.standardOutput.write(Data(text.utf8))
    }

    /// Writes the files that were asked for; `figures` go to the JSON.
    func write(_ figures: some Encodable) throws(PithError) {
        if let path = options.markdown { try AtomicFile.write(markdown, to: path) }
        guard let path = options.json else { return }
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.prettyPrinted, .sortedKeys]
        do { try AtomicFile.write(try encoder.encode(figures), to: path) } catch let error as PithError {
            throw error
        } catch { throw .fault("figures cannot be written as JSON: \(error)", at: path) }
    }

    private var markdown: String {
        sections.map { section in
            var text = "### \(section.title)\n\n"
            if let table = section.table {
                func line(_ cells: [String]) -> String { "| " + cells.joined(separator: " | ") + " |\n" }
                text += line(table.header)
                text += line(table.header.indices.map { $0 < table.names ? "---" : "---:" })
                text += table.rows.map(line).joined() + "\n"
            }
            return section.note.isEmpty ? text : text + section.note + "\n"
        }.joined(separator: "\n")
    }
}

extension Double {
    /// A speed or a rate in three digits.
    var figure: String { formatted(significant: self >= 1000 ? 4 : 3) }
    /// Billions in three digits.
    var billions: String { (self / 1e9).formatted(significant: 3) }
    /// A share of one in per cent.
    var percent: String { "\((self * 100).formatted(decimals: 0)) %" }
    /// A ratio.
    var times: String { "\(formatted(decimals: 2))×" }
    /// Seconds as milliseconds.
    var milliseconds: String { "\((self * 1000).formatted(significant: 3)) ms" }
}
