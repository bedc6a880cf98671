import PithCore
import PithFormats
import PithModels
import PithTensor

/// A decoder's weights, and its loss and gradient on sequences that the caller chooses: for learners whose data or
/// parameters are not those of `Trainer`. Results do not depend on the number of threads.
package final class DecoderLearner {
    /// The model's sizes.
    package let shape: ModelConfiguration
    /// Where each parameter lies among the weights.
    package let parameterSet: ParameterSet
    /// Steps of the optimizer so far.
    package private(set) var step = 0
    private let buffer: FloatBuffer
    private let laneGradients: [FloatBuffer]
    private let optimizer: AdamW
    private let pool: ThreadPool
    private var angles: [Int: SequenceAngles] = [:]
    /// Sequences are dealt to so many lanes, each summed on its own.
    private static let laneCount = 4
    /// Rows that go through the model together.
    private static let rowsTogether = 512

    /// A model of the Llama family with weights drawn from the seed.
    package convenience init(_ shape: ModelConfiguration, seed: UInt64, pool: ThreadPool) {
        self.init(Llama(shape), seed: seed, pool: pool)
    }

    /// A model of a folder's family and shape, with weights drawn from the seed.
    package convenience init(_ folder: ModelSource, seed: UInt64, pool: ThreadPool) {
        self.init(folder.configuration, folder.description, seed: seed, pool: pool)
    }

    /// A model with weights drawn from the seed.
    package convenience init(_ architecture: any Architecture, seed: UInt64, pool: ThreadPool) {
        self.init(architecture.configuration, architecture.describe(), seed: seed, pool: pool)
    }

    private init(_ shape: ModelConfiguration, _ description: ModelDescription, seed: UInt64, pool: ThreadPool) {
        self.shape = shape
        self.pool = pool
        let set = ParameterSet(description)
        parameterSet = set
        buffer = FloatBuffer(count: set.count)
        laneGradients = (0..<Self.laneCount).map { _ in FloatBuffer(count: set.count) }
        optimizer = AdamW(set)
        var generator = SeededGenerator(seed: seed)
        set.initialize(buffer, from: &generator)
    }

    /// All parameters in order.
    package var parameters: [ParameterSet.Entry] { parameterSet.entries }
    /// All weights, gaps between parameters included.
    package var weights: UnsafeMutableBufferPointer<Float> { .init(start: buffer.pointer, count: buffer.count) }
    /// The gradient of the last `computeGradient`, in the order of the weights.
    package var gradient: UnsafeMutableBufferPointer<Float> {
        .init(start: laneGradients[0].pointer, count: buffer.count)
    }

    /// Takes the weights of a model folder of the same shape.
    package func load(_ archive: TensorArchive) throws(PithError) {
        try parameterSet.load(from: archive, into: buffer)
    }

    /// The loss, in nats, of each token but the first of each sequence, predicted from those before it. One that is no
    /// number is an error.
    package func losses(of sequences: [[Int32]]) throws(PithError) -> [[Double]] {
        let groups = groups(of: sequences)
        var losses = sequences.map { [Double](repeating: 0, count: max(0, $0.count - 1)) }
        var parts = [[Double]](repeating: [], count: groups.count)
        let share = max(1, groups.count / (4 * pool.threadCount))
        pool.forEachBlock(of: groups.count, grain: share, writing: &parts, sharing: self) { block, parts, learner in
            let tape = Tape(isRecording: false)
            let model = TapeModel(learner.parameterSet, weights: learner.buffer, gradients: nil)
            for (place, group) in groups[block].enumerated() {
                var losses = [Double](repeating: 0, count: group.rows)
                losses.withUnsafeMutableBufferPointer {
                    _ = learner.run(group, sequences, model, scale: 1, rowLosses: $0.baseAddress, on: tape)
                }
                parts[place] = losses
                tape.reset()
            }
        }
        for (group, part) in zip(groups, parts) {
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
        let sums = pool.map(Self.laneCount, sharing: self) { lane, learner in
            let gradient = learner.laneGradients[lane]
            gradient.pointer.initialize(repeating: 0, count: gradient.count)
            let tape = Tape()
            let model = TapeModel(learner.parameterSet, weights: learner.buffer, gradients: gradient)
            var sum = 0.0
            for index in stride(from: lane, to: groups.count, by: Self.laneCount) {
                sum += learner.run(
                    groups[index], sequences, model, scale: 1 / Float(tokens), rowLosses: nil, on: tape)
                tape.reset()
            }
            return sum
        }
        let norm = optimizer.reduce(laneGradients, pool: pool)
        let loss = sums.reduce(0, +) / Double(max(1, tokens))
        guard loss.isFinite else { throw failure("the loss is \(loss)") }
        guard norm.isFinite else { throw failure("the norm of the gradient is \(norm)") }
        return loss
    }

    /// One step of AdamW along `gradient`, whose norm is cut to `clip`.
    package func update(rate: Double, weightDecay: Double = 0, clip: Double = 1) {
        var options = TrainingConfiguration(model: shape)
        options.weightDecay = weightDecay
        step += 1
        let norm = gradient.reduce(0.0) { $0 + Double($1) * Double($1) }.squareRoot()
        optimizer.update(
            buffer, gradient: laneGradients[0],
            gradientScale: Float(min(1, clip / max(norm, .leastNormalMagnitude))), rate: Float(rate), step: step,
            options, pool: pool)
    }

    /// `count` sequences of `length` tokens behind `first`, drawn token by token from what the model expects.
    package func sample(
        _ count: Int, length: Int, after first: Int32, _ generator: inout SeededGenerator
    ) throws(PithError) -> [[Int32]] {
        var sequences = [[Int32]](repeating: [first], count: count)
        for _ in 0..<length {
            for (index, logits) in lastLogits(of: sequences).enumerated() {
                if let (token, value) = logits.firstNonFinite {
                    throw failure("the logit of token \(token) is \(value)")
                }
                let draw = Self.draw(logits, at: Double(generator.uniform()))
                sequences[index].append(Int32(draw))
            }
        }
        return sequences
    }

    /// What is expected behind each of some sequences of one length.
    private func lastLogits(of sequences: [[Int32]]) -> [[Float]] {
        let (length, columns) = (sequences[0].count, shape.vocabularySize)
        let angles = prepareAngles(length)
        var result = [[Float]](repeating: [], count: sequences.count)
        let share = max(1, sequences.count / (2 * pool.threadCount))
        pool.forEachBlock(
            of: sequences.count, grain: share, writing: &result, sharing: self
        ) { block, result, learner in
            let tape = Tape(isRecording: false)
            let model = TapeModel(learner.parameterSet, weights: learner.buffer, gradients: nil)
            sequences[block].flatMap { $0 }.withUnsafeBufferPointer { tokens in
                let logits = model.logits(tokens, angles: angles, on: tape)
                for place in 0..<block.count {
                    let last = logits.values + ((place + 1) * length - 1) * columns
                    result[place] = Array(UnsafeBufferPointer(start: last, count: columns))
                }
            }
        }
        return result
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
    private struct Group {
        var length: Int
        var members: [Int]
        var rows: Int { length * members.count }
    }

    private func groups(of sequences: [[Int32]]) -> [Group] {
        var groups: [Group] = []
        // At most so many rows, and a part for each lane.
        let total = sequences.reduce(0) { $0 + $1.count }
        let limit = min(Self.rowsTogether, total / Self.laneCount)
        for (index, sequence) in sequences.enumerated() where sequence.count > 1 {
            let length = sequence.count - 1
            prepareAngles(length)
            if let last = groups.last, last.length == length, last.rows + length <= limit {
                groups[groups.count - 1].members.append(index)
            } else {
                groups.append(Group(length: length, members: [index]))
            }
        }
        return groups
    }

    /// The angles of sequences of a length, made once.
    @discardableResult
    private func prepareAngles(_ length: Int) -> SequenceAngles {
        if let known = angles[length] { return known }
        let made = SequenceAngles(parameterSet.description, length: length)
        angles[length] = made
        return made
    }

    private func run(
        _ group: Group, _ sequences: [[Int32]], _ model: TapeModel, scale: Float,
        rowLosses: UnsafeMutablePointer<Double>?, on tape: Tape
    ) -> Double {
        guard let angles = angles[group.length] else { preconditionFailure("angles are made with the groups") }
        let inputs = group.members.flatMap { sequences[$0].dropLast() }
        let targets = group.members.flatMap { sequences[$0].dropFirst() }
        return inputs.withUnsafeBufferPointer { inputs in
            targets.withUnsafeBufferPointer { targets in
                let loss = model.loss(
                    inputs, targets: targets, angles: angles, scale: scale, rowLosses: rowLosses, on: tape)
                // While the tokens are where the tape saw them.
                if tape.isRecording { tape.backward() }
                return loss
            }
        }
    }
}
