import PithCore
import PithFormats
import PithTensor
import PithTraining

/// Trains a small model of bytes through a random subspace, writes it in few bytes, and bounds its loss on all data
/// that its samples were drawn from.
///
/// The population are the windows of the data that do not overlap, all equally likely; samples are drawn from it
/// independently, so that the bound's condition holds exactly. Windows that were never drawn are the test.
public struct SubLoRAExperiment: Sendable {
    /// What was found; losses are in bits per token, a token being a byte.
    public struct Result: Sendable {
        /// Windows that were drawn.
        public var samples: Int
        /// The code of the vector.
        public var code: [UInt8]
        /// Tokens that the model knows: 256 bytes and the beginning of a window.
        public var vocabulary: Int
        /// The mixing with the uniform distribution for which the bound is least.
        public var mixing: Double
        /// The mean smoothed loss on the samples.
        public var sampleLoss: Double
        /// The mean smoothed loss on windows that were not drawn, between whose losses the error is taken.
        public var testLoss: Estimate
        /// The same loss without smoothing.
        public var plainTestLoss: Estimate
        /// What complexity adds.
        public var penalty: Double
        /// The certified bound on the smoothed loss over the population.
        public var bound: Double { sampleLoss + penalty }
        /// What a model needs that knows nothing.
        public var uniform: Double { naturalLogarithm(Double(vocabulary)) / naturalLogarithm(2) }
    }

    /// Bytes of a window.
    public var window = 16
    /// The length of the vector.
    public var dimension = 500
    /// The rank of the factors.
    public var rank = 4
    /// Levels of the vector's elements.
    public var levels = 7
    /// Steps of training, of which the last fifth knows the levels.
    public var steps = 600
    /// Windows of a step.
    public var batch = 64
    /// The highest learning rate.
    public var learningRate = 0.1
    /// The width of the model.
    public var width = 32
    /// The layers of the model.
    public var layers = 2
    /// How many samples at most; half of the windows at any rate.
    public var samples = 1 << 20
    /// The probability that the bound may fail with.
    public var failure = 0.05
    /// Where all random choices come from; it is chosen before the data is seen, and costs nothing.
    public var seed: UInt64 = 1

    /// Mixings that are tried; which one it is costs bits.
    static let mixings = [0.02, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6]
    private static let vocabulary = 257

    /// An experiment with the usual sizes.
    public init() {}

    /// Trains, writes, reads back and measures.
    public func run(_ data: [UInt8], pool: ThreadPool, quiet: Bool = true) throws(PithError) -> Result {
        guard LearntLevels.levelRange.contains(levels), dimension >= levels else {
            throw .usage("\(levels) levels", remedy: "there should be 2…64, and no more than elements")
        }
        var generator = SeededGenerator(seed: seed &+ 1)
        let (drawn, rest) = try draw(data, &generator)
        let learner = DecoderLearner(try shape(), seed: seed, pool: pool)
        let model = SubspaceLoRA(learner, dimension: dimension, rank: rank, seed: seed)
        let code = try train(model, drawn, &generator, quiet: quiet).encoded()
        // The model that is bounded is the one that can be read from the bytes.
        model.apply(try LearntLevels(encoded: code, count: dimension).values)
        return result(code, samples: try losses(learner, drawn), test: try losses(learner, rest))
    }

    /// Windows drawn with replacement, and those that never were.
    private func draw(
        _ data: [UInt8], _ generator: inout SeededGenerator
    ) throws(PithError) -> (drawn: [[Int32]], rest: [[Int32]]) {
        let population = data.count / window
        guard population >= 1000 else {
            throw .data("\(data.count) bytes are too few", remedy: "give at least \(1000 * window)")
        }
        let indices = (0..<min(samples, population / 2)).map { _ in generator.index(below: population) }
        func sequence(_ index: Int) -> [Int32] {
            [256] + data[index * window..<(index + 1) * window].map { Int32($0) }
        }
        let seen = Set(indices)
        var rest = (0..<population).filter { !seen.contains($0) }
        for i in stride(from: rest.count - 1, to: 0, by: -1) {
            rest.swapAt(i, generator.index(below: i + 1))
        }
        return (indices.map(sequence), rest.prefix(20_000).map(sequence))
    }

    /// Adam on w; at the end on w as the levels round it, gradients passing through the rounding.
    private func train(
        _ model: SubspaceLoRA, _ drawn: [[Int32]], _ generator: inout SeededGenerator, quiet: Bool
    ) throws(PithError) -> LearntLevels {
        var w = [Float](repeating: 0, count: dimension)
        let (adam, options) = (Adam(count: dimension), Adam.Options(beta2: 0.99))
        let rounding = steps - steps / 5
        var rounded: LearntLevels?
        var progress = Progress("training in the subspace", total: steps, quiet: quiet)
        for step in 0..<steps {
            if step >= rounding {
                rounded = LearntLevels(
                    w, count: levels, rounds: step == rounding ? 20 : 1, start: rounded?.levels)
            }
            let used = rounded?.values ?? w
            let batch = (0..<batch).map { _ in drawn[generator.index(below: drawn.count)] }
            model.apply(used)
            do throws(PithError) { _ = try model.learner.computeGradient(of: batch) } catch {
                throw error.within("step \(step + 1)")
            }
            let phase = Double(step) / Double(steps)
            adam.update(
                &w, gradient: model.pullBack(used), rate: Float(learningRate * (1 - 0.95 * phase)), step: step + 1,
                options)
            progress.update(step + 1)
        }
        progress.finish()
        return LearntLevels(w, count: levels, rounds: 1, start: rounded?.levels)
    }

    /// The nats of each token of each window, some windows at a time.
    private func losses(_ learner: DecoderLearner, _ windows: [[Int32]]) throws(PithError) -> [[Double]] {
        var losses: [[Double]] = []
        for start in stride(from: 0, to: windows.count, by: 8192) {
            losses += try learner.losses(of: Array(windows[start..<min(start + 8192, windows.count)]))
        }
        return losses
    }

    private func result(_ code: [UInt8], samples: [[Double]], test: [[Double]]) -> Result {
        let choices = naturalLogarithm(Double(Self.mixings.count)) / naturalLogarithm(2)
        let complexity = CompressionBound.complexity(bytes: code.count, choices: choices)
        let bound = CompressionBound(samples: samples.count, failure: failure)
        func mean(_ losses: [[Double]], _ alpha: Double) -> Estimate {
            var sums = BlockSums()
            for window in losses {
                let bits = window.reduce(0) {
                    $0 + CompressionBound.smoothed(nats: $1, mixing: alpha, vocabulary: Self.vocabulary)
                }
                sums.append(bits, over: Double(window.count))
            }
            return sums.ratio
        }
        let tried = Self.mixings.map { alpha in
            let width = CompressionBound.width(mixing: alpha, vocabulary: Self.vocabulary)
            return (
                alpha: alpha, loss: mean(samples, alpha).value,
                penalty: bound.penalty(complexity: complexity, width: width)
            )
        }
        let best = tried.min { $0.loss + $0.penalty < $1.loss + $1.penalty } ?? tried[0]
        return Result(
            samples: samples.count, code: code, vocabulary: Self.vocabulary, mixing: best.alpha,
            sampleLoss: best.loss, testLoss: mean(test, best.alpha), plainTestLoss: mean(test, 0),
            penalty: best.penalty)
    }

    private func shape() throws(PithError) -> ModelConfiguration {
        try ModelConfiguration(
            hiddenSize: width, layerCount: layers, headCount: 4, headDimension: max(2, width / 8 * 2),
            intermediateSize: 2 * width, vocabularySize: Self.vocabulary, contextLength: window,
            tiesEmbeddings: false)
    }
}
