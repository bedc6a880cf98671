import CPithKernels
import PithCore
import PithTensor

/// What the logits of one row say of the token behind it, beside those of a reference.
package struct TokenLoss: Sendable {
    /// The Kullback-Leibler divergence from the reference's distribution, in nats.
    package let divergence: Double
    /// How little the token was expected, in nats.
    package let surprise: Double
    /// Whether both find the same token the most likely one.
    package let agrees: Bool

    /// Whether the logits could be compared.
    package var isFinite: Bool { divergence.isFinite && surprise.isFinite }

    /// Compares logits, [rows, vocabulary], with a reference's; `targets` are the tokens that follow.
    package static func compare(
        _ reference: Tensor, _ logits: Tensor, _ targets: [Int], _ pool: ThreadPool
    ) -> [TokenLoss] {
        let width = logits.columns
        return pool.map(targets.count, grain: 8) { row in
            reference.values.withUnsafeBufferPointer { reference in
                logits.values.withUnsafeBufferPointer { logits in
                    TokenLoss(
                        reference.baseAddress! + row * width, logits.baseAddress! + row * width, width,
                        target: targets[row])
                }
            }
        }
    }

    /// With p = softmax(a) and q = softmax(b): KL(p, q) = Σ p (a - b) - log Σ exp a + log Σ exp b.
    private init(_ a: UnsafePointer<Float>, _ b: UnsafePointer<Float>, _ width: Int, target: Int) {
        let (kernels, count) = (kernels, Int64(width))
        let (maxA, maxB) = (kernels.maximum(a, count), kernels.maximum(b, count))
        let (sumA, sumB, difference) = withUnsafeTemporaryAllocation(of: Float.self, capacity: width) { scratch in
            let sumB = kernels.exp_sum(b, maxB, count, scratch.baseAddress!)
            let sumA = kernels.exp_sum(a, maxA, count, scratch.baseAddress!)
            return (sumA, sumB, kernels.weighted_difference(scratch.baseAddress!, a, b, count))
        }
        let logSumA = Double(maxA) + naturalLogarithm(Double(sumA))
        let logSumB = Double(maxB) + naturalLogarithm(Double(sumB))
        divergence = max(0, Double(difference / sumA) - logSumA + logSumB)
        surprise = logSumB - Double(b[target])
        let (topA, topB) = (UnsafeBufferPointer(start: a, count: width), UnsafeBufferPointer(start: b, count: width))
        agrees = topA.firstIndex(of: maxA) == topB.firstIndex(of: maxB)
    }
}
