import PithCore
import PithFormats
import PithTensor

/// How fast a model trains on this machine, as a share of what the machine can multiply.
public struct TrainingBenchmark: Sendable {
    /// Weights of the model.
    public var parameterCount: Int
    /// Tokens of one sequence.
    public var sequenceLength: Int
    /// Floating-point operations for one token; see `ModelConfiguration.trainingOperations`.
    public var operationsPerToken: Double
    /// Tokens learned from in a second, in the fastest step.
    public var tokensPerSecond: Double
    /// The most operations in a second of a product of 1024 × 1024 matrices.
    public var peak: Double

    /// Operations in a second.
    public var operationsPerSecond: Double { tokensPerSecond * operationsPerToken }
    /// The part of the peak that was reached.
    public var share: Double { operationsPerSecond / peak }

    /// Trains on random tokens for some steps.
    public init(_ configuration: TrainingConfiguration, steps: Int = 3, pool: ThreadPool) throws(PithError) {
        let peakBefore = Self.measurePeak(pool)
        var generator = SeededGenerator(seed: 1)
        let tokens = (0..<8 * configuration.tokensPerStep + 1).map { _ in
            Int32(generator.index(below: configuration.model.vocabularySize))
        }
        let trainer = try Trainer(configuration, tokens: tokens, pool: pool)
        let clock = ContinuousClock()
        var best = Double.infinity
        // The first step allocates.
        for step in 0...max(1, steps) {
            let start = clock.now
            trainer.takeStep()
            if step > 0 { best = min(best, (clock.now - start).seconds) }
        }
        parameterCount = trainer.parameterCount
        sequenceLength = configuration.sequenceLength
        operationsPerToken = configuration.model.trainingOperations(perTokenAt: sequenceLength)
        tokensPerSecond = Double(configuration.tokensPerStep) / best
        // Twice, lest the machine was busy with something else.
        peak = max(peakBefore, Self.measurePeak(pool))
    }

    /// The best of several products of 1024 × 1024 matrices: by all threads together, and by each on its own.
    public static func measurePeak(_ pool: ThreadPool, repetitions: Int = 10) -> Double {
        let size = 1024
        let operands = (0..<3 * pool.threadCount).map { _ in FloatBuffer(count: size * size) }
        var generator = SeededGenerator(seed: 1)
        for buffer in operands { for i in 0..<buffer.count { buffer.pointer[i] = generator.uniform() } }
        func product(_ n: Int) {
            LinearAlgebra.multiply(
                operands[3 * n].pointer, lda: size, operands[3 * n + 1].pointer, ldb: size,
                into: operands[3 * n + 2].pointer, ldc: size, m: size, n: size, k: size)
        }
        let clock = ContinuousClock()
        func best(products: Int, _ body: () -> Void) -> Double {
            let seconds = (0..<repetitions).map { _ in
                let start = clock.now
                body()
                return (clock.now - start).seconds
            }
            return Double(2 * size * size * size * products) / (seconds.min() ?? .infinity)
        }
        let together = LinearAlgebra.withThreads(pool.threadCount) { best(products: 1) { product(0) } }
        let apart = best(products: pool.threadCount) {
            pool.forEachBlock(of: pool.threadCount, grain: 1, sharing: product) { numbers, product in
                for n in numbers { product(n) }
            }
        }
        return withExtendedLifetime(operands) { max(together, apart) }
    }
}
