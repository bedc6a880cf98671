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
                "\n<style>\n:root { \(PageStyle.lightColors) }\n@media (prefers-color-scheme: dark) { :root { \(PageStyle.darkColors) } }\n\(PageStyle.plotStyle)</style>\n<rect width=\"880\" height=\"500\" fill=\"var(--page)\"/>\n",
            maxReplacements: 1)
    }

    private var plot: RateDistortionPlot {
        let points = rows.filter { $0.plan != RunPlan() }.map {
            RateDistortionPlot.Point(
                label: $0.plan.description, rate: $0.bitsPerWeight.value, distortion: $0.measurement.klDivergence.value,
                error: $0.measurement.klDivergence.standardError)
        }
        return RateDistortionPlot(points, originalRate: rows.first { $0.plan == RunPlan() }?.bitsPerWeight.value ?? 16)
    }

    /// The page.
    public var html: String {
        PageStyle.page(
            title: title,
            body: """
                <p class="lead">\(lead)</p>
                <figure>
                \(plot.svg)
                <figcaption>Lower and further left is better. The line joins the methods that no other beats in both size and damage.</figcaption>
                </figure>
                <div class="scroll">
                \(PageStyle.table(header: ComparisonRow.header, rows: rows.map(\.cells)))
                </div>
                <h2>How this was measured</h2>
                <ul>
                \(notes.map { "<li>\($0.escapedForHTML)</li>" }.joined(separator: "\n"))
                </ul>
                """)
    }

    private var lead: String {
        guard let original = rows.first(where: { $0.plan == RunPlan() }) else { return "" }
        return """
            The model as it came takes \(original.bytes) and needs \
            \(original.measurement.bitsPerByte.value.formatted(decimals: 3)) bits for each byte of the text. \
            Below, what each way of compressing it saved on disk, and what it cost.
            """
    }
}
