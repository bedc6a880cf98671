import PithCore
import PithTensor

extension Trainer {
    /// The bits that the model as it stands needs for tokens it has not seen, for each of the bytes they stand for.
    ///
    /// The text is cut into windows of one sequence; every token but the first is predicted from those before it in
    /// its window, the first costs log2 of the vocabulary. The figure does not depend on lanes or threads.
    public func bitsPerByte(of tokens: [Int32], byteCount: Int) throws(PithError) -> Double {
        guard !tokens.isEmpty, byteCount > 0 else { throw .data("the held-out text is empty") }
        try model.check(tokens)
        let losses = windowLosses(tokens)
        if let window = losses.firstIndex(where: { !$0.isFinite }) {
            throw .data(
                "the loss after \(step) steps is \(losses[window])", at: "held-out text, window \(window + 1)",
                remedy: "a lower learningRate, a longer warmupSteps")
        }
        let nats = losses.reduce(logarithm(Double(model.vocabularySize)), +)
        return nats / logarithm(2) / Double(byteCount)
    }

    /// The summed loss of each window, in nats.
    private func windowLosses(_ tokens: [Int32]) -> [Double] {
        let (length, predicted) = (settings.sequenceLength, tokens.count - 1)
        let groups = stride(from: 0, to: predicted, by: length).map { start in
            let end = min(start + length, predicted)
            return SequenceGroup(
                length: end - start, inputs: Array(tokens[start..<end]), targets: Array(tokens[start + 1..<end + 1]))
        }
        return lanes.losses(of: groups).map { $0.reduce(0, +) }
    }
}
