import PithCoding
import PithCore

/// How the cells of a column are coded.
enum ColumnKind {
    /// As a value of the alphabet of this number.
    case category(Int)
    /// As a number.
    case number(NumberColumn)
    /// Byte by byte.
    case text
}

/// Everything that is coded of a table, in the order of coding.
struct TableContent {
    var form: TableText.Form
    var rowCount: Int
    var kinds: [ColumnKind]
    /// A byte that occurs in no cell.
    var terminator: UInt8
    /// The values of categorical columns, ascending; columns with the same values share one.
    var alphabets: [[[UInt8]]]
    /// Classes and cells of the categorical columns, [categorical columns, rows].
    var plan: CategoryPlan
    var codes: [[Int32]]
    /// The cells of the other columns, empty for categorical ones: [columns, rows].
    var cells: [[[UInt8]]]
    var irregular: [(row: Int, bytes: [UInt8])]

    /// Columns that are categorical.
    static func categorical(_ kinds: [ColumnKind]) -> [(column: Int, alphabet: Int)] {
        kinds.enumerated().compactMap { column, kind in
            if case .category(let alphabet) = kind { (column, alphabet) } else { nil }
        }
    }

    /// The table as text.
    var text: TableText {
        var columns = cells
        for ((column, alphabet), codes) in zip(Self.categorical(kinds), codes) {
            columns[column] = codes.map { alphabets[alphabet][Int($0)] }
        }
        return TableText(form: form, columns: columns, irregular: irregular)
    }
}

/// Codes a table: one procedure for both directions, in which a reader has no `known` content.
///
/// `size` is the number of bytes of the table's text; a reader makes no more cells and letters than these have room
/// for.
func codeTable<Port: BitPort>(_ known: TableContent?, size: Int, _ port: inout Port) throws(PithError) -> TableContent {
    var (numbers, budget) = (NumberModel(contexts: 4), size)
    // How it is written.
    let flags = known.map { ($0.form.returns ? 1 : 0) | ($0.form.quotes ? 2 : 0) | ($0.form.ended ? 4 : 0) } ?? 0
    let delimiter = UInt8(try port.code(plain: Int(known?.form.delimiter ?? 0), count: 8))
    let readFlags = try port.code(plain: flags, count: 3)
    let terminator = UInt8(try port.code(plain: Int(known?.terminator ?? 0), count: 8))
    let width = try numbers.code(known?.kinds.count ?? 0, &port)
    let rowCount = try numbers.code(known?.rowCount ?? 0, &port)
    guard (1...TableText.widest).contains(width), rowCount <= size, width * rowCount <= size + 1 else {
        throw .invalidStream("\(rowCount) rows of \(width) cells in \(size) bytes")
    }
    let form = TableText.Form(
        delimiter: delimiter, returns: readFlags & 1 > 0, quotes: readFlags & 2 > 0, ended: readFlags & 4 > 0)

    // What the columns are.
    var text = CellText(terminator: terminator, expecting: size)
    let alphabets = try codeAlphabets(known?.alphabets, rowCount, &numbers, &text, &budget, &port)
    var kinds: [ColumnKind] = []
    for column in 0..<width {
        kinds.append(try codeKind(known?.kinds[column], alphabets.count, &numbers, &port))
    }
    let categories = TableContent.categorical(kinds)

    // The latent classes, and the cells by them.
    let plan = try codePlan(
        known?.plan, sizes: categories.map { alphabets[$0.alphabet].count }, rowCount, &numbers, &port)
    let codes = try plan.code(known?.codes, &port)

    // Numbers by column, then text by row, so that a row's cells stand together.
    var cells = [[[UInt8]]](repeating: [], count: width)
    var texts: [Int] = []
    for (column, kind) in kinds.enumerated() {
        switch kind {
        case .number(let form): cells[column] = try form.code(known?.cells[column], count: rowCount, &port)
        case .text: texts.append(column)
        case .category: break
        }
    }
    for row in 0..<rowCount {
        for column in texts {
            let cell = try text.code(known?.cells[column][row] ?? [], column: column, budget: &budget, &port)
            cells[column].append(cell)
        }
    }
    let irregular = try codeIrregular(known?.irregular, column: width, size, &numbers, &text, &budget, &port)
    return TableContent(
        form: form, rowCount: rowCount, kinds: kinds, terminator: terminator, alphabets: alphabets, plan: plan,
        codes: codes, cells: cells, irregular: irregular)
}

private func codeAlphabets<Port: BitPort>(
    _ known: [[[UInt8]]]?, _ rowCount: Int, _ numbers: inout NumberModel, _ text: inout CellText,
    _ budget: inout Int, _ port: inout Port
) throws(PithError) -> [[[UInt8]]] {
    var result: [[[UInt8]]] = []
    let count = try numbers.code(known?.count ?? 0, context: 1, &port)
    guard count <= TableText.widest else { throw .invalidStream("\(count) alphabets") }
    for alphabet in 0..<count {
        let size = try numbers.code(known?[alphabet].count ?? 0, context: 1, &port)
        guard (1...max(1, rowCount)).contains(size) else { throw .invalidStream("an alphabet of \(size) values") }
        var values: [[UInt8]] = []
        for value in 0..<size {
            values.append(
                try text.code(
                    known?[alphabet][value] ?? [], column: TableText.widest + alphabet, budget: &budget, &port))
        }
        result.append(values)
    }
    return result
}

private func codeKind<Port: BitPort>(
    _ known: ColumnKind?, _ alphabetCount: Int, _ numbers: inout NumberModel, _ port: inout Port
) throws(PithError) -> ColumnKind {
    // 0 is text, 1 a number, 2 a number by differences, and from 3 on an alphabet.
    var (choice, form) = (0, NumberForm(decimals: 0, digits: 0))
    switch known {
    case .category(let alphabet): choice = 3 + alphabet
    case .number(let column): (choice, form) = (column.differences ? 2 : 1, column.form)
    case .text, nil: break
    }
    choice = try numbers.code(choice, context: 2, &port)
    guard choice < 3 + alphabetCount else { throw .invalidStream("alphabet \(choice - 3) of \(alphabetCount)") }
    if choice == 0 { return .text }
    if choice > 2 { return .category(choice - 3) }
    form.decimals = try port.code(plain: form.decimals, count: 4)
    form.digits = try port.code(plain: form.digits, count: 5)
    return .number(NumberColumn(form: form, differences: choice == 2))
}

/// Classes of rows, by that of the row above; classes of columns; and which columns tell of which.
func codePlan<Port: BitPort>(
    _ known: CategoryPlan?, sizes: [Int], _ rowCount: Int, _ numbers: inout NumberModel, _ port: inout Port
) throws(PithError) -> CategoryPlan {
    guard !sizes.isEmpty else {
        return CategoryPlan(
            coder: .block, classes: LatentClasses(rowCount: 0, alphabets: []), sizes: [], tellers: [])
    }
    let choice = try port.code(plain: known?.coder.rawValue ?? 0, count: 2)
    guard let coder = CategoryPlan.Coder(rawValue: choice) else { throw .invalidStream("coder \(choice)") }
    let rowClasses = try numbers.code(known.map { ($0.classes.rows.max() ?? 0) + 1 } ?? 0, &port)
    guard (1...LatentClasses.limit).contains(rowClasses) else { throw .invalidStream("\(rowClasses) classes of rows") }
    var labels = [CategoryTree](repeating: CategoryTree(size: rowClasses), count: rowClasses)
    var classes = LatentClasses(rowCount: 0, alphabets: [])
    for row in 0..<rowCount {
        classes.rows.append(try labels[classes.rows.last ?? 0].code(known?.classes.rows[row] ?? 0, &port))
    }
    var tellers: [(Int, Int)] = []
    for column in sizes.indices {
        classes.columns.append(try numbers.code(known?.classes.columns[column] ?? 0, context: 3, &port))
        guard classes.columns[column] < sizes.count else { throw .invalidStream("too many classes of columns") }
        guard coder == .mixed else { continue }
        var pair = [0, 0]
        for place in 0..<2 {
            let teller = known.map { place == 0 ? $0.tellers[column].0 : $0.tellers[column].1 } ?? -1
            pair[place] = try numbers.code(teller < 0 ? 0 : column - teller, context: 3, &port)
            guard pair[place] <= column else { throw .invalidStream("a column told by none before it") }
        }
        tellers.append((pair[0] == 0 ? -1 : column - pair[0], pair[1] == 0 ? -1 : column - pair[1]))
    }
    return CategoryPlan(coder: coder, classes: classes, sizes: sizes, tellers: tellers)
}

private func codeIrregular<Port: BitPort>(
    _ known: [(row: Int, bytes: [UInt8])]?, column: Int, _ size: Int, _ numbers: inout NumberModel,
    _ text: inout CellText, _ budget: inout Int, _ port: inout Port
) throws(PithError) -> [(row: Int, bytes: [UInt8])] {
    var (result, last) = ([(row: Int, bytes: [UInt8])](), 0)
    let count = try numbers.code(known?.count ?? 0, context: 1, &port)
    for place in 0..<count {
        last += try numbers.code((known?[place].row ?? 0) - last, context: 1, &port)
        guard last <= size, place <= size else { throw .invalidStream("a line behind the last row") }
        result.append((last, try text.code(known?[place].bytes ?? [], column: column, budget: &budget, &port)))
    }
    return result
}

extension LatentClasses {
    /// Classes of rows or columns at most.
    static let limit = 256
}
