import PithCore

/// A text and what it is about.
public struct LabelledText: Equatable, Sendable {
    /// The label.
    public var label: String
    /// The text.
    public var text: String

    /// Creates a labelled text.
    public init(label: String, text: String) {
        self.label = label
        self.text = text
    }

    /// Reads lines of `label<TAB>text`.
    public static func load(_ path: String) throws(PithError) -> [LabelledText] {
        var result: [LabelledText] = []
        let lines = try Files.text(path).split(separator: "\n", omittingEmptySubsequences: false)
        for (number, line) in lines.enumerated() where !line.isEmpty {
            let parts = line.split(separator: "\t", maxSplits: 1)
            guard parts.count == 2, !parts[1].isEmpty else {
                throw .data(
                    "is not a label and a text", at: "\(path): line \(number + 1)",
                    remedy: "write label<TAB>text, one pair on a line")
            }
            result.append(LabelledText(label: String(parts[0]), text: String(parts[1])))
        }
        guard !result.isEmpty else { throw .data("holds no texts", at: path, remedy: "write label<TAB>text lines") }
        return result
    }
}

/// Labels a text by a vote among the nearest of the texts whose labels are known.
public struct NeighbourClassifier: Sendable {
    /// How many neighbours vote.
    public let neighbours: Int

    /// A classifier by so many neighbours, at least one.
    public init(neighbours: Int = 1) { self.neighbours = max(1, neighbours) }

    /// The label of a text at `distances` from texts with `labels`: the one with most of the nearest; among equals
    /// the one whose voters are nearer in sum.
    public func label(_ distances: [Double], _ labels: [String]) -> String? {
        let nearest = distances.indices.sorted { (distances[$0], $0) < (distances[$1], $1) }.prefix(neighbours)
        var votes: [String: (count: Int, sum: Double)] = [:]
        for index in nearest {
            let (count, sum) = votes[labels[index]] ?? (0, 0)
            votes[labels[index]] = (count + 1, sum + distances[index])
        }
        return votes.min { (-$0.value.count, $0.value.sum, $0.key) < (-$1.value.count, $1.value.sum, $1.key) }?.key
    }

    /// The share of `queries` that get their own label, with its standard error.
    public func accuracy(
        of queries: [LabelledText], among references: [LabelledText], by distance: any TextDistance,
        quiet: Bool = true
    ) throws(PithError) -> Estimate {
        let distances = try distance.distances(of: queries.map(\.text), from: references.map(\.text), quiet: quiet)
        let labels = references.map(\.label)
        let right = zip(queries, distances).filter { label($1, labels) == $0.label }.count
        let (share, count) = (Double(right) / Double(queries.count), Double(queries.count))
        return Estimate(share, standardError: (share * (1 - share) / count).squareRoot())
    }
}
