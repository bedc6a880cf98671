import PithFormats
import PithTensor
import PithTraining

/// A model whose weights follow from a short vector w: LoRA factors lie in a random subspace (SubLoRA).
///
///     W = W₀ + A · B for matrices, v = v₀ + δ for vectors;    (A, B, δ) = (A₀, 0, 0) + P · w
///
/// W₀, A₀ and P come from a seed. Each row of P has few elements, ±s, at random places: products are quick, and P
/// nearly keeps lengths.
package struct SubspaceLoRA {
    let learner: DecoderLearner
    /// The length of w.
    let dimension: Int
    private let rank: Int
    private let start: [Float]  // W₀
    private let factors: [Factor]
    private let firstFactors: [Float]  // A₀, in the order of the coordinates, zeros elsewhere
    private var places: [Int32] = []  // [coordinates, terms]
    private var signs: [Float] = []  // [coordinates, terms]

    /// Elements of a row of P.
    private static let terms = 4

    /// Where the coordinates of a parameter begin: A [rows, rank] and B [rank, columns], or δ [columns].
    private struct Factor {
        let parameter: ParameterSet.Entry
        let first: Int
    }

    package init(_ learner: DecoderLearner, dimension: Int, rank: Int, seed: UInt64) {
        self.learner = learner
        self.dimension = dimension
        self.rank = rank
        var generator = SeededGenerator(seed: seed)
        Self.initialize(learner, &generator)
        start = Array(learner.weights)
        var (factors, firstFactors) = ([Factor](), [Float]())
        for parameter in learner.parameters {
            factors.append(Factor(parameter: parameter, first: firstFactors.count))
            if parameter.isMatrix {
                let deviation = 1 / Float(rank).squareRoot()
                firstFactors += (0..<parameter.rows * rank).map { _ in deviation * generator.normal() }
                firstFactors += [Float](repeating: 0, count: rank * parameter.columns)
            } else {
                firstFactors += [Float](repeating: 0, count: parameter.columns)
            }
        }
        (self.factors, self.firstFactors) = (factors, firstFactors)
        let scale = (Float(dimension) / Float(firstFactors.count * Self.terms)).squareRoot()
        for _ in 0..<firstFactors.count * Self.terms {
            places.append(Int32(generator.index(below: dimension)))
            signs.append(generator.next() & 1 == 0 ? scale : -scale)
        }
    }

    /// Matrices that keep the size of what they multiply; a head of zeros, so that all tokens begin alike.
    private static func initialize(_ learner: DecoderLearner, _ generator: inout SeededGenerator) {
        for parameter in learner.parameters where parameter.isMatrix {
            let isHead = parameter.name == "lm_head.weight"
            let isEmbedding = parameter.name == "model.embed_tokens.weight"
            let deviation: Float =
                isHead ? 0 : isEmbedding ? 1 : 1 / Float(parameter.columns).squareRoot()
            for i in 0..<parameter.rows * parameter.columns {
                learner.weights[parameter.offset + i] = deviation * generator.normal()
            }
        }
    }

    /// Coordinates of all factors.
    var coordinateCount: Int { firstFactors.count }

    /// (A₀, 0, 0) + P · w.
    private func coordinates(_ w: [Float]) -> [Float] {
        var result = firstFactors
        for i in result.indices {
            for t in i * Self.terms..<(i + 1) * Self.terms { result[i] += signs[t] * w[Int(places[t])] }
        }
        return result
    }

    /// Gives the learner the weights that follow from `w`.
    package func apply(_ w: [Float]) {
        let theta = coordinates(w)
        for factor in factors {
            let p = factor.parameter
            guard p.isMatrix else {
                for j in 0..<p.columns {
                    learner.weights[p.offset + j] = start[p.offset + j] + theta[factor.first + j]
                }
                continue
            }
            let b = factor.first + p.rows * rank
            for i in 0..<p.rows {
                for j in 0..<p.columns {
                    var sum = start[p.offset + i * p.columns + j]
                    for k in 0..<rank {
                        sum += theta[factor.first + i * rank + k] * theta[b + k * p.columns + j]
                    }
                    learner.weights[p.offset + i * p.columns + j] = sum
                }
            }
        }
    }

    /// The gradient of w from that of the weights, which the learner holds: Pᵀ (dW · Bᵀ, Aᵀ · dW, dv).
    package func pullBack(_ w: [Float]) -> [Float] {
        let theta = coordinates(w)
        var slopes = [Float](repeating: 0, count: theta.count)
        for factor in factors {
            let p = factor.parameter
            guard p.isMatrix else {
                for j in 0..<p.columns { slopes[factor.first + j] = learner.gradient[p.offset + j] }
                continue
            }
            let b = factor.first + p.rows * rank
            for i in 0..<p.rows {
                for k in 0..<rank {
                    var sum: Float = 0
                    let a = factor.first + i * rank + k
                    for j in 0..<p.columns {
                        let slope = learner.gradient[p.offset + i * p.columns + j]
                        sum += slope * theta[b + k * p.columns + j]
                        slopes[b + k * p.columns + j] += slope * theta[a]
                    }
                    slopes[a] = sum
                }
            }
        }
        var result = [Float](repeating: 0, count: dimension)
        for i in slopes.indices {
            for t in i * Self.terms..<(i + 1) * Self.terms {
                result[Int(places[t])] += signs[t] * slopes[i]
            }
        }
        return result
    }
}
