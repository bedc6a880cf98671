import PithCore

/// A measured figure with its standard error.
public struct Estimate: Equatable, Sendable {
    /// The figure.
    public var value: Double
    /// Its standard error; 0 where nothing is uncertain, nan from a single block.
    public var standardError: Double

    /// Creates an estimate.
    public init(_ value: Double, standardError: Double) {
        self.value = value
        self.standardError = standardError
    }
}

extension Estimate {
    /// The difference of two independent estimates.
    static func - (left: Estimate, right: Estimate) -> Estimate {
        let (a, b) = (left.standardError, right.standardError)
        return Estimate(left.value - right.value, standardError: (a * a + b * b).squareRoot())
    }

    /// `1.2345 ±0.0012`.
    public func formatted(decimals: Int) -> String {
        "\(value.formatted(decimals: decimals)) ±\(standardError.formatted(decimals: decimals))"
    }
}

/// Sums of a quantity and of what it is counted over, block by block of consecutive tokens.
///
/// Neighbouring tokens are alike, so the standard error is taken between blocks, not between tokens.
struct BlockSums: Sendable {
    /// Tokens of one block.
    static let blockLength = 64
    private var numerators: [Double] = []
    private var denominators: [Double] = []

    /// Adds one block.
    mutating func append(_ numerator: Double, over denominator: Double) {
        numerators.append(numerator)
        denominators.append(denominator)
    }

    /// Adds the blocks of other sums.
    mutating func append(_ other: BlockSums) {
        numerators += other.numerators
        denominators += other.denominators
    }

    /// The ratio of the sums, with the standard error of a ratio estimator.
    var ratio: Estimate {
        let total = denominators.reduce(0, +)
        guard total > 0 else { return Estimate(.nan, standardError: .nan) }
        let ratio = numerators.reduce(0, +) / total
        let count = Double(numerators.count)
        guard count > 1 else { return Estimate(ratio, standardError: .nan) }
        let squares = zip(numerators, denominators).reduce(0) { sum, block in
            let deviation = block.0 - ratio * block.1
            return sum + deviation * deviation
        }
        return Estimate(ratio, standardError: (squares * count / (count - 1)).squareRoot() / total)
    }
}
