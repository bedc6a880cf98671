import PithCore

/// A comparison as one HTML page that needs nothing else: a picture, the table, and how it was measured.
public struct ReportPage: Sendable {
    private let title: String
    private let notes: [String]
    private let rows: [ComparisonRow]

    /// A page about `rows`; `notes` are sentences on how they were measured.
    public init(title: String, notes: [String], rows: [ComparisonRow]) {
        self.title = title
        self.notes = notes
        self.rows = rows
    }

    /// The picture alone, to be put into other pages; colours follow the reader's preference for light or dark.
    public var picture: String {
        plot.svg.replacing(
            "<svg ", with: "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"880\" height=\"500\" ", maxReplacements: 1
        )
        .replacing(
            "\n",
            with:
                "\n<style>\n:root { \(Self.lightColors) }\n@media (prefers-color-scheme: dark) { :root { \(Self.darkColors) } }\n\(Self.plotStyle)</style>\n<rect width=\"880\" height=\"500\" fill=\"var(--page)\"/>\n",
            maxReplacements: 1)
    }

    private var plot: RateDistortionPlot {
        let points = rows.filter { $0.spec != "none" }.map {
            RateDistortionPlot.Point(
                label: $0.spec, rate: $0.bitsPerWeight.value, distortion: $0.measurement.klDivergence.value,
                error: $0.measurement.klDivergence.standardError)
        }
        return RateDistortionPlot(points, originalRate: rows.first { $0.spec == "none" }?.bitsPerWeight.value ?? 16)
    }

    /// The page.
    public var html: String {
        """
        <!doctype html>
        <html lang="en">
        <head>
        <meta charset="utf-8">
        <meta name="viewport" content="width=device-width, initial-scale=1">
        <title>\(title.escapedForHTML)</title>
        <style>
        :root { color-scheme: light dark; \(Self.lightColors) }
        @media (prefers-color-scheme: dark) { :root { \(Self.darkColors) } }
        \(Self.pageStyle)
        \(Self.plotStyle)
        </style>
        </head>
        <body>
        <main>
        <h1>\(title.escapedForHTML)</h1>
        <p class="lead">\(lead)</p>
        <figure>
        \(plot.svg)
        <figcaption>Lower and further left is better. The line joins the methods that no other beats in both size and damage.</figcaption>
        </figure>
        <div class="scroll">
        \(table)
        </div>
        <h2>How this was measured</h2>
        <ul>
        \(notes.map { "<li>\($0.escapedForHTML)</li>" }.joined(separator: "\n"))
        </ul>
        </main>
        </body>
        </html>

        """
    }

    private var lead: String {
        guard let original = rows.first(where: { $0.spec == "none" }) else { return "" }
        return """
            The model as it came takes \(original.bytes) and needs \
            \(original.measurement.bitsPerByte.value.formatted(decimals: 3)) bits for each byte of the text. \
            Below, what each way of compressing it saved on disk, and what it cost.
            """
    }

    private var table: String {
        let header = ComparisonRow.header.map { "<th>\($0.escapedForHTML)</th>" }.joined()
        let body = rows.map { row in
            "<tr>" + row.cells.map { "<td>\($0.escapedForHTML)</td>" }.joined() + "</tr>"
        }
        return
            "<table>\n<thead><tr>\(header)</tr></thead>\n<tbody>\n\(body.joined(separator: "\n"))\n</tbody>\n</table>"
    }

    private static let lightColors = """
        --page: #fcfcfa; --ink: #1d2126; --soft: #646c76; --line: #e3e4e0; --frontier: #9aa3ad; \
        --c0: #2563b0; --c1: #c2410c; --c2: #15803d; --c3: #9333a8; --c4: #b8860b; --c5: #0e7490; --c6: #be185d; --c7: #57534e;
        """
    private static let darkColors = """
        --page: #15181c; --ink: #e8eaed; --soft: #9aa3ad; --line: #2a2f36; --frontier: #5b646e; \
        --c0: #6ea8f7; --c1: #fb923c; --c2: #4ade80; --c3: #d38bf0; --c4: #facc15; --c5: #22d3ee; --c6: #f472b6; --c7: #b8b2ac;
        """
    private static let plotStyle = """
        svg text { font-family: system-ui, sans-serif; fill: var(--ink); }
        svg .grid { stroke: var(--line); stroke-width: 1; }
        svg .original { stroke: var(--soft); stroke-width: 1; stroke-dasharray: 4 4; }
        svg .frontier { fill: none; stroke: var(--frontier); stroke-width: 2; }
        svg .leader { stroke: var(--frontier); stroke-width: 1; }
        svg .tick { font-size: 12px; fill: var(--soft); font-variant-numeric: tabular-nums; }
        svg .axis { font-size: 13px; fill: var(--soft); }
        svg .label { font-size: 12.5px; }
        svg circle { stroke: var(--page); stroke-width: 1.5; }
        .c0 { fill: var(--c0); } .c1 { fill: var(--c1); } .c2 { fill: var(--c2); } .c3 { fill: var(--c3); }
        .c4 { fill: var(--c4); } .c5 { fill: var(--c5); } .c6 { fill: var(--c6); } .c7 { fill: var(--c7); }

        """
    private static let pageStyle = """
        body { margin: 0; background: var(--page); color: var(--ink); font: 16px/1.55 system-ui, sans-serif; }
        main { max-width: 74rem; margin: 0 auto; padding: 2.5rem 1.25rem 4rem; }
        h1 { font-size: 1.7rem; margin: 0 0 .5rem; } h2 { font-size: 1.15rem; margin: 2.5rem 0 .5rem; }
        .lead { color: var(--soft); max-width: 44rem; }
        figure { margin: 1.5rem 0; max-width: 62rem; } figure svg { width: 100%; height: auto; }
        figcaption { color: var(--soft); font-size: .9rem; }
        .scroll { overflow-x: auto; }
        table { border-collapse: collapse; font-size: .85rem; font-variant-numeric: tabular-nums; width: 100%; }
        th, td { text-align: right; padding: .45rem .5rem; border-bottom: 1px solid var(--line); white-space: nowrap; }
        th { color: var(--soft); font-weight: 600; }
        th:first-child, td:first-child { text-align: left; }
        tbody tr:first-child { color: var(--soft); }
        ul { color: var(--soft); padding-left: 1.2rem; }
        """
}
