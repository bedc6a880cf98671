import PithCore
import PithFormats
import PithTensor
import PithTraining

/// Divides what is in data into structure and noise, as a small learner sees them.
///
/// The learner reads windows of bytes once. Coding each batch with the model as it then is takes the bits of the loss
/// curve; what lies above the final loss is what had to be learned (epiplexity), the rest is noise to this learner:
///
///     structure = Σ over batches, bytes · (loss − final loss)        noise = bytes · final loss
///
/// What a learner knows can also be sent without the data: a student learns from windows that the learner, its teacher,
/// writes after each of its steps. Relative-entropy coding sends a window at the cost of what the teacher expects of it
/// beyond the student (requential coding); the sum describes the last student, a program that predicts the data:
///
///     requential = Σ over batches, log₂ teacher(window) − log₂ student(window), windows drawn from the teacher
public struct Epiplexity: Sendable {
    /// What was found in some data.
    public struct Result: Sendable {
        /// Bytes that were learned from.
        public var bytes: Int
        /// Bits of structure.
        public var structure: Estimate
        /// Bits of noise.
        public var noise: Estimate
        /// Bits per byte of each batch before it was learned from.
        public var curve: [Double]
        /// Bits per byte, at the end, of windows that were not learned from.
        public var finalRate: Estimate
        /// What a student learned from the learner, if one did.
        public var student: Student?
    }

    /// A student that learned from its teacher's windows alone.
    public struct Student: Sendable, Equatable {
        /// Bits that describe it.
        public var bits: Estimate
        /// Its bits per byte, at the end, of windows of the data that were not learned from.
        public var finalRate: Estimate
    }

    /// Bytes of a window.
    public var window = 64
    /// Windows of a batch.
    public var batch = 16
    /// The width of the learner.
    public var width = 64
    /// The layers of the learner.
    public var layers = 2
    /// The highest learning rate.
    public var learningRate = 4e-3
    /// Where all random choices come from.
    public var seed: UInt64 = 1
    /// Whether a student learns from the learner.
    public var hasStudent = false

    /// The token before the first byte.
    fileprivate static let beginning: Int32 = 256

    /// A measure with a learner of the usual size.
    public init() {}

    /// Learns `bytes`, or where `reversed` each window from its end to its beginning.
    public func measure(
        _ bytes: [UInt8], reversed: Bool = false, pool: ThreadPool, quiet: Bool = true
    ) throws(PithError) -> Result {
        var windows = stride(from: 0, through: bytes.count - window, by: window).map { start in
            let piece = bytes[start..<start + window].map { Int32($0) }
            return [Self.beginning] + (reversed ? piece.reversed() : piece)
        }
        guard windows.count >= 20 * batch else {
            throw .data(
                "\(bytes.count) bytes are too few to learn from", remedy: "give at least \(20 * batch * window)")
        }
        var generator = SeededGenerator(seed: seed)
        for i in stride(from: windows.count - 1, to: 0, by: -1) {
            windows.swapAt(i, generator.index(below: i + 1))
        }
        let heldOut = Array(windows[..<(windows.count / 10)])
        let learner = DecoderLearner(try shape(), seed: seed, pool: pool)
        var student = hasStudent ? StudentLearner(try shape(), seed: seed &+ 1, pool: pool) : nil
        let steps = (windows.count - heldOut.count) / batch
        var curve: [Double] = []
        var progress = Progress("learning", total: steps, quiet: quiet)
        for step in 0..<steps {
            let start = heldOut.count + step * batch
            do throws(PithError) {
                let loss = try learner.computeGradient(of: Array(windows[start..<start + batch]))
                curve.append(loss / naturalLogarithm(2))
                learner.update(rate: rate(step, of: steps), weightDecay: 0.1)
                try student?.learn(from: learner, windows: batch, of: window, rate: rate(step, of: steps))
            } catch { throw error.within("step \(step + 1)") }
            progress.update(step + 1)
        }
        progress.finish()
        var result = result(curve, finalRate: try rate(of: learner, on: heldOut))
        result.student = try student.map { (student) throws(PithError) in
            Student(bits: student.bits, finalRate: try rate(of: student.learner, on: heldOut))
        }
        return result
    }

    private func result(_ curve: [Double], finalRate: Estimate) -> Result {
        let perBatch = Double(batch * window)
        let bytes = perBatch * Double(curve.count)
        // The final rate's error is that of structure and noise alike: they share the bits of the curve.
        let error = bytes * finalRate.standardError
        let structure = perBatch * curve.reduce(0) { $0 + $1 - finalRate.value }
        return Result(
            bytes: Int(bytes), structure: Estimate(structure, standardError: error),
            noise: Estimate(bytes * finalRate.value, standardError: error), curve: curve, finalRate: finalRate)
    }

    private func rate(of learner: DecoderLearner, on windows: [[Int32]]) throws(PithError) -> Estimate {
        var sums = BlockSums()
        for losses in try learner.losses(of: windows) {
            sums.append(losses.reduce(0, +) / naturalLogarithm(2), over: Double(window))
        }
        return sums.ratio
    }

    private func shape() throws(PithError) -> ModelConfiguration {
        try ModelConfiguration(
            hiddenSize: width, layerCount: layers, headCount: 4, headDimension: max(2, width / 8 * 2),
            intermediateSize: 2 * width, vocabularySize: 257, contextLength: window, tiesEmbeddings: true)
    }

    /// A short rise, then a straight fall to a tenth.
    private func rate(_ step: Int, of steps: Int) -> Double {
        let warmup = max(1, steps / 20)
        if step < warmup { return learningRate * Double(step + 1) / Double(warmup) }
        return learningRate * (1 - 0.9 * Double(step - warmup) / Double(max(1, steps - warmup)))
    }
}

/// Learns from what a teacher writes, and counts what that takes.
private struct StudentLearner {
    let learner: DecoderLearner
    private var generator: SeededGenerator
    // The bits so far, and the variance of their sum: windows are drawn independently.
    private var sum = 0.0
    private var variance = 0.0

    init(_ shape: ModelConfiguration, seed: UInt64, pool: ThreadPool) {
        learner = DecoderLearner(shape, seed: seed, pool: pool)
        generator = SeededGenerator(seed: seed)
    }

    var bits: Estimate { Estimate(sum, standardError: variance.squareRoot()) }

    /// Draws windows from the teacher and takes a step on them.
    mutating func learn(
        from teacher: DecoderLearner, windows: Int, of length: Int, rate: Double
    ) throws(PithError) {
        let drawn = try teacher.sample(windows, length: length, after: Epiplexity.beginning, &generator)
        let differences = zip(try learner.losses(of: drawn), try teacher.losses(of: drawn)).map { mine, theirs in
            (mine.reduce(0, +) - theirs.reduce(0, +)) / naturalLogarithm(2)
        }
        let mean = differences.reduce(0, +) / Double(windows)
        sum += mean * Double(windows)
        variance +=
            differences.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } * Double(windows) / Double(max(1, windows - 1))
        _ = try learner.computeGradient(of: drawn)
        learner.update(rate: rate, weightDecay: 0.1)
    }
}
