/// Everything that decides the result of a training run, besides the tokens.
public struct TrainingConfiguration: Hashable, Sendable, Codable {
    /// The model.
    public var model: ModelShape
    /// Tokens of one sequence.
    public var sequenceLength: Int
    /// Sequences of one batch.
    public var batchSize: Int
    /// Batches whose gradients make one step.
    public var accumulation: Int
    /// Steps of the run; they fix the schedule of the learning rate.
    public var steps: Int
    /// The highest learning rate.
    public var learningRate: Double
    /// Steps until it is reached.
    public var warmupSteps: Int
    /// The last learning rate as a fraction of the highest.
    public var finalFraction: Double
    /// Decoupled decay of matrices.
    public var weightDecay: Double
    /// Decay of the first moment.
    public var beta1: Double
    /// Decay of the second moment.
    public var beta2: Double
    /// The largest norm of a step's gradient.
    public var gradientClip: Double
    /// What all random choices come from.
    public var seed: UInt64
    /// Parts that a batch is divided into; each is summed on its own, so that the result does not depend on threads.
    public var gradientLanes: Int

    /// Creates a configuration.
    public init(
        model: ModelShape, sequenceLength: Int, batchSize: Int = 8, accumulation: Int = 1, steps: Int,
        learningRate: Double = 1e-3, warmupSteps: Int = 100, finalFraction: Double = 0.1, weightDecay: Double = 0.1,
        beta1: Double = 0.9, beta2: Double = 0.95, gradientClip: Double = 1, seed: UInt64 = 1, gradientLanes: Int = 4
    ) {
        self.model = model
        self.sequenceLength = sequenceLength
        self.batchSize = batchSize
        self.accumulation = accumulation
        self.steps = steps
        self.learningRate = learningRate
        self.warmupSteps = warmupSteps
        self.finalFraction = finalFraction
        self.weightDecay = weightDecay
        self.beta1 = beta1
        self.beta2 = beta2
        self.gradientClip = gradientClip
        self.seed = seed
        self.gradientLanes = gradientLanes
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
