extension Trainer {
    /// All weights that learn, in order, gaps included; for tests.
    package var weightValues: [Float] {
        get { Array(UnsafeBufferPointer(start: model.weights.pointer, count: model.weights.count)) }
        set {
            precondition(newValue.count == model.weights.count, "as many weights as the model has are needed")
            for i in 0..<newValue.count { model.weights.pointer[i] = newValue[i] }
        }
    }

    /// The loss of the step to come and its gradient, in the order of the weights; for tests.
    package func lossAndGradient() -> (loss: Double, gradient: [Float]) {
        computeGradient()
        return (lastLoss, Array(UnsafeBufferPointer(start: lanes.gradient.pointer, count: lanes.gradient.count)))
    }

    /// Names and places of the parameters in `weightValues`; for tests.
    package var parameterRanges: [(name: String, range: Range<Int>)] {
        model.parameterSet.entries.map { ($0.name, $0.range) }
    }
}
