import PithCore
import PithFormats
import PithModels
import PithWeights

/// One line of a comparison: a spec, what it saved and what it cost.
public struct ComparisonRow: Sendable {
    /// What was done; `none` for the model as it came.
    public var spec: String
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
        spec: String, bitsPerWeight: BitsPerWeight, bytes: ByteCount, measurement: Measurement,
        speed: SpeedMeasurement, compressionSeconds: Double
    ) {
        self.spec = spec
        self.bitsPerWeight = bitsPerWeight
        self.bytes = bytes
        self.measurement = measurement
        self.speed = speed
        self.compressionSeconds = compressionSeconds
    }
}

/// Compares specs on one model: compresses each to disk, opens what was written, and measures it.
public struct Comparison: Sendable {
    /// The model.
    public let folder: ModelSource
    /// What to compare.
    public let specs: [Spec]
    /// What to measure on.
    public let text: EvaluationText
    /// What to calibrate on.
    public let calibration: CalibrationText
    /// How finely the inputs of matrices are kept when models are measured.
    public var precision = ActivationPrecision.narrow
    /// The seed of all random choices.
    public var seed: UInt64 = 0
    /// What to do to the embeddings in every row; nil leaves them alone.
    public var embeddings: Spec?
    /// Windows that are read together.
    public var batchSize = 4
    /// At most so many tokens are calibrated on.
    public var calibrationTokenCount = 32768
    /// How all models, the one that they are measured against too, keep keys and values.
    public var cacheType = CacheType.float16
    /// Rounds in which speeds are measured.
    public static let speedRounds = 5
    /// Measures the speed of the model in a folder once, best in a process of its own.
    public var measureSpeed: @Sendable (_ folder: String) throws(PithError) -> SpeedSample
    private let pool: ThreadPool

    /// Prepares a comparison; specs are checked before anything is done.
    public init(
        _ folder: ModelSource, specs: [Spec], text: EvaluationText, calibration: CalibrationText, pool: ThreadPool,
        measureSpeed: @escaping @Sendable (_ folder: String) throws(PithError) -> SpeedSample
    ) throws(PithError) {
        for spec in specs { _ = try WeightPipeline(spec) }
        self.folder = folder
        self.specs = specs.filter { !$0.stages.isEmpty }
        self.text = text
        self.calibration = calibration
        self.pool = pool
        self.measureSpeed = measureSpeed
    }

    /// Does it; compressed folders are written below `workFolder`, one for each spec.
    public func run(in workFolder: String, quiet: Bool) throws(PithError) -> [ComparisonRow] {
        var (folders, seconds) = ([folder], [0.0])
        for (index, spec) in specs.enumerated() {
            let target = joinPath(workFolder, "\(index + 1)")
            seconds.append(try compress(spec, into: target, quiet: quiet))
            folders.append(try ModelSource(target))
        }
        let measurements = try measure(folders, quiet: quiet)
        let speeds = try measureSpeeds(folders, quiet: quiet)
        var rows: [ComparisonRow] = []
        for (index, folder) in folders.enumerated() {
            rows.append(
                ComparisonRow(
                    spec: index == 0 ? "none" : specs[index - 1].description,
                    bitsPerWeight: BitsPerWeight(
                        bytes: try folder.weightByteCount(), weights: folder.description.weightCount),
                    bytes: try folder.byteCount(), measurement: measurements[index], speed: speeds[index],
                    compressionSeconds: seconds[index]))
        }
        return rows
    }

    /// Writes a compressed copy; the seconds that it takes.
    private func compress(_ spec: Spec, into target: String, quiet: Bool) throws(PithError) -> Double {
        let clock = ContinuousClock()
        let start = clock.now
        do {
            try ModelCompressor(
                folder, spec: spec, embeddings: embeddings, seed: seed, calibration: calibration,
                calibrationTokenCount: calibrationTokenCount, pool: pool
            ).run(into: target, quiet: quiet)
        } catch { throw error.within("spec '\(spec)'") }
        return (clock.now - start).seconds
    }

    /// What was lost against the first of some models, which are run alike.
    private func measure(_ folders: [ModelSource], quiet: Bool) throws(PithError) -> [Measurement] {
        var models: [LanguageModel] = []
        for folder in folders {
            var model = try folder.loadModel(layouts: WeightLayouts.catalogue, pool: pool)
            model.precision = precision
            model.cacheType = cacheType
            models.append(model)
        }
        return try Ruler(batchSize: batchSize).measure(
            models[0], against: Array(models[1...]), on: text, quiet: quiet)
    }

    /// The speeds of some models. Those stored in the same layouts do the same work: they are measured as one.
    private func measureSpeeds(_ folders: [ModelSource], quiet: Bool) throws(PithError) -> [SpeedMeasurement] {
        var (kinds, firstOfKind, kindOfFolder) = ([String: Int](), [ModelSource](), [Int]())
        for folder in folders {
            let storage = try folder.storageDescription()
            if kinds[storage] == nil { firstOfKind.append(folder) }
            let kind = kinds[storage] ?? firstOfKind.count - 1
            kinds[storage] = kind
            kindOfFolder.append(kind)
        }
        let speeds = try SpeedMeasurement.inTurns(firstOfKind, rounds: Self.speedRounds, quiet: quiet) {
            (folder) throws(PithError) in try measureSpeed(folder.path)
        }
        return kindOfFolder.map { speeds[$0] }
    }
}

extension ModelSource {
    /// How all weights are stored, but for what they are: folders of one architecture for which this is the same do
    /// the same work.
    func storageDescription() throws(PithError) -> String {
        let archive = try archive()
        var lines: [String] = []
        for name in archive.names {
            let tensor = try archive.tensor(name)
            lines.append("\(name) \(tensor.type.rawValue) \(tensor.shape)")
        }
        return lines.joined(separator: "\n") + (manifest?.formsDescription ?? "")
    }
}

extension ComparisonRow {
    /// The row for programs.
    public var json: JSONValue {
        func figure(_ value: Double) -> JSONValue { value.isFinite ? .real(value) : .null }
        return [
            "spec": .string(spec), "bitsPerWeight": figure(bitsPerWeight.value), "bytes": .integer(bytes.value),
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
            spec, bitsPerWeight.description, bytes.description, divergence,
            withError(measurement.bitsPerByte, 4), withError(measurement.perplexity, 2),
            withError(measurement.top1Agreement, 1, scale: 100) + " %",
            rate(speed.prefill), rate(speed.decode), speed.peakMemoryBytes.description,
        ]
    }
}
