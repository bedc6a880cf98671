import Foundation
import Pith
import PithTraining
import Testing

@Suite("Bounds from codes of models")
struct BoundTests {
    @Test func boundsFollowTheirFormula() {
        let bound = CompressionBound(samples: 10_000, failure: 0.05)
        let complexity = CompressionBound.complexity(bytes: 128, choices: 3)
        #expect(complexity == 1024 + 20 + 3)
        let expected = 2 * ((1047 * log(2.0) + log(20.0)) / 20_000).squareRoot()
        #expect(abs(bound.penalty(complexity: complexity, width: 2) - expected) < 1e-12)
        #expect(
            CompressionBound(samples: 40_000).penalty(complexity: complexity, width: 2) * 2 - expected
                < 1e-12)
    }

    /// Smoothed losses lie in an interval of the width that the bound takes.
    @Test(arguments: [0.02, 0.3, 0.9])
    func smoothedLossesAreBounded(mixing: Double) {
        let best = CompressionBound.smoothed(nats: 0, mixing: mixing, vocabulary: 257)
        let worst = CompressionBound.smoothed(nats: .infinity, mixing: mixing, vocabulary: 257)
        #expect(abs(worst - best - CompressionBound.width(mixing: mixing, vocabulary: 257)) < 1e-9)
        let some = CompressionBound.smoothed(nats: 2, mixing: mixing, vocabulary: 257)
        #expect(best < some && some < worst)
    }

    /// A text of a few words: the bound lies between the test loss and what a model needs that knows nothing.
    @Test func boundsAreNotVacuousAndHold() throws {
        var generator = SeededGenerator(seed: 1)
        let words = ["red ", "green ", "blue ", "and ", "or "].map { Array($0.utf8) }
        var text: [UInt8] = []
        while text.count < 400_000 { text += words[generator.index(below: words.count)] }
        var experiment = SubLoRAExperiment()
        (experiment.window, experiment.width, experiment.layers) = (8, 16, 1)
        (experiment.dimension, experiment.steps, experiment.batch) = (100, 150, 32)
        let result = try experiment.run(text, pool: ThreadPool(threads: 2))
        #expect(result.bound < result.uniform)
        #expect(result.bound > result.testLoss.value)
        #expect(result.code.count > 15 && result.code.count < 100)
        #expect(result.samples == 25_000 && result.penalty > 0)
        #expect(try experiment.run(text, pool: ThreadPool(threads: 1)).code == result.code)
        #expect(throws: PithError.self) { try experiment.run([1, 2, 3], pool: ThreadPool(threads: 1)) }
    }

    @Test func vectorsAreReadBack() throws {
        var generator = SeededGenerator(seed: 2)
        let vector = (0..<300).map { _ in generator.normal() }
        for count in [2, 7, 16] {
            let levels = LearntLevels(vector, count: count)
            let code = levels.encoded()
            #expect(try LearntLevels(encoded: code, count: 300) == levels)
            let error = zip(vector, levels.values).reduce(0) { $0 + ($1.0 - $1.1) * ($1.0 - $1.1) } / 300
            #expect(error < (count == 2 ? 0.5 : count == 7 ? 0.08 : 0.03))
            for length in 0..<code.count - 4 {
                #expect(throws: PithError.self) {
                    try LearntLevels(encoded: Array(code[..<length]), count: 300)
                }
            }
        }
        #expect(throws: PithError.self) { try LearntLevels(encoded: [1, 0, 0, 0], count: 3) }
    }

    /// The gradient of w agrees with finite differences, through factors, vectors and projection.
    @Test func gradientsFlowIntoTheSubspace() throws {
        let shape = try ModelConfiguration(
            hiddenSize: 8, layerCount: 1, headCount: 2, headDimension: 4, intermediateSize: 12,
            vocabularySize: 11,
            contextLength: 8, tiesEmbeddings: false)
        let learner = DecoderLearner(shape, seed: 1, pool: ThreadPool(threads: 1))
        let model = SubspaceLoRA(learner, dimension: 20, rank: 2, seed: 4)
        var generator = SeededGenerator(seed: 5)
        var w = (0..<20).map { _ in 0.5 * generator.normal() }
        let sequences: [[Int32]] = (0..<6).map { _ in
            (0..<8).map { _ in Int32(generator.index(below: 11)) }
        }
        model.apply(w)
        _ = try learner.computeGradient(of: sequences)
        let gradient = model.pullBack(w)
        for index in [0, 7, 19] {
            let (kept, step) = (w[index], Float(1e-2))
            var losses: [Double] = []
            for shift in [step, -step] {
                w[index] = kept + shift
                model.apply(w)
                losses.append(try learner.computeGradient(of: sequences))
            }
            w[index] = kept
            let slope = (losses[0] - losses[1]) / Double(2 * step)
            #expect(abs(slope - Double(gradient[index])) < 0.03 * max(0.05, abs(slope)), "\(index)")
        }
    }
}
