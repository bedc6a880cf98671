import PithCore
import PithModels
import PithTensor
import PithWeights

/// A matrix with inputs like those of a trained layer: correlated, and with a few columns of large values.
public struct LayerProblem: Sendable {
    /// W, [outputs, inputs].
    public let weight: Tensor
    /// X, [samples, inputs].
    public let inputs: Tensor
    /// XᵀX.
    public let statistics: InputStatistics

    /// Draws a problem.
    public init(outputs: Int, inputs width: Int, samples: Int, seed: UInt64) {
        var random = SeededGenerator(seed: seed)
        weight = random.normalTensor([outputs, width], scale: 0.05)
        // Half of each input comes from a few common sources.
        let sources = max(1, width / 4)
        let mixture = random.normalTensor([sources, width])
        let common = LinearAlgebra.product(random.normalTensor([samples, sources]), .plain, mixture)
        var inputs = random.normalTensor([samples, width])
        for i in 0..<inputs.count { inputs.values[i] += common.values[i] / Float(sources).squareRoot() * 2 }
        for column in stride(from: 3, to: width, by: 17) {
            for row in 0..<samples { inputs[row, column] *= 8 }
        }
        self.inputs = inputs
        var statistics = InputStatistics(width: width, gathering: .hessian)
        statistics.add(inputs, pool: ThreadPool(threads: 1))
        self.statistics = statistics
    }

    /// Compresses W as `spec` says.
    public func compress(_ spec: String, seed: UInt64 = 1, pool: ThreadPool = ThreadPool(threads: 1))
        throws -> any StoredLinear
    {
        try WeightPipeline(Spec(parsing: spec)).compress(
            name: "w", weight: weight, statistics: statistics, seed: seed, pool: pool)
    }

    /// The squared error of the outputs over the inputs, as a share of the squared outputs.
    public func outputError(_ compressed: any StoredLinear) -> Double {
        let exact = LinearAlgebra.product(inputs, .plain, weight, .transposed)
        return (exact - inputs.multiplied(by: compressed)).squaredNorm / exact.squaredNorm
    }

    /// The squared error of the outputs of W compressed as `spec` says.
    public func outputError(of spec: String) throws -> Double { outputError(try compress(spec)) }
}

extension Tensor {
    /// The rows of this matrix multiplied by a stored one.
    public func multiplied(
        by linear: any LinearOperator, _ precision: ActivationPrecision = .float,
        pool: ThreadPool = ThreadPool(threads: 1)
    ) -> Tensor {
        var result = Tensor(rows: rows, columns: linear.outputCount)
        let count = rows
        values.withUnsafeBufferPointer { input in
            result.values.withUnsafeMutableBufferPointer { output in
                if let input = input.baseAddress, let output = output.baseAddress {
                    let block = ActivationBlock(precision: precision)
                    block.load(input, rows: count, width: linear.inputCount)
                    block.multiply(by: [LinearProduct(linear, into: output)], pool: pool)
                }
            }
        }
        return result
    }
}
