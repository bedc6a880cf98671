import PithCore
import PithModels
import PithTensor
import PithWeights

/// The laws that every codec of the weights plane must obey, checked on specs derived from its catalogue entry.
///
/// Each law appends what it found wrong to `violations`; a codec that is right has none.
public struct CodecLaws {
    /// The codec's catalogue entry.
    public let entry: MethodEntry
    /// What was found wrong, in sentences.
    public private(set) var violations: [String] = []

    let problem = LayerProblem(outputs: 40, inputs: 96, samples: 300, seed: 11)
    let pool = ThreadPool(threads: 1)
    /// What specs name: the catalogue, and the codec if it is not in there.
    private let methods: [any WeightCodec.Type]
    /// What stored parts are opened with.
    let layouts: LayoutCatalogue

    /// Prepares to check a codec, whose layouts are among `layouts`.
    public init(_ codec: any WeightCodec.Type, layouts: LayoutCatalogue = WeightLayouts.catalogue) {
        self.layouts = layouts
        entry = codec.entry
        let catalogue = WeightCatalogue.all
        methods = catalogue.contains { $0.identifier == codec.identifier } ? catalogue : catalogue + [codec]
    }

    /// Checks all laws.
    public mutating func check() {
        for spec in specs {
            guard let pipeline = pipeline(spec) else { continue }
            attempt(spec) { (laws) throws(PithError) in
                let compressed = try laws.compress(pipeline)
                laws.checkBits(compressed, spec)
                laws.checkParts(compressed, spec)
                laws.checkProducts(compressed, spec)
                laws.checkError(compressed, pipeline)
                try laws.checkRepetition(compressed, pipeline)
                try laws.checkZero(pipeline)
            }
            checkShapes(pipeline)
        }
        for option in entry.options { checkBudget(option) }
        checkAcceptance()
    }

    /// Options have values for something: of each at least two are accepted, and one beside the default.
    private mutating func checkAcceptance() {
        for option in entry.options {
            let accepted = Self.values(of: option).filter { value in
                (try? WeightPipeline(Spec(parsing: "\(entry.identifier):\(option.name)=\(value)"), methods: methods))
                    != nil
            }
            expect(accepted.count >= 2, "\(entry.identifier):\(option.name)", "only \(accepted) are accepted")
        }
    }

    /// Notes something wrong.
    mutating func report(_ spec: some CustomStringConvertible, _ message: String) {
        violations.append("\(spec): \(message)")
    }

    /// Runs a law; an error is a violation.
    mutating func attempt(_ spec: String, _ law: (inout CodecLaws) throws(PithError) -> Void) {
        do { try law(&self) } catch { report(spec, "failed: \(error)") }
    }

    mutating func expect(_ condition: Bool, _ spec: some CustomStringConvertible, _ message: @autoclosure () -> String)
    {
        if !condition { report(spec, message()) }
    }

    func compress(
        _ pipeline: WeightPipeline, seed: UInt64 = 5, threads: Int = 1
    ) throws(PithError) -> any StoredLinear {
        try pipeline.compress(
            name: "w", weight: problem.weight, statistics: problem.statistics, seed: seed,
            pool: threads == 1 ? pool : ThreadPool(threads: threads))
    }
}

// MARK: Specs

extension CodecLaws {
    /// The codec with its defaults, with each other value of each option, and behind every method of the catalogue.
    var specs: [String] { ownSpecs + compositions }

    private var ownSpecs: [String] {
        [entry.identifier]
            + entry.options.flatMap { option in
                Self.values(of: option).filter { $0 != option.defaultValue }
                    .map { "\(entry.identifier):\(option.name)=\($0)" }
            }
    }

    /// Every method before this one, with its defaults and with each word of its choices.
    var compositions: [String] {
        WeightCatalogue.all.map { $0.entry }.flatMap { first in
            let choices = first.options.flatMap { option -> [String] in
                guard case .choice(let words) = option.domain else { return [] }
                return words.map { "\(first.identifier):\(option.name)=\($0)" }
            }
            return ([first.identifier] + choices).map { "\($0)+\(entry.identifier)" }
        }
    }

    /// Some values of an option: the ends of its range and a few between, near its lower end.
    static func values(of option: OptionSchema) -> [String] {
        switch option.domain {
        case .integer(let range):
            let between = [1, 2, 3, 4, 6, 12, 16, 32].map { range.lowerBound + $0 }.filter { $0 < range.upperBound }
            return ([range.lowerBound] + between + [range.upperBound]).map { "\($0)" }
        case .real(let range):
            return [0, 0.25, 0.5, 0.75, 1].map {
                "\(range.lowerBound + $0 * (range.upperBound - range.lowerBound))"
            }
        case .flag: return ["true", "false"]
        case .choice(let words): return words
        case .text: return [option.defaultValue]
        }
    }

    /// The pipeline of a spec, or nil where the codec rightly refuses a value or an order by a usage error.
    mutating func pipeline(_ text: String) -> WeightPipeline? {
        do { return try WeightPipeline(Spec(parsing: text), methods: methods) } catch {
            expect(error.kind == .usage, text, "refused by \(error), which is no usage error")
            expect(text != entry.identifier, text, "the defaults are refused: \(error)")
            return nil
        }
    }
}

// MARK: Laws of one result

extension CodecLaws {
    /// The bits it says are the bytes of its parts.
    mutating func checkBits(_ compressed: any StoredLinear, _ spec: String) {
        let bytes = compressed.allTensors.reduce(0) { $0 + $1.byteCount }
        expect(compressed.storedBits == 8 * bytes, spec, "\(compressed.storedBits) bits said, \(bytes) bytes stored")
    }

    /// Its parts, moved to odd addresses and read again, give the same products.
    mutating func checkParts(_ compressed: any StoredLinear, _ spec: String) {
        attempt(spec) { (laws) throws(PithError) in
            let again = try compressed.reopened(laws.layouts)
            let (one, two) = (laws.problem.inputs.rows(0..<5), laws.problem.inputs.rows(0..<1))
            laws.expect(
                one.multiplied(by: compressed) == one.multiplied(by: again)
                    && two.multiplied(by: compressed) == two.multiplied(by: again), spec,
                "other products after writing and reading")
            laws.expect(compressed.hasSameBytes(as: again), spec, "other bytes after writing and reading")
        }
    }

    /// Products have the same bits at any batch size, on any number of threads and with any kernels.
    mutating func checkProducts(_ compressed: any StoredLinear, _ spec: String) {
        let rows = problem.inputs.rows(0..<7)
        let whole = rows.multiplied(by: compressed)
        for size in 1...3 {
            let values = stride(from: 0, to: 7, by: size).flatMap {
                rows.rows($0..<min(7, $0 + size)).multiplied(by: compressed).values
            }
            expect(values == whole.values, spec, "products in batches of \(size) differ")
        }
        expect(rows.multiplied(by: compressed, pool: ThreadPool(threads: 3)) == whole, spec, "3 threads differ")
        for path in KernelPath.allCases where path.isAvailable {
            let (one, all) = path.use {
                (rows.rows(0..<1).multiplied(by: compressed), rows.multiplied(by: compressed))
            }
            expect(all == whole && one == whole.rows(0..<1), spec, "the \(path) kernels differ")
        }
    }

    /// It is not worse than dropping the matrix, by the measure that the codec knows of.
    mutating func checkError(_ compressed: any StoredLinear, _ pipeline: WeightPipeline) {
        let error = problem.error(compressed, knowing: pipeline.needs)
        expect(error.isFinite && error <= 1.001, pipeline.spec, "error \(error), dropping the matrix has 1")
    }

    /// The same seed gives the same bytes, on any number of threads.
    mutating func checkRepetition(_ compressed: any StoredLinear, _ pipeline: WeightPipeline) throws(PithError) {
        for threads in [1, 3] {
            let again = try compress(pipeline, threads: threads)
            expect(compressed.hasSameBytes(as: again), pipeline.spec, "other bytes on \(threads) threads")
        }
    }

    /// A matrix of zeros stays one.
    mutating func checkZero(_ pipeline: WeightPipeline) throws(PithError) {
        let zero = Tensor(shape: problem.weight.shape)
        let compressed = try pipeline.compress(
            name: "zero", weight: zero, statistics: problem.statistics, seed: 1, pool: pool)
        let products = problem.inputs.rows(0..<3).multiplied(by: compressed)
        expect(products.values.allSatisfy { $0 == 0 }, pipeline.spec, "zeros do not stay zeros")
    }
}

// MARK: Laws of several results

extension CodecLaws {
    /// With one option varied, more bits never make it worse beyond noise.
    mutating func checkBudget(_ option: OptionSchema) {
        var results: [(value: String, bits: Int, error: Double)] = []
        for value in Self.values(of: option) {
            let spec = "\(entry.identifier):\(option.name)=\(value)"
            guard let pipeline = pipeline(spec) else { continue }
            attempt(spec) { (laws) throws(PithError) in
                let compressed = try laws.compress(pipeline)
                let error = laws.problem.error(compressed, knowing: pipeline.needs)
                results.append((value, compressed.storedBits, error))
            }
        }
        for small in results {
            for large in results where Double(large.bits) > 1.05 * Double(small.bits) {
                expect(
                    large.error <= 1.1 * small.error + 1e-9, "\(entry.identifier):\(option.name)",
                    "\(large.value) takes more bits than \(small.value), and its error is \(large.error), not \(small.error)"
                )
            }
        }
    }

    /// Odd, single and empty extents, and inputs that say nothing, work; what is refused is refused by a `PithError`
    /// that is not a fault of Pith's own, and the defaults refuse nothing that has weights and inputs.
    mutating func checkShapes(_ pipeline: WeightPipeline) {
        for (rows, columns) in [(1, 1), (3, 17), (17, 3), (2, 130), (0, 16), (5, 0), (0, 0)] {
            var random = SeededGenerator(seed: 2)
            let weight = random.normalTensor([rows, columns])
            // No inputs at all; fewer rows than columns; one input that is always zero.
            for samples in [0, 2, 40] {
                var inputs = random.normalTensor([samples, columns])
                for row in 0..<samples where columns > 1 { inputs[row, 1] = 0 }
                var statistics = InputStatistics(width: columns, gathering: .hessian)
                statistics.add(inputs, pool: pool)
                let spec = "\(pipeline.spec) on [\(rows), \(columns)] with \(samples) inputs"
                do throws(PithError) {
                    let result = try pipeline.compress(
                        name: "w", weight: weight, statistics: statistics, seed: 1, pool: pool)
                    checkShape(result, rows: rows, columns: columns, &random, spec)
                } catch {
                    let mustWork = pipeline.spec.description == entry.identifier
                    expect(!mustWork && error.kind != .fault, spec, "refused: \(error)")
                }
            }
        }
    }

    private mutating func checkShape(
        _ result: any StoredLinear, rows: Int, columns: Int, _ random: inout SeededGenerator, _ spec: String
    ) {
        let products = random.normalTensor([3, columns]).multiplied(by: result)
        expect(
            products.shape == [3, rows] && products.values.allSatisfy(\.isFinite), spec,
            "products of the shape \(products.shape), or not finite")
        checkBits(result, spec)
    }
}
