import PithCore
import PithTensor

/// How a run learns: all that decides its result besides the model and the tokens.
public struct TrainingSettings: Equatable, Sendable {
    /// Tokens of one sequence.
    public var sequenceLength: Int
    /// Sequences of one batch.
    public var batchSize = 8
    /// Batches whose gradients make one step.
    public var accumulation = 1
    /// Steps of the run; they fix the schedule of the learning rate.
    public var steps = 1000
    /// The highest learning rate.
    public var learningRate = 1e-3
    /// Steps until it is reached.
    public var warmupSteps = 0
    /// The last learning rate as a fraction of the highest.
    public var finalFraction = 0.1
    /// Decoupled decay of matrices.
    public var weightDecay = 0.1
    /// Decay of the first moment.
    public var beta1 = 0.9
    /// Decay of the second moment.
    public var beta2 = 0.95
    /// The largest norm of a step's gradient.
    public var gradientClip = 1.0
    /// What all random choices come from.
    public var seed = 1
    /// Parts that a step's sequences are divided into; each is summed on its own, so that the result does not depend
    /// on the number of threads. No more threads than lanes can work at once.
    public var gradientLanes = 4
    /// Steps between two checkpoints; it decides nothing about the result.
    public var checkpointInterval = 100
    /// Whether layers run once more on the way back, so that only what enters them is kept; it decides nothing about
    /// the result.
    public var recompute = false
    /// What the weights are rounded to when they are written; nil for what the model came in, BF16 if that is no type
    /// of floats.
    public var outputType: ElementType?

    /// The usual settings of a run from the beginning.
    public init(sequenceLength: Int) { self.sequenceLength = sequenceLength }

    /// The usual settings for going on with a model that reads `contextLength` tokens: of `learned` weights, which are
    /// all or those of adapters.
    public init(continuing contextLength: Int, learned: Int, isAdapting: Bool) {
        self.init(sequenceLength: min(contextLength, 512))
        (steps, warmupSteps, weightDecay) = (100, 10, 0)
        learningRate = isAdapting ? 3e-4 : 2e-5
        // A lane has a gradient of its own.
        gradientLanes = learned > 1 << 25 ? 2 : 4
        recompute = isAdapting
    }

    /// Sequences that make one step.
    public var sequencesPerStep: Int { batchSize * accumulation }
    /// Tokens that make one step.
    public var tokensPerStep: Int { sequencesPerStep * sequenceLength }

    /// The learning rate of a step, counted from 0: a straight rise, then half a cosine.
    public func learningRate(atStep step: Int) -> Double {
        if step < warmupSteps { return learningRate * Double(step + 1) / Double(warmupSteps) }
        let progress = Double(step - warmupSteps) / Double(max(1, steps - 1 - warmupSteps))
        let wave = 0.5 * (1 + cosine(.pi * min(1, progress)))
        return learningRate * (finalFraction + (1 - finalFraction) * wave)
    }
}
