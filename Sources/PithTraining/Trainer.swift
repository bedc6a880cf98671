import PithCore
import PithFormats
import PithModels
import PithTensor

/// Trains a decoder on tokens: from its beginning, or on from what another learned.
///
/// A step's sequences are dealt to a fixed number of lanes (`GradientLanes`), so that the weights do not depend on the
/// number of threads.
public final class Trainer {
    /// What a run begins with.
    enum Origin {
        /// A model of the Llama family with weights drawn from the seed.
        case sizes(ModelConfiguration)
        /// A model that was there before.
        case model(TrainingBase)
    }

    /// How it learns.
    public let settings: TrainingSettings
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

    let origin: Origin
    let model: LearnedModel
    let tokens: [Int32]
    /// The SHA-256 of the tokens, for checkpoints.
    let tokenDigest: String
    let optimizer: Adam
    let lanes: GradientLanes
    private let pool: ThreadPool
    private var sampler: WindowSampler

    /// A run from the beginning: weights drawn from the seed.
    public convenience init(
        _ configuration: TrainingConfiguration, tokens: [Int32], pool: ThreadPool
    ) throws(PithError) {
        try configuration.validate()
        let shape = configuration.model
        let model = LearnedModel(
            Llama(shape).describe(), vocabularySize: shape.vocabularySize, contextLength: shape.contextLength,
            seed: UInt64(configuration.seed))
        try self.init(.sizes(shape), model, configuration.settings, tokens, pool)
    }

    /// A run that goes on with a model.
    public convenience init(
        _ base: TrainingBase, _ settings: TrainingSettings, tokens: [Int32], pool: ThreadPool
    ) throws(PithError) {
        try settings.validate(contextLength: base.contextLength)
        try self.init(.model(base), base.learnedModel(seed: UInt64(settings.seed)), settings, tokens, pool)
    }

    private init(
        _ origin: Origin, _ model: LearnedModel, _ settings: TrainingSettings, _ tokens: [Int32], _ pool: ThreadPool
    ) throws(PithError) {
        let needed = settings.sequenceLength + 1
        guard tokens.count >= needed else {
            throw .data(
                "the training text has \(tokens.count) tokens", remedy: "a window needs \(needed) of them")
        }
        try model.check(tokens)
        (self.origin, self.model, self.settings, self.tokens, self.pool) = (origin, model, settings, tokens, pool)
        tokenDigest = tokens.withUnsafeBytes { SHA256.hexDigest(of: $0) }
        optimizer = Adam(model.parameterSet)
        lanes = GradientLanes(model, count: settings.gradientLanes, recomputes: settings.recompute, pool: pool)
        sampler = WindowSampler(
            tokenCount: tokens.count, length: settings.sequenceLength, seed: UInt64(settings.seed))
    }

    /// The number of weights that learn.
    public var parameterCount: Int { model.parameterSet.parameterCount }
    /// The number of weights of the model, without what adapters add.
    public var modelWeightCount: Int { model.description.weightCount }

    /// One step: the mean gradient of the step's sequences, clipped, through AdamW.
    public func takeStep() {
        computeGradient()
        smoothedLoss = smoothedLoss.isNaN ? lastLoss : 0.95 * smoothedLoss + 0.05 * lastLoss
        let clip = min(1, settings.gradientClip / max(lastGradientNorm, .leastNormalMagnitude))
        optimizer.update(
            model.weights.pointer, gradient: lanes.gradient.pointer, gradientScale: Float(clip),
            rate: Float(settings.learningRate(atStep: step)), step: step + 1,
            Adam.Options(beta1: settings.beta1, beta2: settings.beta2, weightDecay: settings.weightDecay), pool: pool)
        step += 1
    }

    /// The loss of the sequences of the step to come, and its gradient.
    func computeGradient() {
        let count = settings.sequencesPerStep
        let starts = (0..<count).map { sampler.start(of: step * count + $0) }
        let dealt = (0..<lanes.count).map { lane in
            groups(stride(from: lane, to: count, by: lanes.count).map { starts[$0] })
        }
        let (loss, norm) = lanes.computeGradient(dealt, scale: 1 / Float(settings.tokensPerStep))
        (lastLoss, lastGradientNorm) = (loss / Double(settings.tokensPerStep), norm)
    }

    /// The windows that begin at `starts`, a few together.
    private func groups(_ starts: [Int]) -> [SequenceGroup] {
        let length = settings.sequenceLength
        let together = max(1, GradientLanes.rowsTogether / length)
        return stride(from: 0, to: starts.count, by: together).map { first in
            let group = starts[first..<min(first + together, starts.count)]
            return SequenceGroup(
                length: length, inputs: group.flatMap { tokens[$0..<$0 + length] },
                targets: group.flatMap { tokens[$0 + 1..<$0 + 1 + length] })
        }
    }
}

extension LearnedModel {
    /// Refuses tokens that the model does not know.
    func check(_ tokens: [Int32]) throws(PithError) {
        guard let wrong = tokens.first(where: { $0 < 0 || $0 >= vocabularySize }) else { return }
        throw .data("token \(wrong) is outside the vocabulary of \(vocabularySize)")
    }
}
