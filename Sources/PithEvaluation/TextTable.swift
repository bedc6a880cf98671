/// A table for a terminal: columns padded to the same width, the first to the left, the others to the right.
public struct TextTable: Sendable {
    private let rows: [[String]]
    private let leftAligned: Set<Int>

    /// A table of cells under a header; the columns in `leftAligned` begin at the same place.
    public init(header: [String], rows: [[String]], leftAligned: Set<Int> = [0]) {
        self.rows = [header] + rows
        self.leftAligned = leftAligned
    }

    /// The lines of the table.
    public var text: String {
        let columns = rows.map(\.count).max() ?? 0
        let widths = (0..<columns).map { column in rows.map { column < $0.count ? $0[column].count : 0 }.max() ?? 0 }
        var lines = rows.map { row in
            row.enumerated().map { column, cell in
                let padding = String(repeating: " ", count: widths[column] - cell.count)
                return leftAligned.contains(column) ? cell + padding : padding + cell
            }.joined(separator: "  ")
        }
        lines.insert(widths.map { String(repeating: "─", count: $0) }.joined(separator: "  "), at: 1)
        return lines.map { $0.replacing(/\ +$/, with: "") }.joined(separator: "\n")
    }
}
