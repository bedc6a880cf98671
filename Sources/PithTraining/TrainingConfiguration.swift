import PithCore
import PithFormats

/// Everything that decides the result of a training run, besides the tokens.
public struct TrainingConfiguration: Equatable, Sendable {
    /// The model; its element type is the one that it is written in.
    public var model: ModelConfiguration
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

    /// The usual settings for a model, on sequences as long as its context.
    public init(model: ModelConfiguration) {
        self.model = model
        sequenceLength = model.contextLength
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
