import PithCore
import PithTensor

/// A drawing of size against damage: bits for each weight to the right, KL divergence upwards on a logarithmic scale.
struct RateDistortionPlot {
    /// One mark.
    struct Point {
        var label: String
        var rate: Double
        var distortion: Double
        var error: Double
    }

    private struct Box {
        var (x, y, width, height): (Double, Double, Double, Double)
        func overlaps(_ other: Box) -> Bool {
            x < other.x + other.width && other.x < x + width && y < other.y + other.height && other.y < y + height
        }
    }

    private let points: [Point]
    private let originalRate: Double
    private let width = 880.0
    private let height = 500.0
    // Margins, in the same units.
    private let left = 72.0
    private let right = 24.0
    private let top = 24.0
    private let bottom = 56.0
    private let rateLimit: Double
    private let decades: ClosedRange<Int>

    /// A drawing of `points`, with the rate of the uncompressed model as a line.
    init(_ points: [Point], originalRate: Double) {
        self.points = points.filter { $0.distortion > 0 && $0.distortion.isFinite }
        self.originalRate = originalRate
        rateLimit = (([originalRate] + points.map(\.rate)).max() ?? 16) * 1.06
        let exponents = self.points.map { naturalLogarithm($0.distortion) / naturalLogarithm(10) }
        let low = Int((exponents.min() ?? -3).rounded(.down))
        decades = low...max(low + 1, Int((exponents.max() ?? 0).rounded(.up)))
    }

    private func x(_ rate: Double) -> Double { left + rate / rateLimit * (width - left - right) }

    private func y(_ distortion: Double) -> Double {
        let exponent = naturalLogarithm(distortion) / naturalLogarithm(10)
        let share = (exponent - Double(decades.lowerBound)) / Double(decades.upperBound - decades.lowerBound)
        return height - bottom - share * (height - top - bottom)
    }

    /// The drawing as an SVG element.
    var svg: String {
        """
        <svg viewBox="0 0 \(width.short) \(height.short)" role="img" aria-label="Bits per weight against KL divergence">
        \(grid)
        \(frontier)
        \(marks)
        </svg>
        """
    }

    private var grid: String {
        var lines: [String] = []
        for decade in decades {
            let distortion = exponential(Double(decade) * naturalLogarithm(10))
            let at = y(distortion).short
            lines.append(
                "<line class=\"grid\" x1=\"\(left.short)\" x2=\"\((width - right).short)\" y1=\"\(at)\" y2=\"\(at)\"/>")
            let label = decade < -3 ? "1e\(decade)" : distortion.formatted(significant: 1)
            lines.append(text(label, left - 10, y(distortion) + 4, "tick", anchor: "end"))
        }
        let step = rateLimit > 20 ? 4.0 : rateLimit > 8 ? 2.0 : 1.0
        for rate in stride(from: 0, through: rateLimit, by: step) {
            let at = x(rate).short
            lines.append(
                "<line class=\"grid\" x1=\"\(at)\" x2=\"\(at)\" y1=\"\(top.short)\" y2=\"\((height - bottom).short)\"/>"
            )
            lines.append(text(rate.short, x(rate), height - bottom + 20, "tick", anchor: "middle"))
        }
        let original = x(originalRate).short
        lines.append(
            "<line class=\"original\" x1=\"\(original)\" x2=\"\(original)\" y1=\"\(top.short)\" y2=\"\((height - bottom).short)\"/>"
        )
        lines.append(text("uncompressed", x(originalRate) - 8, top + 14, "tick", anchor: "end"))
        lines.append(text("bits per weight on disk", (left + width - right) / 2, height - 12, "axis", anchor: "middle"))
        lines.append(
            "<text class=\"axis\" text-anchor=\"middle\" transform=\"translate(18 \(((top + height - bottom) / 2).short)) rotate(-90)\">KL divergence, nats per token</text>"
        )
        return lines.joined(separator: "\n")
    }

    /// A line through the points that no other beats in both directions.
    private var frontier: String {
        var best = Double.infinity
        var path: [String] = []
        // Rates that differ by less than this are the same size to a reader: records differ by some bytes.
        let tolerance = 1.005
        for point in points.sorted(by: { ($0.rate, $0.distortion) < ($1.rate, $1.distortion) })
        where point.distortion < best
            && !points.contains(where: { $0.rate <= point.rate * tolerance && $0.distortion < point.distortion })
        {
            best = point.distortion
            path.append("\(x(point.rate).short),\(y(point.distortion).short)")
        }
        return "<polyline class=\"frontier\" points=\"\(path.joined(separator: " "))\"/>"
    }

    private var marks: String {
        var taken = points.map { Box(x: x($0.rate) - 7, y: y($0.distortion) - 7, width: 14, height: 14) }
        var elements: [String] = []
        for point in points.sorted(by: { $0.distortion > $1.distortion }) {
            let (px, py) = (x(point.rate), y(point.distortion))
            let box = place(point.label, px, py, avoiding: taken)
            taken.append(box)
            let color = "c\(colorIndex(of: point))"
            let nearX = min(max(px, box.x), box.x + box.width)
            elements.append(
                "<line class=\"leader\" x1=\"\(px.short)\" y1=\"\(py.short)\" x2=\"\(nearX.short)\" y2=\"\((box.y + box.height / 2).short)\"/>"
            )
            elements.append(
                """
                <circle class="\(color)" cx="\(px.short)" cy="\(py.short)" r="6"><title>\(point.label.escapedForHTML): \
                \(point.rate.formatted(significant: 3)) bits per weight, KL \(point.distortion.formatted(significant: 3)) \
                ±\(point.error.formatted(significant: 2))</title></circle>
                """)
            elements.append(text(point.label, box.x + 2, box.y + 13, "label"))
        }
        return elements.joined(separator: "\n")
    }

    /// The nearest free place for a label around a mark.
    private func place(_ label: String, _ px: Double, _ py: Double, avoiding taken: [Box]) -> Box {
        let (w, h) = (Double(label.count) * 6.7 + 4, 17.0)
        let sides = [
            (10.0, -h / 2), (-w - 10, -h / 2), (10, -h - 6), (10, 6), (-w - 10, -h - 6), (-w - 10, 6), (-w / 2, -h - 9),
            (-w / 2, 9),
        ]
        for distance in stride(from: 0.0, through: 90, by: 9) {
            for (dx, dy) in sides {
                let box = Box(
                    x: px + dx + (dx < -w / 2 ? -distance : dx > 0 ? distance : 0),
                    y: py + dy + (dy < -h / 2 ? -distance : dy > 0 ? distance : 0),
                    width: w, height: h)
                let inside = box.x > left && box.x + w < width - 4 && box.y > 2 && box.y + h < height - bottom
                if inside && !taken.contains(where: box.overlaps) { return box }
            }
        }
        return Box(x: min(px + 10, width - w - 4), y: py - h / 2, width: w, height: h)
    }

    /// Points of the same first method share a colour.
    private func colorIndex(of point: Point) -> Int {
        var families: [Substring] = []
        for other in points {
            let family = other.label.prefix { $0 != ":" && $0 != "+" }
            if !families.contains(family) { families.append(family) }
        }
        return (families.firstIndex(of: point.label.prefix { $0 != ":" && $0 != "+" }) ?? 0) % 8
    }

    private func text(_ content: String, _ x: Double, _ y: Double, _ style: String, anchor: String = "start") -> String
    {
        "<text class=\"\(style)\" x=\"\(x.short)\" y=\"\(y.short)\" text-anchor=\"\(anchor)\">\(content.escapedForHTML)</text>"
    }
}

extension Double {
    /// One decimal at most, for coordinates.
    fileprivate var short: String {
        let text = formatted(decimals: 1)
        return text.hasSuffix(".0") ? String(text.dropLast(2)) : text
    }
}

extension String {
    /// With the characters replaced that mean something in HTML.
    var escapedForHTML: String {
        reduce(into: "") { result, character in
            switch character {
            case "&": result += "&amp;"
            case "<": result += "&lt;"
            case ">": result += "&gt;"
            case "\"": result += "&quot;"
            default: result.append(character)
            }
        }
    }
}
