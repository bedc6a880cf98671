import ArgumentParser
import Pith

/// Options of `pith eval --by-compression`.
struct DatedOptions: ParsableArguments {
    @Option(
        parsing: .upToNextOption,
        help: ArgumentHelp(
            "Dated texts to measure on instead: bits per byte by period.",
            discussion: "Folders, files whose names carry dates (2023-05-news.txt), .jsonl files with date and text.",
            valueName: "files"))
    var byCompression: [String] = []

    @Option(help: "The first date that the model cannot know, for example 2023-05.")
    var cutoff: String?

    @Option(help: "Lengths of windows in tokens, with commas between them.")
    var windows = "512"

    @Option(help: "What belongs together.")
    var period = Period.month

    /// The evaluation that the options describe.
    func evaluation() throws(PithError) -> DatedEvaluation {
        var lengths: [Int] = []
        for part in windows.split(separator: ",") {
            guard let length = Int(part) else {
                throw .usage("'\(part)' is no length of a window", remedy: "for example --windows 128,512,1024")
            }
            lengths.append(length)
        }
        return try DatedEvaluation(windows: lengths, period: period, cutoff: cutoff)
    }
}

extension Period: ExpressibleByArgument {}

extension DatedEvaluation.Report {
    /// Prints tables for people.
    func printTables() {
        let hasReference = periods.contains { !$0.referenceBitsPerByte.isEmpty }
        var header = ["period", "texts", "bytes"] + windows.map { "\($0) tokens" }
        if hasReference { header += windows.map { "reference \($0)" } }
        let hasDivergence = periods.contains { $0.divergence != nil }
        if hasDivergence { header.append("JS divergence") }
        var rows = (periods + sides).map { row in
            [row.name, "\(row.documents)", "\(row.bytes)"]
                + (row.bitsPerByte + row.referenceBitsPerByte).map { $0.formatted(decimals: 3) }
                + (row.divergence.map { [$0.formatted(decimals: 5)] } ?? [])
        }
        if !gap.isEmpty { rows.append(["gap", "", ""] + (gap + referenceGap).map { $0.formatted(decimals: 3) }) }
        print(TextTable(header: header, rows: rows).text)
        print("Bits per byte by window; ± is the standard error between blocks of 64 tokens.")
    }

    /// The report for programs.
    var json: JSONValue {
        func figures(_ estimates: [Estimate]) -> JSONValue {
            .array(
                estimates.map { estimate in
                    let error = estimate.standardError
                    return [
                        "bitsPerByte": estimate.value.isFinite ? .real(estimate.value) : .null,
                        "error": error.isFinite ? .real(error) : .null,
                    ]
                })
        }
        func row(_ row: DatedEvaluation.Row) -> JSONValue {
            [
                "period": .string(row.name), "texts": .integer(row.documents), "bytes": .integer(row.bytes),
                "model": figures(row.bitsPerByte), "reference": figures(row.referenceBitsPerByte),
                "jensenShannonBits": row.divergence.map { $0.value.isFinite ? .real($0.value) : .null } ?? .null,
            ]
        }
        return [
            "windows": .array(windows.map { .integer($0) }), "periods": .array(periods.map(row)),
            "sides": .array(sides.map(row)), "gap": figures(gap), "referenceGap": figures(referenceGap),
        ]
    }
}
