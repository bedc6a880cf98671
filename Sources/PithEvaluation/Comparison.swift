import PithCore
import PithFormats
import PithModels
import PithWeights

/// One line of a comparison: a spec, what it saved and what it cost.
public struct ComparisonRow: Sendable {
    /// What was done; the usual for the model as it came.
    public var plan: RunPlan
    /// Bits on disk for each weight, side information included.
    public var bitsPerWeight: BitsPerWeight
    /// All bytes of the model's folder.
    public var bytes: ByteCount
    /// What was lost.
    public var measurement: Measurement
    /// How fast it runs.
    public var speed: SpeedMeasurement
    /// Seconds that compressing took.
    public var compressionSeconds: Double

    /// Creates a row from its figures.
    public init(
        plan: RunPlan, bitsPerWeight: BitsPerWeight, bytes: ByteCount, measurement: Measurement,
        speed: SpeedMeasurement, compressionSeconds: Double
    ) {
        self.plan = plan
        self.bitsPerWeight = bitsPerWeight
        self.bytes = bytes
        self.measurement = measurement
        self.speed = speed
        self.compressionSeconds = compressionSeconds
    }
}

/// Compares plans on one model: compresses to disk what they say of weights, opens what was written, runs it as they
/// say, and measures it.
public struct Comparison: Sendable {
    /// The model.
    public let folder: ModelSource
    /// What to compare.
    public let plans: [RunPlan]
    /// What holds where a plan says nothing, for the model that all are measured against too.
    public let base: RunPlan
    /// What to measure on.
    public let text: EvaluationText
    /// What to calibrate on.
    public let calibration: CalibrationText
    /// The seed of all random choices.
    public var seed: UInt64 = 0
    /// Windows that are read together.
    public var batchSize = 4
    /// At most so many tokens are calibrated on.
    public var calibrationTokenCount = 32768
    /// Rounds in which speeds are measured.
    public static let speedRounds = 5
    /// Measures the speed of the model in a folder, run by a plan, once; best in a process of its own.
    public var measureSpeed: @Sendable (_ folder: String, _ plan: RunPlan) throws(PithError) -> SpeedSample
    private let pool: ThreadPool

    /// Prepares a comparison; plans are checked before anything is done.
    public init(
        _ folder: ModelSource, plans: [RunPlan], base: RunPlan = RunPlan(), text: EvaluationText,
        calibration: CalibrationText, pool: ThreadPool,
        measureSpeed: @escaping @Sendable (_ folder: String, _ plan: RunPlan) throws(PithError) -> SpeedSample
    ) throws(PithError) {
        self.folder = folder
        self.base = base
        self.plans = plans.map { $0.over(base) }.filter { $0 != base }
        for plan in self.plans {
            if !plan.weights.stages.isEmpty { _ = try WeightPipeline(plan.weights) }
            _ = try CacheCatalogue.method(for: plan.cache)
            _ = try InputCatalogue.method(for: plan.activations)
        }
        self.text = text
        self.calibration = calibration
        self.pool = pool
        self.measureSpeed = measureSpeed
    }

    /// Does it; compressed folders are written below `workFolder`, one for each plan that compresses.
    public func run(in workFolder: String, quiet: Bool) throws(PithError) -> [ComparisonRow] {
        var reference = base
        (reference.weights, reference.embeddings) = (Spec(stages: []), Spec(stages: []))
        var (candidates, seconds) = ([Candidate(source: folder, plan: reference)], [0.0])
        // What is stored alike is compressed once.
        var written = [RunPlan(): (source: folder, seconds: 0.0)]
        for (index, plan) in plans.enumerated() {
            let storage = RunPlan(weights: plan.weights, embeddings: plan.embeddings)
            if written[storage] == nil {
                let target = joinPath(workFolder, "\(index + 1)")
                let time = try compress(storage, into: target, quiet: quiet)
                written[storage] = (try ModelSource(target), time)
            }
            guard let (source, time) = written[storage] else { continue }
            seconds.append(time)
            candidates.append(Candidate(source: source, plan: plan))
        }
        let measurements = try measure(candidates, quiet: quiet)
        let speeds = try measureSpeeds(candidates, quiet: quiet)
        var rows: [ComparisonRow] = []
        for (index, candidate) in candidates.enumerated() {
            let source = candidate.source
            rows.append(
                ComparisonRow(
                    plan: index == 0 ? RunPlan() : candidate.plan.beside(base),
                    bitsPerWeight: BitsPerWeight(
                        bytes: try source.weightByteCount(), weights: source.description.weightCount),
                    bytes: try source.byteCount(), measurement: measurements[index], speed: speeds[index],
                    compressionSeconds: seconds[index]))
        }
        return rows
    }

    /// A model and how it is run.
    private struct Candidate {
        let source: ModelSource
        let plan: RunPlan
    }

    /// Writes a compressed copy; the seconds that it takes.
    private func compress(_ plan: RunPlan, into target: String, quiet: Bool) throws(PithError) -> Double {
        let clock = ContinuousClock()
        let start = clock.now
        do {
            try ModelCompressor(
                folder, plan: plan, seed: seed, calibration: calibration,
                calibrationTokenCount: calibrationTokenCount, pool: pool
            ).run(into: target, quiet: quiet)
        } catch { throw error.within("spec '\(plan)'") }
        return (clock.now - start).seconds
    }

    /// What was lost against the first of some models.
    private func measure(_ candidates: [Candidate], quiet: Bool) throws(PithError) -> [Measurement] {
        var models: [LanguageModel] = []
        for candidate in candidates {
            var model = try candidate.source.loadModel(layouts: WeightLayouts.catalogue, pool: pool)
            try model.apply(candidate.plan)
            models.append(model)
        }
        return try Evaluator(batchSize: batchSize).measure(
            models[0], against: Array(models[1...]), on: text, quiet: quiet)
    }

    /// The speeds of some models. Those stored in the same layouts and run alike do the same work: they are measured as
    /// one.
    private func measureSpeeds(_ candidates: [Candidate], quiet: Bool) throws(PithError) -> [SpeedMeasurement] {
        var (kinds, firstOfKind, kindOfCandidate) = ([String: Int](), [Candidate](), [Int]())
        for candidate in candidates {
            let work =
                "\(candidate.plan.cache) \(candidate.plan.activations)\n\(try candidate.source.storageDescription())"
            if kinds[work] == nil { firstOfKind.append(candidate) }
            let kind = kinds[work] ?? firstOfKind.count - 1
            kinds[work] = kind
            kindOfCandidate.append(kind)
        }
        let speeds = try SpeedMeasurement.inTurns(firstOfKind, rounds: Self.speedRounds, quiet: quiet) {
            (candidate) throws(PithError) in try measureSpeed(candidate.source.path, candidate.plan)
        }
        return kindOfCandidate.map { speeds[$0] }
    }
}

extension ModelSource {
    /// How all weights are stored, but for what they are: folders of one architecture for which this is the same do
    /// the same work.
    func storageDescription() throws(PithError) -> String {
        var lines: [String] = []
        switch weights {
        case .archive(let archive):
            for name in archive.names {
                let tensor = try archive.tensor(name)
                lines.append("\(name) \(tensor.type.rawValue) \(tensor.shape)")
            }
        case .gguf(let file):
            lines = file.tensors.map { "\($0.name) \($0.typeNumber) \($0.shape)" }
        }
        return lines.joined(separator: "\n") + (manifest?.formsDescription ?? "")
    }
}

extension ComparisonRow {
    /// The row for programs.
    public var json: JSONValue {
        func figure(_ value: Double) -> JSONValue { value.isFinite ? .real(value) : .null }
        return [
            "spec": .string(plan.description), "bitsPerWeight": figure(bitsPerWeight.value),
            "bytes": .integer(bytes.value),
            "klDivergence": figure(measurement.klDivergence.value),
            "klDivergenceError": figure(measurement.klDivergence.standardError),
            "bitsPerByte": figure(measurement.bitsPerByte.value),
            "bitsPerByteError": figure(measurement.bitsPerByte.standardError),
            "perplexity": figure(measurement.perplexity.value),
            "perplexityError": figure(measurement.perplexity.standardError),
            "top1Agreement": figure(measurement.top1Agreement.value),
            "top1AgreementError": figure(measurement.top1Agreement.standardError),
            "prefillTokensPerSecond": figure(speed.prefill.median),
            "prefillTokensPerSecondQuartiles": [figure(speed.prefill.lower), figure(speed.prefill.upper)],
            "decodeTokensPerSecond": figure(speed.decode.median),
            "decodeTokensPerSecondQuartiles": [figure(speed.decode.lower), figure(speed.decode.upper)],
            "peakMemoryBytes": .integer(speed.peakMemoryBytes.value),
            "compressionSeconds": figure(compressionSeconds),
        ]
    }

    /// The columns of the table for people.
    public static let header = [
        "spec", "bits/weight", "size", "KL divergence", "bits/byte", "perplexity", "top-1", "prefill", "decode",
        "memory",
    ]

    /// The cells of the table for people.
    public var cells: [String] {
        func withError(_ estimate: Estimate, _ decimals: Int, scale: Double = 1) -> String {
            "\((estimate.value * scale).formatted(decimals: decimals)) ±\((estimate.standardError * scale).formatted(decimals: decimals))"
        }
        func rate(_ speed: Quartiles) -> String {
            "\(speed.median.formatted(decimals: 0)) ±\(speed.spread.formatted(decimals: 0)) tok/s"
        }
        let kl = measurement.klDivergence
        let divergence = "\(kl.value.compact(significant: 3)) ±\(kl.standardError.compact(significant: 1))"
        return [
            plan.description, bitsPerWeight.description, bytes.description, divergence,
            withError(measurement.bitsPerByte, 4), withError(measurement.perplexity, 2),
            withError(measurement.top1Agreement, 1, scale: 100) + " %",
            rate(speed.prefill), rate(speed.decode), speed.peakMemoryBytes.description,
        ]
    }
}
