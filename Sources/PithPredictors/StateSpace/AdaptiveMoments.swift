/// Adam: each parameter moves against its mean gradient, by a step that its gradient's spread does not change.
package struct AdaptiveMoments {
    private let mean: FloatBuffer
    private let square: FloatBuffer
    private let rate: Float
    private static let (keepMean, keepSquare): (Float, Float) = (0.9, 0.999)
    // keepMean and keepSquare to the power of the number of steps.
    private var (meanPower, squarePower): (Float, Float) = (1, 1)

    /// Moments of `count` parameters, which move by about `rate` a step.
    package init(count: Int, rate: Float) {
        (mean, square, self.rate) = (FloatBuffer((count + 15) / 16 * 16), FloatBuffer((count + 15) / 16 * 16), rate)
    }

    /// Moves `parameters` by `gradient`, cut to a length of `limit`, and sets it to 0.
    package mutating func step(
        _ parameters: UnsafeMutablePointer<Float>, _ gradient: UnsafeMutablePointer<Float>, limit: Float, slow: Float
    ) {
        let length = dot(gradient, gradient, mean.count).squareRoot()
        let cut = length > limit ? limit / length : 1
        meanPower *= Self.keepMean
        squarePower *= Self.keepSquare
        let (size, spread) = (rate * slow / (1 - meanPower), 1 / (1 - squarePower))
        for i in stride(from: 0, to: mean.count, by: 16) {
            let g = gradient.lanes(i) * cut
            let m = mean.floats.lanes(i) * Self.keepMean + g * (1 - Self.keepMean)
            let v = square.floats.lanes(i) * Self.keepSquare + g * g * (1 - Self.keepSquare)
            mean.floats.store(m, i)
            square.floats.store(v, i)
            parameters.store(parameters.lanes(i) - m * size / ((v * spread).squareRoot() + 1e-8), i)
            gradient.store(Lanes(), i)
        }
    }
}
