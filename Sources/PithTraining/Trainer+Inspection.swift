extension Trainer {
    /// All weights in the order of the layout, gaps included; for tests.
    package var weightValues: [Float] {
        get { Array(UnsafeBufferPointer(start: weights.pointer, count: weights.count)) }
        set {
            precondition(newValue.count == weights.count, "as many weights as the model has are needed")
            for i in 0..<weights.count { weights.pointer[i] = newValue[i] }
        }
    }

    /// The loss of the step to come and its gradient, in the order of the weights; for tests.
    package func lossAndGradient() -> (loss: Double, gradient: [Float]) {
        computeGradient()
        return (lastLoss, Array(UnsafeBufferPointer(start: gradient.pointer, count: gradient.count)))
    }

    /// Names and places of the parameters in `weightValues`; for tests.
    package var parameterRanges: [(name: String, range: Range<Int>)] { parameters.entries.map { ($0.name, $0.range) } }
}
