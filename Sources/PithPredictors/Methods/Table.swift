import PithCore

/// Tables as text (CSV, TSV) by latent classes of rows and columns.
struct Table: DataMethod {
    static let rowClasses = MethodOption.integer(
        "rowClasses", 0, in: 0...LatentClasses.limit, "classes of rows; 0 chooses by code length")
    static let columnClasses = MethodOption.integer(
        "columnClasses", 0, in: 0...LatentClasses.limit, "classes of columns; 0 chooses by code length")
    static let coder = MethodOption.choice(
        "coder", CategoryPlan.Coder.mixed, of: CategoryPlan.Coder.allCases, \.name,
        "categorical cells: block and other contexts mixed, block statistics alone, or LZ78 in each block")
    static let seed = MethodOption.integer("seed", 0, in: 0...65535, "of the search for classes")

    static let entry = MethodEntry(
        identifier: "table",
        paper: Paper("Compressing Tabular Data via Latent Variable Estimation", 2023, identifier: "tabular-latent"),
        summary: "CSV and the like by columns, categorical ones by hidden classes of rows and columns",
        options: [rowClasses, columnClasses, coder, seed])

    private var choices = TableChoices()

    init(_ options: OptionValues) {
        choices.rowClasses = options[Self.rowClasses]
        choices.columnClasses = options[Self.columnClasses]
        choices.coder = options[Self.coder]
        choices.seed = UInt64(options[Self.seed])
    }

    var costPerByte: Int { 6_000 }

    func memory(for count: Int, _ context: CodingContext) -> Int { 48 * count + 48 << 20 }

    func encode(_ input: [UInt8], _ context: CodingContext) throws(PithError) -> [UInt8] {
        guard let table = TableText(input) else {
            throw .usage(
                "no table is seen", at: "table",
                remedy: "lines of the same number of cells, with commas, tabs, semicolons or bars between")
        }
        let content = try TableContent(table, choices, size: input.count)
        var port = WritingPort()
        _ = try codeTable(content, size: input.count, &port)
        let payload = port.encoder.finish()
        context.trace?.add(bits: Double(8 * payload.count), at: 0)
        context.advance(input.count)
        return payload
    }

    func decode(
        _ payload: CodedPayload, count: Int, into output: inout [UInt8], _ context: CodingContext
    ) throws(PithError) {
        // Rows are complete only when the last column is read: of a cut payload nothing can be saved.
        var port = try ReadingPort(payload)
        let bytes = try codeTable(nil, size: count, &port).text.bytes
        guard bytes.count == count else { throw .invalidStream("a table of \(bytes.count) bytes, not \(count)") }
        output += bytes
        context.advance(count)
    }
}
