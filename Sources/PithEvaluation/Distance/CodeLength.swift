import PithCore

/// Approximates the Kolmogorov complexity K of texts by the length of a code, in bits.
public protocol CodeLength: Sendable {
    /// What decides the lengths: a cache of one is of no use to another.
    var identity: String { get }

    /// K(x) of each text.
    func lengths(of texts: [String]) throws(PithError) -> [Double]

    /// K(x | known) of each text: what it takes when `known` is known.
    func lengths(of texts: [String], given known: String) throws(PithError) -> [Double]
}

/// The code lengths of two texts, alone and given each other, in bits.
public struct InformationPair: Equatable, Sendable {
    /// K(x).
    public var x: Double
    /// K(y).
    public var y: Double
    /// K(x | y).
    public var xGivenY: Double
    /// K(y | x).
    public var yGivenX: Double

    /// Creates a pair from its four lengths.
    public init(x: Double, y: Double, xGivenY: Double, yGivenX: Double) {
        self.x = x
        self.y = y
        self.xGivenY = xGivenY
        self.yGivenX = yGivenX
    }

    /// How far the texts lie from each other: about 0 where they say the same, 1 where they have nothing in common.
    public func distance(_ form: InformationForm = .largest) -> Double {
        switch form {
        case .largest: max(x, y) > 0 ? max(xGivenY, yGivenX) / max(x, y) : 0
        case .sum: x + y > 0 ? (xGivenY + yGivenX) / (x + y) : 0
        }
    }
}

/// How four code lengths become a distance.
public enum InformationForm: String, CaseIterable, Sendable {
    /// max(K(x|y), K(y|x)) / max(K(x), K(y)): the normalised information distance of Li and others (2004). With
    /// K(x|y) = C(yx) − C(y) it is the normalised compression distance.
    case largest
    /// (K(x|y) + K(y|x)) / (K(x) + K(y)).
    case sum
}

/// How far texts lie from other texts.
public protocol TextDistance: Sendable {
    /// The distances of each query from all references, [queries][references].
    func distances(of queries: [String], from references: [String], quiet: Bool) throws(PithError) -> [[Double]]
}

/// The normalised information distance under a code.
public struct InformationDistance: TextDistance {
    /// The code.
    public let code: any CodeLength
    /// Where code lengths are kept from call to call; nil for nowhere.
    public let cachePath: String?
    /// How code lengths become a distance.
    public let form: InformationForm

    /// Distances under `code`.
    public init(_ code: any CodeLength, form: InformationForm = .largest, cachePath: String? = nil) {
        self.code = code
        self.form = form
        self.cachePath = cachePath
    }

    /// The four code lengths of two texts.
    public func pair(_ x: String, _ y: String) throws(PithError) -> InformationPair {
        let alone = try code.lengths(of: [x, y])
        return InformationPair(
            x: alone[0], y: alone[1], xGivenY: try code.lengths(of: [x], given: y)[0],
            yGivenX: try code.lengths(of: [y], given: x)[0])
    }

    /// Distances of all pairs; lengths that the cache holds are not computed again.
    public func distances(
        of queries: [String], from references: [String], quiet: Bool = true
    ) throws(PithError) -> [[Double]] {
        var cache = try CodeLengthCache(cachePath, identity: code.identity)
        let queriesAlone = try cache.lengths(of: queries, code)
        let referencesAlone = try cache.lengths(of: references, code)
        var progress = Progress("distances", total: queries.count + references.count, quiet: quiet)
        var queriesGiven: [[Double]] = []  // [references][queries]
        for reference in references {
            queriesGiven.append(try cache.lengths(of: queries, given: reference, code))
            progress.update(queriesGiven.count)
        }
        var result: [[Double]] = []
        for (i, query) in queries.enumerated() {
            let referencesGiven = try cache.lengths(of: references, given: query, code)
            result.append(
                references.indices.map { j in
                    InformationPair(
                        x: queriesAlone[i], y: referencesAlone[j], xGivenY: queriesGiven[j][i],
                        yGivenX: referencesGiven[j]
                    ).distance(form)
                })
            progress.update(references.count + result.count)
        }
        progress.finish()
        try cache.save()
        return result
    }
}
