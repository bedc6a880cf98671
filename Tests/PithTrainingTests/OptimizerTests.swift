import PithCore
import PithTensor
import PithTraining
import Testing

@Suite("AdamW")
struct OptimizerTests {
    @Test("the weights follow the published update, clipping included", arguments: [1e9, 0.05])
    func update(clip: Double) throws {
        var configuration = try smallConfiguration()
        configuration.gradientClip = clip
        configuration.weightDecay = 0.3
        let trainer = try Trainer(configuration, tokens: patternedTokens(900), pool: ThreadPool(threads: 2))
        let isMatrix = trainer.parameterRanges.map { ($0.range, !$0.name.contains("norm")) }
        var weights = trainer.weightValues.map(Double.init)
        var first = [Double](repeating: 0, count: weights.count)
        var second = first
        for step in 1...4 {
            let gradient = trainer.lossAndGradient().gradient.map(Double.init)
            let norm = gradient.reduce(0) { $0 + $1 * $1 }.squareRoot()
            let rate = configuration.settings.learningRate(atStep: step - 1)
            for (range, decays) in isMatrix {
                for i in range {
                    let g = gradient[i] * min(1, clip / norm)
                    first[i] = 0.9 * first[i] + 0.1 * g
                    second[i] = 0.95 * second[i] + 0.05 * g * g
                    let m = first[i] / (1 - power(0.9, step))
                    let v = second[i] / (1 - power(0.95, step))
                    weights[i] -= rate * (m / (v.squareRoot() + 1e-8) + (decays ? 0.3 * weights[i] : 0))
                }
            }
            trainer.takeStep()
            let values = trainer.weightValues
            for (range, _) in isMatrix {
                for i in range {
                    // Where a gradient is next to nothing its sign is rounding, and a step is all sign.
                    let isNothing = abs(gradient[i]) < 1e-6
                    #expect(abs(Double(values[i]) - weights[i]) < 2e-5 || isNothing, "step \(step), weight \(i)")
                    weights[i] = Double(values[i])
                }
            }
        }
    }

    private func power(_ base: Double, _ exponent: Int) -> Double { (0..<exponent).reduce(1) { x, _ in x * base } }
}
