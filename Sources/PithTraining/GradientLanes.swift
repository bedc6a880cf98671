import PithCore
import PithTensor
import Synchronization

/// Finds losses and gradients of a model on groups of sequences.
///
/// What a step reads is dealt to a fixed number of lanes; each lane runs on one thread with a gradient of its own, and
/// these are added up in order. So results do not depend on the number of threads.
final class GradientLanes {
    let model: LearnedModel
    private let gradients: [FloatBuffer]
    private let tapeModels: [TapeModel]
    private let reading: TapeModel
    /// One for each thread that can work; which lanes use it decides nothing.
    private let tapes: [Tape]
    private let reducer: any GradientReducer
    private let pool: ThreadPool
    private var angles: [Int: SequenceAngles] = [:]

    /// Rows that go through a model together: products of some hundred rows are fast, more only take more memory.
    static let rowsTogether = 512

    init(
        _ model: LearnedModel, count: Int, recomputes: Bool = false, reducer: any GradientReducer = LaneReducer(),
        pool: ThreadPool
    ) {
        (self.model, self.reducer, self.pool) = (model, reducer, pool)
        let buffers = (0..<count).map { _ in FloatBuffer(count: model.parameterSet.count) }
        gradients = buffers
        tapeModels = buffers.map { TapeModel(model, gradients: $0, recomputes: recomputes) }
        reading = TapeModel(model, gradients: nil)
        tapes = (0..<min(pool.threadCount, count)).map { _ in Tape() }
    }

    /// Lanes.
    var count: Int { gradients.count }
    /// Where the sum over all lanes stands.
    var gradient: FloatBuffer { gradients[0] }

    /// The summed loss of the groups of all lanes, and the norm of the gradient of `scale` times it, which stands in
    /// `gradient` afterwards.
    func computeGradient(_ lanes: [[SequenceGroup]], scale: Float) -> (loss: Double, norm: Double) {
        precondition(lanes.count == count, "groups for each lane")
        for group in lanes.joined() { prepareAngles(group.length) }
        var losses = [Double](repeating: 0, count: count)
        let next = Atomic<Int>(0)
        losses.withUnsafeMutableBufferPointer { losses in
            pool.forEachBlock(
                of: tapes.count, grain: 1, sharing: self, losses.baseAddress
            ) { block, engine, losses in
                for tape in engine.tapes[block] {
                    while case let lane = next.add(1, ordering: .relaxed).oldValue, lane < lanes.count {
                        losses?[lane] = engine.accumulate(lane, lanes[lane], scale, on: tape)
                    }
                }
            }
        }
        let loss = reducer.reduce(gradients, losses: losses, chunks: model.parameterSet.chunks, pool: pool)
        return (loss, gradientNorm())
    }

    /// The loss of the groups of a lane, one after the other; their gradients are added up.
    private func accumulate(_ lane: Int, _ groups: [SequenceGroup], _ scale: Float, on tape: Tape) -> Double {
        gradients[lane].pointer.initialize(repeating: 0, count: gradients[lane].count)
        var loss = 0.0
        for group in groups {
            loss += tapeModels[lane].loss(group, angles: preparedAngles(group.length), scale: scale, on: tape)
            tape.backward()
            tape.reset()
        }
        return loss
    }

    /// Of the sum over all lanes.
    private func gradientNorm() -> Double {
        let (chunks, training) = (model.parameterSet.chunks, trainingKernels)
        let squares = pool.map(chunks.count, sharing: gradient.pointer) { index, gradient in
            training.squared_sum(gradient + chunks[index].offset, Int64(chunks[index].count))
        }
        return squares.reduce(0, +).squareRoot()
    }

    /// The loss of each target of each group, in nats.
    func losses(of groups: [SequenceGroup]) -> [[Double]] {
        for group in groups { prepareAngles(group.length) }
        var results = [[Double]](repeating: [], count: groups.count)
        pool.forEachBlock(
            of: groups.count, grain: share(of: groups.count), writing: &results, sharing: self
        ) { block, results, engine in
            let tape = Tape(isRecording: false)
            for (place, group) in groups[block].enumerated() {
                var losses = [Double](repeating: 0, count: group.targets.count)
                losses.withUnsafeMutableBufferPointer {
                    _ = engine.reading.loss(
                        group, angles: engine.preparedAngles(group.length), scale: 1, rowLosses: $0.baseAddress,
                        on: tape)
                }
                results[place] = losses
                tape.reset()
            }
        }
        return results
    }

    /// What is expected behind the last token of each of some sequences of one length.
    func lastLogits(of sequences: [[Int32]]) -> [[Float]] {
        let (length, columns) = (sequences[0].count, model.vocabularySize)
        prepareAngles(length)
        var result = [[Float]](repeating: [], count: sequences.count)
        pool.forEachBlock(
            of: sequences.count, grain: share(of: sequences.count), writing: &result, sharing: self
        ) { block, result, engine in
            let tape = Tape(isRecording: false)
            let logits = engine.reading.logits(
                sequences[block].flatMap { $0 }, angles: engine.preparedAngles(length), on: tape)
            for place in 0..<block.count {
                let last = logits.values + ((place + 1) * length - 1) * columns
                result[place] = Array(UnsafeBufferPointer(start: last, count: columns))
            }
            // The logits live as long as the tape does.
            tape.reset()
        }
        return result
    }

    /// Some blocks for each thread.
    private func share(of count: Int) -> Int {
        let shares = 4 * pool.threadCount
        return max(1, (count + shares - 1) / shares)
    }

    /// Makes the angles of sequences of so many tokens, once.
    private func prepareAngles(_ length: Int) {
        if angles[length] == nil {
            angles[length] = SequenceAngles(model.description, length: length + model.promptLength)
        }
    }

    private func preparedAngles(_ length: Int) -> SequenceAngles {
        guard let angles = angles[length] else { preconditionFailure("angles are made before the loop") }
        return angles
    }
}
