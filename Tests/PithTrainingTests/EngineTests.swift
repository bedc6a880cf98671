import PithCore
import PithFormats
import PithModels
import PithTensor
import PithTestSupport
import PithTraining
import Testing

@Suite("The engine that learns computes what the engine that runs computes")
struct EngineTests {
    /// Losses of whole sequences of two lengths, by both engines.
    @Test(arguments: GoldenModels.names + GoldenModels.encoders) func lossesAgree(name: String) throws {
        let folder = try ModelSource(GoldenModels.path(name))
        var model = try folder.loadModel(
            layouts: LayoutCatalogue([DenseOperator.self]), pool: ThreadPool(threads: 1), allowingEncoders: true)
        model.cache = PlainCache(.float32)
        let learner = DecoderLearner(continuing: model, pool: ThreadPool(threads: 1))
        let sequences: [[Int32]] = [(0..<30).map { Int32(($0 * 17 + 5) % 61) }, (0..<13).map { Int32($0 * 4 + 1) }]
        for (sequence, learned) in zip(sequences, try learner.losses(of: sequences)) {
            var states = [model.makeState()]
            let hidden = try model.hiddenStates([sequence.dropLast().map { Int($0) }], states: &states)
            let logits = try logits(of: hidden, model)
            for (row, loss) in learned.enumerated() {
                let values = logits.rows(row..<row + 1).values.map { Double($0) }
                let total = values.reduce(0) { $0 + exponential($1 - values.max()!) }
                // The same probability.
                let expected = exponential(values[Int(sequence[row + 1])] - values.max()!) / total
                #expect(abs(exponential(-loss) - expected) < 1e-4 * max(expected, 0.01), "\(row)")
            }
        }
    }

    /// Those of an encoder, which makes none, are the products with its token vectors.
    private func logits(of hidden: Tensor, _ model: LanguageModel) throws -> Tensor {
        guard model.description.output == nil else { return try model.logits(of: hidden, rows: 0..<hidden.rows) }
        let table = try #require(model[matrix: model.description.input.table] as? DenseOperator).weight.decoded()
        var logits = Tensor(rows: hidden.rows, columns: table.rows)
        for row in 0..<hidden.rows {
            for token in 0..<table.rows {
                logits[row, token] = (0..<hidden.columns).reduce(0) { $0 + hidden[row, $1] * table[token, $1] }
            }
        }
        return logits
    }

    /// The gradient of the loss along a random direction is the slope that finite differences find.
    @Test(arguments: GoldenModels.names + GoldenModels.encoders) func gradientsAreSlopes(name: String) throws {
        let folder = try ModelSource(GoldenModels.path(name))
        let pool = ThreadPool(threads: 1)
        let model = try folder.loadModel(
            layouts: LayoutCatalogue([DenseOperator.self]), pool: pool, allowingEncoders: true)
        let learner = DecoderLearner(continuing: model, pool: pool)
        let sequences: [[Int32]] = [(0..<20).map { Int32(($0 * 17 + 5) % 61) }]
        var generator = SeededGenerator(seed: 3)
        try learner.expectSlopes(of: sequences, step: 2e-3, &generator)
    }
}

extension DecoderLearner {
    /// The mean loss for each predicted token, in nats.
    func meanLoss(of sequences: [[Int32]]) throws -> Double {
        let losses = try losses(of: sequences)
        return losses.joined().reduce(0, +) / Double(losses.reduce(0) { $0 + $1.count })
    }

    /// Holds the gradient of the mean loss along a random direction of each parameter to the slope that finite differences
    /// find, so long a step away on both sides.
    func expectSlopes(of sequences: [[Int32]], step: Float, _ generator: inout SeededGenerator) throws {
        for entry in parameters {
            _ = try computeGradient(of: sequences)
            let range = entry.offset..<entry.offset + entry.count
            let direction = range.map { _ in generator.normal() }
            let slope = zip(range, direction).reduce(0.0) { $0 + Double(gradient[$1.0]) * Double($1.1) }
            let start = range.map { weights[$0] }
            let step = step / Float(entry.count).squareRoot()
            let losses = try [step, -step].map { step in
                for (i, index) in range.enumerated() { weights[index] = start[i] + step * direction[i] }
                return try meanLoss(of: sequences)
            }
            for (i, index) in range.enumerated() { weights[index] = start[i] }
            let difference = (losses[0] - losses[1]) / Double(2 * step)
            #expect(abs(slope - difference) < 0.02 * max(0.5, abs(difference)), "\(entry.name)")
        }
    }
}
