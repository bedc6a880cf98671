import PithCore
import PithTensor

/// A bound on the loss of a model over everything that its data could have been, from how well it does on the data and
/// how few bits it takes.
///
/// With m samples drawn independently from the population, with probability 1 − δ over the draw, for all models h at
/// once (finite-hypothesis bound with the prior 2^−C(h); Lotfi and others, 2023):
///
///     E loss(h) ≤ mean loss(h) + Δ · √((C(h) · ln 2 + ln(1/δ)) / 2m)
///
/// The loss must lie in an interval of width Δ: predictions are mixed with the uniform distribution.
public struct CompressionBound: Sendable {
    /// Samples.
    public var samples: Int
    /// δ: with this probability the bound may fail.
    public var failure: Double

    /// A bound from so many independent samples.
    public init(samples: Int, failure: Double = 0.05) {
        self.samples = samples
        self.failure = failure
    }

    /// C(h) for a model that is written in `bytes`, once by itself: its length is said first, in 2 log2 of it, and
    /// `choices` more bits say which of the settings that were tried it is.
    public static func complexity(bytes: Int, choices: Double = 0) -> Double {
        let bits = 8 * Double(bytes)
        return bits + 2 * log2(max(1, bits)) + choices
    }

    /// What must be added to the mean loss on the samples.
    public func penalty(complexity: Double, width: Double) -> Double {
        let nats = complexity * naturalLogarithm(2) + naturalLogarithm(1 / failure)
        return width * (nats / (2 * Double(samples))).squareRoot()
    }

    /// Bits for a token when its probability is mixed with 1/V: −log2((1 − α) p + α / V).
    public static func smoothed(nats: Double, mixing alpha: Double, vocabulary: Int) -> Double {
        -log2((1 - alpha) * exponential(-nats) + alpha / Double(vocabulary))
    }

    /// Δ: log2(1 + (1 − α) V / α), between a probability of 1 and one of 0.
    public static func width(mixing alpha: Double, vocabulary: Int) -> Double {
        log2(1 + (1 - alpha) * Double(vocabulary) / alpha)
    }

    private static func log2(_ x: Double) -> Double { naturalLogarithm(x) / naturalLogarithm(2) }
}
