/// How Pith's pages look: colours for light and dark, drawings, tables.
enum PageStyle {
    /// A page that needs nothing else.
    static func page(title: String, body: String) -> String {
        """
        <!doctype html>
        <html lang="en">
        <head>
        <meta charset="utf-8">
        <meta name="viewport" content="width=device-width, initial-scale=1">
        <title>\(title.escapedForHTML)</title>
        <style>
        :root { color-scheme: light dark; \(lightColors) }
        @media (prefers-color-scheme: dark) { :root { \(darkColors) } }
        \(pageStyle)
        \(plotStyle)
        </style>
        </head>
        <body>
        <main>
        <h1>\(title.escapedForHTML)</h1>
        \(body)
        </main>
        </body>
        </html>

        """
    }

    /// A table of cells under a header.
    static func table(header: [String], rows: [[String]]) -> String {
        let head = header.map { "<th>\($0.escapedForHTML)</th>" }.joined()
        let body = rows.map { row in "<tr>" + row.map { "<td>\($0.escapedForHTML)</td>" }.joined() + "</tr>" }
        return "<table>\n<thead><tr>\(head)</tr></thead>\n<tbody>\n\(body.joined(separator: "\n"))\n</tbody>\n</table>"
    }

    static let lightColors = """
        --page: #fcfcfa; --ink: #1d2126; --soft: #646c76; --line: #e3e4e0; --frontier: #9aa3ad; \
        --c0: #2563b0; --c1: #c2410c; --c2: #15803d; --c3: #9333a8; --c4: #b8860b; --c5: #0e7490; --c6: #be185d; --c7: #57534e;
        """
    static let darkColors = """
        --page: #15181c; --ink: #e8eaed; --soft: #9aa3ad; --line: #2a2f36; --frontier: #5b646e; \
        --c0: #6ea8f7; --c1: #fb923c; --c2: #4ade80; --c3: #d38bf0; --c4: #facc15; --c5: #22d3ee; --c6: #f472b6; --c7: #b8b2ac;
        """
    static let plotStyle = """
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
    static let pageStyle = """
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
