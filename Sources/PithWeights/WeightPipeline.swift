import PithCore
import PithModels
import PithTensor

/// A parsed and checked spec, ready to compress matrices one by one.
public struct WeightPipeline: Sendable {
    /// The spec it was made from.
    public let spec: Spec
    private let codecs: [any WeightCodec]

    /// Looks the methods up, by default in the catalogue, and checks their options and order.
    public init(_ spec: Spec, methods: [any WeightCodec.Type] = WeightCatalogue.all) throws(PithError) {
        guard !spec.stages.isEmpty else {
            throw .usage("the spec names no method", at: "spec '\(spec)'", remedy: "for example rtn:bits=4")
        }
        self.spec = spec
        var codecs: [any WeightCodec] = []
        for stage in spec.stages {
            do throws(PithError) {
                let codec = try WeightCatalogue.codec(for: stage, among: methods)
                if let previous = codecs.last { try codec.validate(after: previous) }
                codecs.append(codec)
            } catch { throw error.within("spec '\(spec)'") }
        }
        self.codecs = codecs
    }

    /// The most that any stage must know of the inputs.
    public var needs: CalibrationNeeds { codecs.map(\.needs).max() ?? .nothing }

    /// Refuses a form that the last method does not round to, or whose bits are others than the spec says.
    func check(_ form: any GridForm) throws(PithError) {
        guard let last = codecs.last, last.roundsToForms else {
            throw .usage(
                "'\(spec)' does not round to \(form.name)", remedy: "gptq and rtn do, for example gptq")
        }
        let bits = spec.stages.last?.options.first { $0.name == "bits" }?.value
        guard bits == nil || bits == "\(form.bits)" else {
            throw .usage(
                "'\(spec)' says \(bits ?? "") bits, and \(form.name) has \(form.bits)",
                remedy: "leave bits out: the format says how many there are")
        }
    }

    /// About how many bytes of memory it takes to compress a matrix of that shape, the matrix in single precision
    /// among them, but not what calibration saw.
    public func memory(rows: Int, columns: Int) -> Int {
        4 * rows * columns + (codecs.map { $0.memory(rows: rows, columns: columns) }.max() ?? 0)
    }

    /// Compresses the matrix `weight`, [outputCount, inputCount], called `name`, which was stored as `originalType`.
    ///
    /// The result depends on the arguments alone, not on the number of threads.
    public func compress(
        name: String, weight: Tensor, originalType: ElementType? = nil, statistics: InputStatistics?,
        form: (any GridForm)? = nil, seed: UInt64, pool: ThreadPool = ThreadPool(threads: 1)
    ) throws(PithError) -> any StoredLinear {
        do throws(PithError) {
            try validate(weight, statistics)
            var problem = WeightProblem(
                name: name, weight: weight, originalType: originalType, statistics: statistics, form: form, seed: seed,
                pool: pool)
            for codec in codecs { problem.current = try codec.compress(problem) }
            guard let result = problem.current else { throw .fault("a pipeline without stages") }
            return result
        } catch { throw error.within(name) }
    }

    private func validate(_ weight: Tensor, _ statistics: InputStatistics?) throws(PithError) {
        guard weight.shape.count == 2 else {
            throw .data("the shape \(weight.shape) is no matrix")
        }
        if let index = weight.values.firstIndex(where: { !$0.isFinite }) {
            throw .data("the weight at row \(index / weight.columns), column \(index % weight.columns) is not finite")
        }
        guard needs > .nothing else { return }
        guard let statistics, statistics.gathered >= needs else {
            throw .usage("\(spec) needs input statistics", remedy: "give a text to calibrate on")
        }
        guard statistics.width == weight.columns else {
            throw .data("the statistics are of \(statistics.width) columns, the weight has \(weight.columns)")
        }
        guard statistics.columnSquares.allSatisfy(\.isFinite) else {
            throw .data("the inputs seen in calibration are not finite", remedy: "the model or its input is broken")
        }
    }
}
