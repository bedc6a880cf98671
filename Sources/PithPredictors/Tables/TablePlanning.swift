import PithCoding
import PithCore

/// What the encoder is told about classes; 0 lets it choose.
struct TableChoices {
    var rowClasses = 0
    var columnClasses = 0
    var coder = CategoryPlan.Coder.mixed
    var seed: UInt64 = 0
}

extension TableContent {
    /// Finds out what the columns are and which classes rows and columns have, each by the length of the code.
    init(_ table: TableText, _ choices: TableChoices, size: Int) throws(PithError) {
        var used = [Bool](repeating: false, count: 256)
        for cell in table.columns.joined().joined() { used[Int(cell)] = true }
        for line in table.irregular { for byte in line.bytes { used[Int(byte)] = true } }
        guard let terminator = ([10] + Array(0..<256)).first(where: { !used[$0] }) else {
            throw .usage("all byte values occur in the cells", at: "table", remedy: "a method for any bytes")
        }
        (form, rowCount, irregular) = (table.form, table.rowCount, table.irregular)
        (self.terminator, cells) = (UInt8(terminator), table.columns)

        (kinds, alphabets, codes) = ([], [], [])
        var numbers: [[[UInt8]]: Int] = [:]
        for (column, content) in table.columns.enumerated() {
            let (kind, alphabet) = try Self.kind(of: content, terminator: UInt8(terminator))
            guard let alphabet else {
                kinds.append(kind)
                continue
            }
            let number = numbers[alphabet, default: alphabets.count]
            if number == alphabets.count {
                numbers[alphabet] = number
                alphabets.append(alphabet)
            }
            kinds.append(.category(number))
            let places = Dictionary(uniqueKeysWithValues: zip(alphabet, Int32(0)...))
            codes.append(content.map { places[$0]! })
            cells[column] = []
        }
        let categories = Self.categorical(kinds).map { $0.alphabet }
        plan = try CategoryPlan(
            choosing: choices, codes, alphabets: categories,
            sizes: categories.map { [alphabets] in alphabets[$0].count })
    }

    /// Rows by which kinds are chosen.
    private static let sampleLimit = 8192

    /// The kind whose code is the shortest, and the values of a categorical column.
    private static func kind(
        of cells: [[UInt8]], terminator: UInt8
    ) throws(PithError) -> (ColumnKind, alphabet: [[UInt8]]?) {
        let sample = Array(cells.prefix(sampleLimit))
        func textBits(_ cells: [[UInt8]]) throws(PithError) -> Double {
            var (port, budget) = (CountingPort(), Int.max)
            var model = CellText(terminator: terminator, expecting: cells.reduce(0) { $0 + $1.count + 1 })
            for cell in cells { _ = try model.code(cell, column: 0, budget: &budget, &port) }
            return port.bits
        }
        var best = (kind: ColumnKind.text, bits: try textBits(sample))
        if let form = NumberForm(cells) {
            for differences in [false, true] {
                let (column, counter) = (NumberColumn(form: form, differences: differences), CountingPort())
                var port = counter
                _ = try column.code(sample, count: sample.count, &port)
                if port.bits < best.bits { best = (.number(column), port.bits) }
            }
        }
        let values = Set(cells)
        guard values.count <= max(1, cells.count / 2), values.count <= 1 << 16 else { return (best.kind, nil) }
        // A categorical column can also gain by its class and by other columns.
        let alphabet = Array(values).sorted { $0.lexicographicallyPrecedes($1) }
        let places = Dictionary(uniqueKeysWithValues: zip(alphabet, Int32(0)...))
        var port = CountingPort()
        _ = try BlockStatistics.code(
            sample.map { places[$0]! }, count: sample.count, size: alphabet.count, &port)
        let share = Double(sample.count) / Double(max(1, cells.count))
        let bits = 0.9 * (port.bits + share * (try textBits(alphabet)))
        return bits < best.bits ? (.category(0), alphabet) : (best.kind, nil)
    }
}

extension CategoryPlan {
    /// Chooses the numbers of classes that are not given by the length of the code.
    init(choosing choices: TableChoices, _ codes: [[Int32]], alphabets: [Int], sizes: [Int]) throws(PithError) {
        let none = LatentClasses(rowCount: codes.first?.count ?? 0, alphabets: numbered(alphabets))
        let tellers = choices.coder == .mixed ? tellingColumns(codes, sizes) : []
        func plan(_ classes: LatentClasses) -> Self {
            Self(coder: choices.coder, classes: classes, sizes: sizes, tellers: tellers)
        }
        self = plan(none)
        guard codes.count > 1 else { return }
        var best = Double.infinity
        let shared = Set(alphabets).count < alphabets.count
        for rows in choices.rowClasses > 0 ? [choices.rowClasses] : [1, 2, 4, 8, 16] {
            var improved = false
            let columnChoices = choices.columnClasses > 0 ? [choices.columnClasses] : shared ? [1, 4, 16] : [1]
            for columns in columnChoices {
                let candidate = plan(
                    LatentClasses(
                        codes, alphabets: numbered(alphabets), rowClasses: rows, columnClasses: columns,
                        seed: choices.seed))
                let bits = try candidate.codedBits(codes)
                if bits < best { (best, self, improved) = (bits, candidate, true) }
            }
            if !improved { break }
        }
    }

    /// The bits of classes and cells.
    func codedBits(_ codes: [[Int32]]) throws(PithError) -> Double {
        var (port, numbers) = (CountingPort(), NumberModel(contexts: 4))
        _ = try codePlan(self, sizes: sizes, classes.rows.count, &numbers, &port)
        _ = try code(codes, &port)
        return port.bits
    }
}

/// The same divisions with numbers from 0 on, in the order in which they come.
private func numbered(_ classes: [Int]) -> [Int] {
    var numbers: [Int: Int] = [:]
    return classes.map { kind in
        let number = numbers[kind, default: numbers.count]
        numbers[kind] = number
        return number
    }
}

/// For each column the two columns before it that save most bits when its values are coded by theirs.
private func tellingColumns(_ codes: [[Int32]], _ sizes: [Int]) -> [(Int, Int)] {
    let (reach, sampleLimit) = (48, 4096)
    func cost(_ counts: some Collection<Int>) -> Double {
        // Σ n · log2 n, of which differences are code lengths.
        counts.reduce(0) { $0 + Double($1) * Double(FixedPoint.log2(UInt64($1))) / 65536 }
    }
    return codes.indices.map { column in
        var gains: [(gain: Double, teller: Int)] = []
        let cells = codes[column].prefix(sampleLimit)
        let single = Dictionary(cells.map { (Int64($0), 1) }, uniquingKeysWith: +)
        let own =
            Double(cells.count) * Double(FixedPoint.log2(UInt64(max(1, cells.count)))) / 65536 - cost(single.values)
        for teller in max(0, column - reach)..<column where sizes[teller] > 1 {
            let others = codes[teller].prefix(sampleLimit)
            let pairs = Dictionary(
                zip(cells, others).map { (Int64($0) << 32 | Int64($1), 1) }, uniquingKeysWith: +)
            let other = Dictionary(others.map { (Int64($0), 1) }, uniquingKeysWith: +)
            // Each pair that occurs must be learnt.
            let gain = own - (cost(other.values) - cost(pairs.values)) - 3 * Double(pairs.count - single.count)
            if gain > 0 { gains.append((gain, teller)) }
        }
        gains.sort { ($0.gain, $1.teller) > ($1.gain, $0.teller) }
        return (gains.first?.teller ?? -1, gains.dropFirst().first?.teller ?? -1)
    }
}
