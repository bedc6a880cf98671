import PithCore
import PithFormats
import PithModels
import PithTensor

/// Writes a model in another format, and says what became of it.
///
/// Everything that can be refused is refused before anything is written; tensors stream, so that memory holds a few of
/// them; and what was written is opened again and compared with what it was made from.
public struct ModelConverter: Sendable {
    private let model: ConvertedModel
    private let prepared: PreparedModel

    /// Checks that a model can be written in a format.
    public init(_ source: ModelSource, to format: any ModelFormat, pool: ThreadPool) throws(PithError) {
        model = ConvertedModel(source, pool: pool)
        prepared = try format.prepare(model)
    }

    /// About how many bytes will be written.
    public var byteCount: ByteCount { prepared.byteCount }

    /// Writes the model to `target`, which appears when it is whole.
    public func run(to target: String, quiet: Bool = true) throws(PithError) -> ConversionReport {
        guard !Files.exists(target) else {
            throw .usage("exists already", at: target, remedy: "remove it or choose another name")
        }
        var progress = Progress("writing \(target)", total: 1000, quiet: quiet)
        try prepared.write(target) { done, of in progress.update(done * 1000 / max(1, of)) }
        progress.finish()
        do throws(PithError) {
            let result = ConvertedModel(try ModelSource(target), pool: model.pool)
            try checkDescription(of: result.source)
            return try compare(result, quiet: quiet)
        } catch {
            try? Files.remove(target)
            throw error
        }
    }

    /// What was written must describe the model that it was made from.
    private func checkDescription(of result: ModelSource) throws(PithError) {
        let (before, after) = (model.source.description, result.description)
        func frequencies(_ options: RotaryOptions) -> [Float] {
            options.scaling.inverseFrequencies(size: options.rotatedSize, theta: options.theta)
        }
        let isSame =
            before.parameters.map(\.name) == after.parameters.map(\.name)
            && before.parameters.map(\.shape) == after.parameters.map(\.shape) && before.caches == after.caches
            && before.rotaries.count == after.rotaries.count
            // Blocks are plain values: as text they say everything that decides what they compute.
            && zip(before.layers, after.layers).allSatisfy { "\($0.block)" == "\($1.block)" }
            && "\(before.input)" == "\(after.input)"
            && "\(before.output, default: "")" == "\(after.output, default: "")"
            && zip(before.rotaries, after.rotaries).allSatisfy { before, after in
                before.scaling.amplitude == after.scaling.amplitude
                    && zip(frequencies(before), frequencies(after)).allSatisfy { abs($0 - $1) <= 1e-5 * abs($0) }
            }
        guard isSame else {
            throw .usage(
                "has something in its configuration that the format has no words for", at: model.source.path,
                remedy: "--to hf keeps all of it")
        }
    }

    /// Compares all parameters, one by one.
    private func compare(_ result: ConvertedModel, quiet: Bool) throws(PithError) -> ConversionReport {
        let description = model.source.description
        var report = ConversionReport(
            byteCount: try result.source.byteCount(), originalByteCount: try model.source.byteCount(),
            roundedCount: prepared.rounded.count, forms: [:])
        var progress = Progress("comparing", total: description.parameters.count, quiet: quiet)
        for (index, spec) in description.parameters.enumerated() {
            let id = ParameterID(index)
            if model.isMatrix(id) {
                let (before, after) = (try model.matrix(id), try result.matrix(id))
                report.forms[ConvertedModel.name(of: after), default: 0] += 1
                report.add(
                    before.denseWeight(pool: model.pool).values, after.denseWeight(pool: model.pool).values, spec.name)
            } else {
                report.add(try model.source.vector(id), try result.source.vector(id), spec.name)
            }
            model.source.releaseMemory(of: id)
            result.source.releaseMemory(of: id)
            progress.update(index + 1)
        }
        progress.finish()
        return report
    }
}

/// What became of a model that was converted.
public struct ConversionReport: Sendable {
    /// Bytes of all files that were written.
    public let byteCount: ByteCount
    /// Bytes of those that the model came in.
    public let originalByteCount: ByteCount
    /// How many matrices were rounded anew.
    public let roundedCount: Int
    /// How many matrices are stored in which form.
    public fileprivate(set) var forms: [String: Int]
    /// How many weights there are, and how many are the same.
    public private(set) var (weightCount, equalCount) = (0, 0)
    /// The largest difference, and the parameter in which it is.
    public private(set) var largestError: (value: Float, parameter: String) = (0, "")
    private var (errorSquares, weightSquares) = (0.0, 0.0)

    /// Whether every weight is the same.
    public var isExact: Bool { equalCount == weightCount }
    /// The root of the errors' mean square, as a share of that of the weights.
    public var relativeError: Double { weightSquares > 0 ? (errorSquares / weightSquares).squareRoot() : 0 }

    fileprivate init(byteCount: ByteCount, originalByteCount: ByteCount, roundedCount: Int, forms: [String: Int]) {
        (self.byteCount, self.originalByteCount) = (byteCount, originalByteCount)
        (self.roundedCount, self.forms) = (roundedCount, forms)
    }

    fileprivate mutating func add(_ before: [Float], _ after: [Float], _ name: String) {
        weightCount += before.count
        for (old, new) in zip(before, after) {
            if old == new {
                equalCount += 1
            } else {
                let error = abs(old - new)
                if !(error <= largestError.value) { largestError = (error, name) }
                errorSquares += Double(error) * Double(error)
            }
            weightSquares += Double(old) * Double(old)
        }
    }
}
