import PithCore
import PithFormats
import PithModels
import PithTensor

/// A decoder's weights, and its loss and gradient on sequences that the caller chooses: for learners whose data or
/// parameters are not those of `Trainer`. Results do not depend on the number of threads.
package final class DecoderLearner {
    /// Steps of the optimizer so far.
    package private(set) var step = 0
    private let model: LearnedModel
    private let lanes: GradientLanes
    private let optimizer: Adam
    private let pool: ThreadPool
    /// Of `gradient`.
    private var gradientNorm = 0.0
    private static let laneCount = 4

    /// A model of the Llama family with weights drawn from the seed.
    package convenience init(_ shape: ModelConfiguration, seed: UInt64, pool: ThreadPool) {
        self.init(Llama(shape), seed: seed, pool: pool)
    }

    /// A model of a folder's family and shape, with weights drawn from the seed.
    package convenience init(_ folder: ModelSource, seed: UInt64, pool: ThreadPool) {
        self.init(folder.architecture, seed: seed, pool: pool)
    }

    /// A model with weights drawn from the seed.
    package convenience init(_ architecture: any Architecture, seed: UInt64, pool: ThreadPool) {
        let shape = architecture.configuration
        self.init(
            LearnedModel(
                architecture.describe(), vocabularySize: shape.vocabularySize, contextLength: shape.contextLength,
                seed: seed), pool: pool)
    }

    /// A model of which all parameters learn, from their values on.
    package convenience init(continuing model: LanguageModel, pool: ThreadPool) {
        self.init(LearnedModel(continuing: model), pool: pool)
    }

    /// A model whose adapters learn, and nothing else of it. Throws where the spec does not fit it.
    package convenience init(
        adapting model: LanguageModel, by spec: Spec, seed: UInt64, pool: ThreadPool
    ) throws(PithError) {
        let adaptation = try Adaptation(spec, for: model.description)
        self.init(LearnedModel(adapting: model, by: adaptation, seed: seed), pool: pool)
    }

    private init(_ model: LearnedModel, pool: ThreadPool) {
        (self.model, self.pool) = (model, pool)
        lanes = GradientLanes(model, count: Self.laneCount, pool: pool)
        optimizer = Adam(model.parameterSet)
    }

    /// What its adapters have learned; nil where all weights learn.
    package var adapter: Adapter? { model.adaptation?.adapter(model.parameterSet, model.weights) }
    /// Tokens that the model knows.
    package var vocabularySize: Int { model.vocabularySize }
    /// All parameters that learn, in order.
    package var parameters: [ParameterSet.Entry] { model.parameterSet.entries }
    /// All weights, gaps between parameters included.
    package var weights: UnsafeMutableBufferPointer<Float> {
        .init(start: model.weights.pointer, count: model.weights.count)
    }
    /// The gradient of the last `computeGradient`, in the order of the weights.
    package var gradient: UnsafeBufferPointer<Float> {
        .init(start: lanes.gradient.pointer, count: model.weights.count)
    }

    /// The loss, in nats, of each token but the first of each sequence, predicted from those before it. One that is no
    /// number is an error.
    package func losses(of sequences: [[Int32]]) throws(PithError) -> [[Double]] {
        let groups = groups(of: sequences)
        var losses = sequences.map { [Double](repeating: 0, count: max(0, $0.count - 1)) }
        for (group, part) in zip(groups, lanes.losses(of: groups.map { $0.group(sequences) })) {
            for (place, index) in group.members.enumerated() {
                losses[index] = Array(part[place * group.length..<(place + 1) * group.length])
            }
        }
        for (index, losses) in losses.enumerated() {
            if let place = losses.firstIndex(where: { !$0.isFinite }) {
                throw failure("the loss is \(losses[place])", at: "sequence \(index + 1), token \(place + 2)")
            }
        }
        return losses
    }

    private func failure(_ message: String, at place: String? = nil) -> PithError {
        .data(
            message, at: place,
            remedy: "a lower learning rate helps; where it is so from the first step on, the weights are damaged")
    }

    /// The mean loss for each predicted token, in nats; its gradient stands in `gradient` afterwards. If either is no
    /// number that is an error.
    package func computeGradient(of sequences: [[Int32]]) throws(PithError) -> Double {
        let groups = groups(of: sequences)
        let tokens = groups.reduce(0) { $0 + $1.rows }
        let dealt = (0..<Self.laneCount).map { lane in
            stride(from: lane, to: groups.count, by: Self.laneCount).map { groups[$0].group(sequences) }
        }
        let (sum, norm) = lanes.computeGradient(dealt, scale: 1 / Float(tokens))
        gradientNorm = norm
        let loss = sum / Double(max(1, tokens))
        guard loss.isFinite else { throw failure("the loss is \(loss)") }
        guard norm.isFinite else { throw failure("the norm of the gradient is \(norm)") }
        return loss
    }

    /// One step of AdamW along `gradient`, whose norm is cut to `clip`.
    package func update(rate: Double, weightDecay: Double = 0, clip: Double = 1) {
        step += 1
        optimizer.update(
            model.weights.pointer, gradient: lanes.gradient.pointer,
            gradientScale: Float(min(1, clip / max(gradientNorm, .leastNormalMagnitude))), rate: Float(rate),
            step: step,
            Adam.Options(weightDecay: weightDecay), pool: pool)
    }

    /// `count` sequences of `length` tokens behind `first`, drawn token by token from what the model expects.
    package func sample(
        _ count: Int, length: Int, after first: Int32, _ generator: inout SeededGenerator
    ) throws(PithError) -> [[Int32]] {
        var sequences = [[Int32]](repeating: [first], count: count)
        for _ in 0..<length {
            for (index, logits) in lanes.lastLogits(of: sequences).enumerated() {
                if let (token, value) = logits.firstNonFinite {
                    throw failure("the logit of token \(token) is \(value)")
                }
                let draw = Self.draw(logits, at: Double(generator.uniform()))
                sequences[index].append(Int32(draw))
            }
        }
        return sequences
    }

    /// The token that a share, in 0..<1, of the probability lies before.
    private static func draw(_ logits: [Float], at share: Double) -> Int {
        let largest = logits.max() ?? 0
        let weights = logits.map { exponential(Double($0 - largest)) }
        var rest = share * weights.reduce(0, +)
        for (token, weight) in weights.enumerated() {
            rest -= weight
            if rest < 0 { return token }
        }
        return weights.lastIndex { $0 > 0 } ?? 0
    }

    /// Sequences of one length that go through the model together.
    private struct Members {
        var length: Int
        var members: [Int]
        var rows: Int { length * members.count }

        func group(_ sequences: [[Int32]]) -> SequenceGroup {
            SequenceGroup(
                length: length, inputs: members.flatMap { sequences[$0].dropLast() },
                targets: members.flatMap { sequences[$0].dropFirst() })
        }
    }

    private func groups(of sequences: [[Int32]]) -> [Members] {
        var groups: [Members] = []
        // At most so many rows, and a part for each lane.
        let total = sequences.reduce(0) { $0 + $1.count }
        let limit = min(GradientLanes.rowsTogether, total / Self.laneCount)
        for (index, sequence) in sequences.enumerated() where sequence.count > 1 {
            let length = sequence.count - 1
            if let last = groups.last, last.length == length, last.rows + length <= limit {
                groups[groups.count - 1].members.append(index)
            } else {
                groups.append(Members(length: length, members: [index]))
            }
        }
        return groups
    }
}
