import PithCore

/// A delimited text (CSV, TSV) as cells, so that the same bytes come of it again.
///
/// Cells keep their quotes and everything in them. The first line, and lines with another number of
/// cells, are kept as they are.
package struct TableText: Equatable {
    /// What separates cells, and how rows end.
    package struct Form: Equatable {
        /// The byte between cells.
        package var delimiter: UInt8
        /// Whether lines end with a carriage return and a line feed.
        var returns: Bool
        /// Whether delimiters and line ends within quotes belong to a cell.
        var quotes: Bool
        /// Whether the last line is ended.
        var ended: Bool

        /// The bytes behind a row.
        var lineEnd: [UInt8] { returns ? [13, 10] : [10] }
    }

    /// Separators that are looked for.
    package static let delimiters = [UInt8](",\t;|".utf8)

    package var form: Form
    /// The cells by column, [columns, rows], without irregular lines.
    package var columns: [[[UInt8]]]
    /// Lines that have another number of cells: how many rows stand before each, and its bytes.
    package var irregular: [(row: Int, bytes: [UInt8])]

    /// Regular rows.
    package var rowCount: Int { columns.first?.count ?? 0 }

    package static func == (left: Self, right: Self) -> Bool {
        left.form == right.form && left.columns == right.columns
            && left.irregular.elementsEqual(right.irregular) { $0.row == $1.row && $0.bytes == $1.bytes }
    }

    package init(form: Form, columns: [[[UInt8]]], irregular: [(row: Int, bytes: [UInt8])]) {
        (self.form, self.columns, self.irregular) = (form, columns, irregular)
    }

    /// Finds the form under which nearly all lines have the same number of cells; nil if there is none.
    package init?(_ input: [UInt8]) {
        var best: (form: Form, columns: Int, score: Int)?
        let sample = Array(input.prefix(1 << 16))
        let lineFeeds = sample.count { $0 == 10 }
        guard lineFeeds > 0 else { return nil }
        let returns = zip(sample, sample.dropFirst()).count { $0 == 13 && $1 == 10 } * 2 > lineFeeds
        for delimiter in Self.delimiters {
            for quotes in [false, true] where !quotes || sample.contains(34) {
                let form = Form(delimiter: delimiter, returns: returns, quotes: quotes, ended: input.last == 10)
                var cells: [Int: Int] = [:]
                for row in form.rows(of: sample) { cells[row.count, default: 0] += 1 }
                // The most frequent number of cells; of equally frequent ones the largest.
                guard let most = cells.filter({ $0.key > 1 }).max(by: { ($0.value, $0.key) < ($1.value, $1.key) })
                else {
                    continue
                }
                let score = most.value * most.key * 2 - cells.values.reduce(0, +)
                if score > best?.score ?? 0 { best = (form, most.key, score) }
            }
        }
        guard let best else { return nil }
        var form = best.form
        let end = form.lineEnd
        form.ended = input.count >= end.count && Array(input.suffix(end.count)) == end
        self.init(input, form, width: best.columns)
        guard rowCount >= Self.leastRows, irregular.count * 10 <= rowCount + 10, bytes == input else { return nil }
    }

    /// With fewer rows nothing is learnt.
    package static let leastRows = 4
    /// More columns than that are no table.
    package static let widest = 4096

    private init?(_ input: [UInt8], _ form: Form, width: Int) {
        guard width <= Self.widest else { return nil }
        var columns = [[[UInt8]]](repeating: [], count: width)
        var irregular: [(row: Int, bytes: [UInt8])] = []
        for (number, row) in form.rows(of: input).enumerated() {
            // The first line mostly names the columns and is unlike those behind it.
            if row.count == width, number > 0 {
                for (column, cell) in row.enumerated() { columns[column].append(Array(input[cell])) }
            } else {
                let line = row[0].lowerBound..<row[row.count - 1].upperBound
                irregular.append((columns[0].count, Array(input[line])))
            }
        }
        self.init(form: form, columns: columns, irregular: irregular)
    }

    /// The text.
    package var bytes: [UInt8] {
        var (result, exceptions) = ([UInt8](), irregular[...])
        let end = form.lineEnd
        func addIrregular(before row: Int) {
            while let first = exceptions.first, first.row <= row {
                result += first.bytes
                result += end
                exceptions.removeFirst()
            }
        }
        for row in 0..<rowCount {
            addIrregular(before: row)
            for column in columns.indices {
                if column > 0 { result.append(form.delimiter) }
                result += columns[column][row]
            }
            result += end
        }
        addIrregular(before: .max)
        if !form.ended { result.removeLast(min(end.count, result.count)) }
        return result
    }
}

extension TableText.Form {
    /// Where the cells of each line lie.
    fileprivate func rows(of input: [UInt8]) -> [[Range<Int>]] {
        var (rows, row, start, quoted) = ([[Range<Int>]](), [Range<Int>](), 0, false)
        var place = 0
        while place < input.count {
            let byte = input[place]
            if quotes, byte == 34 {
                // A quote opens a cell only at its beginning; a doubled one closes and opens again.
                if quoted || place == start { quoted.toggle() }
            } else if !quoted, byte == delimiter {
                row.append(start..<place)
                start = place + 1
            } else if !quoted, byte == 10, !returns || (place > start && input[place - 1] == 13) {
                row.append(start..<(returns ? place - 1 : place))
                rows.append(row)
                (row, start) = ([], place + 1)
            }
            place += 1
        }
        if start < input.count || !row.isEmpty { rows.append(row + [start..<input.count]) }
        return rows
    }
}
