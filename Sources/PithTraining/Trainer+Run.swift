import PithCore
import PithTensor

/// How far a training run is.
public struct TrainingReport: Sendable {
    /// Steps done.
    public var step: Int
    /// Steps of the whole run.
    public var steps: Int
    /// The loss of recent steps in nats per token, newer ones counting more.
    public var loss: Double
    /// The learning rate of the last step.
    public var learningRate: Double
    /// Tokens learned from in a second, since this call of `run` began.
    public var tokensPerSecond: Double
    /// Seconds until the last step, at that speed.
    public var secondsLeft: Double
}

extension Trainer {
    /// Takes the steps that are left. Writes a checkpoint to `checkpoint` at the configured interval, at the end and
    /// when asked to stop; returns whether the run is complete.
    public func run(
        checkpoint: String? = nil, report: (TrainingReport) -> Void = { _ in }
    ) throws(PithError) -> Bool {
        let clock = ContinuousClock()
        let (start, firstStep) = (clock.now, step)
        while step < settings.steps && !stopRequest.isRaised {
            takeStep()
            guard lastLoss.isFinite, lastGradientNorm.isFinite else {
                throw .data(
                    "the loss is no longer a number at step \(step)",
                    remedy: "a lower learningRate, a longer warmupSteps; the last checkpoint is from before")
            }
            let seconds = (clock.now - start).seconds
            let perStep = seconds / Double(step - firstStep)
            report(
                TrainingReport(
                    step: step, steps: settings.steps, loss: smoothedLoss,
                    learningRate: settings.learningRate(atStep: step - 1),
                    tokensPerSecond: Double(settings.tokensPerStep) / perStep,
                    secondsLeft: perStep * Double(settings.steps - step)))
            let isDue = step % settings.checkpointInterval == 0 && step < settings.steps
            if let checkpoint, isDue { try saveCheckpoint(to: checkpoint) }
        }
        if let checkpoint, step > firstStep { try saveCheckpoint(to: checkpoint) }
        return step == settings.steps
    }
}
