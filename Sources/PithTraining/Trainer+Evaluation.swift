import PithCore
import PithTensor

extension Trainer {
    /// The bits that the model as it stands needs for tokens it has not seen, for each of the bytes they stand for.
    ///
    /// The text is cut into windows of one sequence; every token but the first is predicted from those before it in
    /// its window, the first costs log2 of the vocabulary. The figure does not depend on lanes or threads.
    public func bitsPerByte(of tokens: [Int32], byteCount: Int) throws(PithError) -> Double {
        guard !tokens.isEmpty, byteCount > 0 else { throw .data("the held-out text is empty") }
        try Self.checkRange(tokens, configuration)
        let losses = windowLosses(tokens)
        if let window = losses.firstIndex(where: { !$0.isFinite }) {
            throw .data(
                "the loss after \(step) steps is \(losses[window])", at: "held-out text, window \(window + 1)",
                remedy: "a lower learningRate, a longer warmupSteps")
        }
        let nats = losses.reduce(logarithm(Double(configuration.model.vocabularySize)), +)
        return nats / logarithm(2) / Double(byteCount)
    }

    /// The summed loss of each window, in nats.
    private func windowLosses(_ tokens: [Int32]) -> [Double] {
        let length = configuration.sequenceLength
        let predicted = tokens.count - 1
        let windows = (predicted + length - 1) / length
        var losses = [Double](repeating: 0, count: windows)
        let share = max(1, (windows + 4 * pool.threadCount - 1) / (4 * pool.threadCount))
        pool.forEachBlock(of: windows, grain: share, writing: &losses, sharing: self) { block, losses, trainer in
            let (tape, parameters) = (Tape(isRecording: false), trainer.parameters)
            let model = TapeModel(parameters, weights: trainer.weights, gradients: nil)
            for (place, window) in block.enumerated() {
                let (start, end) = (window * length, min((window + 1) * length, predicted))
                let angles =
                    end - start == length
                    ? trainer.angles : SequenceAngles(parameters.description, length: end - start)
                losses[place] = tokens.withUnsafeBufferPointer { tokens in
                    model.loss(
                        UnsafeBufferPointer(rebasing: tokens[start..<end]),
                        targets: UnsafeBufferPointer(rebasing: tokens[start + 1..<end + 1]), angles: angles,
                        scale: 1, on: tape)
                }
                tape.reset()
            }
        }
        return losses
    }
}
