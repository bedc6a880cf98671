import PithCore
import PithFormats
import PithModels
import PithTensor
import Synchronization

/// A request to stop that may come from a signal handler or another thread.
public final class StopRequest: Sendable {
    private let flag = Atomic<Bool>(false)
    /// No request yet.
    public init() {}
    /// Asks to stop after the step at work.
    public func raise() { flag.store(true, ordering: .releasing) }
    /// Whether someone asked.
    public var isRaised: Bool { flag.load(ordering: .acquiring) }
}

/// Trains a decoder from scratch on tokens.
///
/// A step's sequences are dealt to a fixed number of lanes; each lane runs on one thread with buffers of its own, and
/// the lanes' gradients are added in order. So the weights do not depend on the number of threads.
public final class Trainer {
    /// What decides the result.
    public let configuration: TrainingConfiguration
    /// Steps done.
    public internal(set) var step = 0
    /// The mean loss of the last step, in nats per token.
    public private(set) var lastLoss = Double.nan
    /// The loss of recent steps, newer ones counting more.
    public internal(set) var smoothedLoss = Double.nan
    /// The norm of the last step's gradient before clipping.
    public private(set) var lastGradientNorm = Double.nan
    /// Raise it to stop `run` after the step at work.
    public let stopRequest = StopRequest()

    let tokens: [Int32]
    /// The SHA-256 of the tokens, for checkpoints.
    let tokenDigest: String
    let parameters: ParameterSet
    let weights: FloatBuffer
    let optimizer: AdamW
    let pool: ThreadPool
    private let lanes: [Lane]
    /// One for each thread that can work; which lanes use it decides nothing.
    private let tapes: [Tape]
    let angles: SequenceAngles
    private var sampler: WindowSampler

    /// What one lane works with.
    private final class Lane {
        let gradients: FloatBuffer
        let model: TapeModel
        var loss = 0.0

        init(_ parameters: ParameterSet, weights: FloatBuffer) {
            gradients = FloatBuffer(count: parameters.count)
            model = TapeModel(parameters, weights: weights, gradients: gradients)
        }
    }

    /// A run from its beginning: weights drawn from the seed.
    public init(_ configuration: TrainingConfiguration, tokens: [Int32], pool: ThreadPool) throws(PithError) {
        try configuration.validate()
        try Self.check(tokens, configuration)
        self.configuration = configuration
        self.tokens = tokens
        tokenDigest = tokens.withUnsafeBytes { SHA256.hexDigest(of: $0) }
        self.pool = pool
        let parameters = ParameterSet(Llama(configuration.model).describe())
        let weights = FloatBuffer(count: parameters.count)
        (self.parameters, self.weights) = (parameters, weights)
        optimizer = AdamW(parameters)
        var generator = SeededGenerator(seed: UInt64(configuration.seed))
        parameters.initialize(weights, from: &generator)
        lanes = (0..<configuration.gradientLanes).map { _ in Lane(parameters, weights: weights) }
        tapes = (0..<min(pool.threadCount, configuration.gradientLanes)).map { _ in Tape() }
        angles = SequenceAngles(parameters.description, length: configuration.sequenceLength)
        sampler = WindowSampler(
            tokenCount: tokens.count, length: configuration.sequenceLength, seed: UInt64(configuration.seed))
    }

    /// The number of weights.
    public var parameterCount: Int { parameters.parameterCount }

    /// One step: the mean gradient of the step's sequences, clipped, through AdamW.
    public func takeStep() {
        computeGradient()
        smoothedLoss = smoothedLoss.isNaN ? lastLoss : 0.95 * smoothedLoss + 0.05 * lastLoss
        let clip = min(1, configuration.gradientClip / max(lastGradientNorm, .leastNormalMagnitude))
        optimizer.update(
            weights, gradient: gradient, gradientScale: Float(clip),
            rate: Float(configuration.learningRate(atStep: step)), step: step + 1, configuration, pool: pool)
        step += 1
    }

    /// The loss of the sequences of the step to come, and its gradient in `gradient`.
    func computeGradient() {
        let count = configuration.sequencesPerStep
        let starts = (0..<count).map { sampler.start(of: step * count + $0) }
        let next = Atomic<Int>(0)
        pool.forEachBlock(of: tapes.count, grain: 1, sharing: self) { block, trainer in
            for tape in trainer.tapes[block] {
                while case let lane = next.add(1, ordering: .relaxed).oldValue, lane < trainer.lanes.count {
                    trainer.accumulate(lane, starts, on: tape)
                }
            }
        }
        lastLoss = lanes.reduce(0) { $0 + $1.loss } / Double(configuration.tokensPerStep)
        lastGradientNorm = optimizer.reduce(lanes.map(\.gradients), pool: pool)
    }

    /// Where the sum over all lanes stands.
    var gradient: FloatBuffer { lanes[0].gradients }

    /// The gradients of the sequences that belong to a lane, a few at a time.
    private func accumulate(_ index: Int, _ starts: [Int], on tape: Tape) {
        let lane = lanes[index]
        lane.gradients.pointer.initialize(repeating: 0, count: parameters.count)
        lane.loss = 0
        let length = configuration.sequenceLength
        let scale = 1 / Float(configuration.tokensPerStep)
        let mine = stride(from: index, to: starts.count, by: lanes.count).map { starts[$0] }
        // Products of some hundred rows are fast; more rows only take more memory.
        let together = max(1, 512 / length)
        for first in stride(from: 0, to: mine.count, by: together) {
            let group = mine[first..<min(first + together, mine.count)]
            let inputs = group.flatMap { tokens[$0..<$0 + length] }
            let targets = group.flatMap { tokens[$0 + 1..<$0 + 1 + length] }
            inputs.withUnsafeBufferPointer { inputs in
                targets.withUnsafeBufferPointer { targets in
                    lane.loss += lane.model.loss(
                        inputs, targets: targets, angles: angles, scale: scale, on: tape)
                    tape.backward()
                }
            }
            tape.reset()
        }
    }

    private static func check(_ tokens: [Int32], _ configuration: TrainingConfiguration) throws(PithError) {
        let needed = configuration.sequenceLength + 1
        guard tokens.count >= needed else {
            throw .data(
                "the training text has \(tokens.count) tokens", remedy: "a window needs \(needed) of them")
        }
        try checkRange(tokens, configuration)
    }

    static func checkRange(_ tokens: [Int32], _ configuration: TrainingConfiguration) throws(PithError) {
        let vocabulary = configuration.model.vocabularySize
        guard let wrong = tokens.first(where: { $0 < 0 || $0 >= vocabulary }) else { return }
        throw .data("token \(wrong) is outside the vocabulary of \(vocabulary)")
    }
}
