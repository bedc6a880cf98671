import PithArchive
import PithCore

/// A page that shows where the bits of an archive went: by part of the content, and by model.
public struct ZipReport: Sendable {
    private let title: String
    private let count: Int
    private let archiveCount: Int
    private let modelSize: ByteCount?
    private let segments: [SegmentSummary]
    // Those of them that hold no list of files.
    private var contentSegments: [SegmentSummary] { segments.filter { !$0.isDirectory } }

    /// A page about an archive of `archiveCount` bytes with the content of `count`; `modelSize` is that of the language
    /// model that must be there to open it.
    public init(
        title: String, count: Int, archiveCount: Int, modelSize: ByteCount? = nil, segments: [SegmentSummary]
    ) {
        self.title = title
        self.count = count
        self.archiveCount = archiveCount
        self.modelSize = modelSize
        self.segments = segments
    }

    /// The page.
    public var html: String {
        PageStyle.page(
            title: title,
            body: """
                <p class="lead">\(lead)</p>
                <h2>Along the content</h2>
                <figure>
                \(strip)
                <figcaption>Bits spent on each byte, from the first to the last. What repeats something earlier costs little.</figcaption>
                </figure>
                \(models)
                <h2>Segments</h2>
                <div class="scroll">
                \(PageStyle.table(header: ["method", "content", "stored", "bits/byte"], rows: segmentRows))
                </div>
                """)
    }

    private var lead: String {
        let rate = Double(archiveCount) * 8 / Double(max(1, count))
        var text = """
            \(ByteCount(count)) became \(ByteCount(archiveCount)): \(rate.formatted(decimals: 3)) bits for each byte, \
            \((Double(count) / Double(max(1, archiveCount))).formatted(significant: 3)) times smaller.
            """
        if let modelSize {
            let whole = Double(archiveCount + modelSize.value) * 8 / Double(max(1, count))
            text += """
                 To open it, a language model of \(modelSize) must be there; with that counted it would be \
                \(whole.formatted(decimals: 3)) bits for each byte.
                """
        }
        return text
    }

    private var segmentRows: [[String]] {
        segments.map { segment in
            [
                segment.isDirectory ? "list of files" : segment.spec, "\(ByteCount(segment.count))",
                "\(ByteCount(segment.storedCount))",
                (Double(segment.storedCount) * 8 / Double(max(1, segment.count))).formatted(decimals: 3),
            ]
        }
    }

    // MARK: Along the content

    /// Bits for each byte in equal stretches of the content, about as many as a picture has points.
    private var rates: [Double] {
        let total = contentSegments.reduce(0) { $0 + $1.count }
        let stretch = max(1, Double(total) / 800)
        var bits = [Double](repeating: 0, count: Int((Double(total) / stretch).rounded(.up)))
        func add(_ spent: Double, from start: Double, to end: Double) {
            var at = start
            while at < end {
                let index = min(bits.count - 1, Int(at / stretch))
                let next = index == bits.count - 1 ? end : min(end, Double(index + 1) * stretch)
                bits[index] += spent * (next - at) / (end - start)
                at = max(next, at.nextUp)
            }
        }
        var start = 0.0
        for segment in contentSegments where segment.count > 0 {
            let (regions, count) = (segment.trace?.regionBits ?? [], Double(segment.count))
            if regions.isEmpty { add(Double(segment.storedCount) * 8, from: start, to: start + count) }
            let size = Double(segment.trace?.regionSize ?? 1)
            for (index, spent) in regions.enumerated() {
                add(spent, from: start + Double(index) * size, to: start + min(count, Double(index + 1) * size))
            }
            start += count
        }
        return bits.indices.map { bits[$0] / min(stretch, Double(total) - Double($0) * stretch) }
    }

    // What takes more is the head of a segment of few bytes: drawn as long as it is, all else would be too small to see.
    private static let highestRate = 9.0

    private var strip: String {
        let (width, height, left, bottom, top) = (880.0, 260.0, 48.0, 36.0, 12.0)
        let rates = rates
        let limit = min(Self.highestRate, max(1, (rates.max() ?? 8).rounded(.up)))
        let total = Double(contentSegments.reduce(0) { $0 + $1.count })
        func x(_ share: Double) -> Double { left + share * (width - left - 8) }
        func y(_ rate: Double) -> Double { height - bottom - min(rate, limit) / limit * (height - bottom - top) }
        var parts: [String] = []
        for rate in stride(from: 0, through: limit, by: limit > 4 ? 2 : 1) {
            let at = y(rate).formatted(decimals: 1)
            parts.append("<line class=\"grid\" x1=\"\(left)\" x2=\"\(width - 8)\" y1=\"\(at)\" y2=\"\(at)\"/>")
            parts.append(
                "<text class=\"tick\" x=\"\(left - 8)\" y=\"\(at)\" dy=\"4\" text-anchor=\"end\">\(Int(rate))</text>")
        }
        var path = "M \(x(0).formatted(decimals: 1)) \(y(0).formatted(decimals: 1))"
        for (index, rate) in rates.enumerated() {
            let level = y(rate).formatted(decimals: 1)
            for end in [index, index + 1] {
                path += " L \(x(Double(end) / Double(rates.count)).formatted(decimals: 1)) \(level)"
            }
        }
        path += " L \(x(1).formatted(decimals: 1)) \(y(0).formatted(decimals: 1)) Z"
        parts.append("<path class=\"c0\" d=\"\(path)\"/>")
        for share in [0.0, 0.25, 0.5, 0.75, 1] {
            let anchor = share == 0 ? "start" : share == 1 ? "end" : "middle"
            parts.append(
                """
                <text class="tick" x="\(x(share).formatted(decimals: 1))" y="\(height - bottom + 20)" \
                text-anchor="\(anchor)">\(ByteCount(Int(share * total)))</text>
                """)
        }
        return """
            <svg viewBox="0 0 \(width) \(height)" role="img" aria-label="Bits for each byte along the content">
            \(parts.joined(separator: "\n"))
            </svg>
            """
    }

    // MARK: By model

    /// For each model the bits for each byte that it would have spent alone, over the segments that have it.
    private var modelRates: [(name: String, rate: Double)] {
        var (names, bits, counts) = ([String](), [String: Double](), [String: Int]())
        for segment in contentSegments {
            for (name, spent) in segment.trace?.modelBits ?? [] {
                if bits[name] == nil { names.append(name) }
                bits[name, default: 0] += spent
                counts[name, default: 0] += segment.count
            }
        }
        return names.map { ($0, bits[$0, default: 0] / Double(max(1, counts[$0, default: 0]))) }
    }

    private var models: String {
        let rates = modelRates
        guard !rates.isEmpty else { return "" }
        let (rowHeight, left, width) = (26.0, 200.0, 880.0)
        let limit = max(1, rates.map(\.rate).max() ?? 8)
        let bars = rates.enumerated().map { index, model in
            let y = Double(index) * rowHeight
            let length = (min(model.rate, limit) / limit * (width - left - 70)).formatted(decimals: 1)
            return """
                <text class="label" x="\(left - 10)" y="\(y + 17)" text-anchor="end">\(model.name.escapedForHTML)</text>
                <rect class="c2" x="\(left)" y="\(y + 4)" width="\(length)" height="18" rx="2"/>
                <text class="tick" x="\(left + (Double(length) ?? 0) + 8)" y="\(y + 17)">\(model.rate.formatted(decimals: 2))</text>
                """
        }
        return """
            <h2>What each model would have spent alone</h2>
            <figure>
            <svg viewBox="0 0 \(width) \(Double(rates.count) * rowHeight)" role="img" aria-label="Bits for each byte by model">
            \(bars.joined(separator: "\n"))
            </svg>
            <figcaption>Bits for each byte. Mixed, the models spend less than the best of them.</figcaption>
            </figure>
            """
    }
}
