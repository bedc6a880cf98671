import PithCore
import PithFormats
import PithModels
import PithTensor

/// Text that input statistics are gathered on.
public struct CalibrationText: Sendable {
    /// The name, for manifests.
    public var name: String
    /// The text.
    public var text: String

    /// Creates a calibration text.
    public init(name: String, text: String) {
        self.name = name
        self.text = text
    }
}

/// Compresses a model folder into another, layer by layer.
///
/// The calibration text runs through the layers once: what a layer reads was written by the compressed layers before
/// it, so that each can make up for their errors. The source stays mapped; only statistics of one layer are held.
public struct ModelCompressor: Sendable {
    /// The model to compress.
    public let source: ModelSource
    /// What to do to the matrices of layers and to embeddings.
    public let plan: RunPlan
    /// The seed of all random choices.
    public let seed: UInt64
    /// What to calibrate on, if the spec needs it.
    public let calibration: CalibrationText?
    /// At most so many tokens of it are read.
    public let calibrationTokenCount: Int
    private let pool: ThreadPool
    private let pipeline: WeightPipeline?
    private let embeddingPipeline: WeightPipeline?

    /// The tokens of one calibration sequence, if the model's context is not shorter.
    static let sequenceLength = 512
    /// Sequences that run together.
    static let batchSize = 4

    /// Checks that the plan can be carried out.
    public init(
        _ source: ModelSource, plan: RunPlan, seed: UInt64 = 0, calibration: CalibrationText?,
        calibrationTokenCount: Int = 32768, pool: ThreadPool
    ) throws(PithError) {
        guard plan.compresses else {
            throw .usage("the plan '\(plan)' changes no weights", remedy: "for example rtn:bits=4")
        }
        guard source.manifest == nil else {
            throw .usage(
                "is compressed already (\(source.manifest?.spec ?? ""))", at: source.path,
                remedy: "compress the model that it was made from")
        }
        _ = try source.archive()
        pipeline = plan.weights.stages.isEmpty ? nil : try WeightPipeline(plan.weights)
        let calibrates = pipeline.map { $0.needs != .nothing } ?? false
        if calibrates && calibration == nil {
            throw .usage("'\(plan.weights)' needs a calibration text", remedy: "give one with --calibration FILE")
        }
        embeddingPipeline = plan.embeddings.stages.isEmpty ? nil : try Self.embeddingPipeline(plan.embeddings)
        self.source = source
        self.plan = plan
        self.seed = seed
        self.calibration = calibrates ? calibration : nil
        self.calibrationTokenCount = calibrationTokenCount
        self.pool = pool
    }

    /// Embeddings are looked up, not multiplied: there are no inputs to calibrate on.
    private static func embeddingPipeline(_ spec: Spec) throws(PithError) -> WeightPipeline {
        let pipeline = try WeightPipeline(spec)
        guard pipeline.needs == .nothing else {
            throw .usage(
                "'\(spec)' calibrates on inputs, which embeddings do not have", at: "embeddings",
                remedy: "for example rtn:bits=8")
        }
        return pipeline
    }

    /// Does the work and writes the folder `target`, which appears when it is whole.
    public func run(into target: String, quiet: Bool = true) throws(PithError) {
        guard !Files.exists(target) else {
            throw .usage("exists already", at: target, remedy: "remove it or choose another name")
        }
        var model = try source.loadModel(layouts: WeightLayouts.catalogue, pool: pool, allowingEncoders: true)
        var stream = try calibration.map { (text) throws(PithError) in
            try CalibrationStream(text, tokenCount: calibrationTokenCount, source, model)
        }
        var compressed = try compressTables()
        let layers = model.description.layers.indices
        if let pipeline {
            var progress = Progress("compressing \(plan)", total: layers.count, quiet: quiet)
            for layer in layers {
                let statistics =
                    try stream.map { (stream) throws(PithError) in
                        try stream.gather(layer, model, pipeline.needs)
                    } ?? [:]
                for (id, matrix) in try compress(layer, of: model, by: pipeline, statistics) {
                    model[matrix: id] = matrix
                    compressed.append((try source.storedName(of: id), matrix))
                }
                if layer + 1 < layers.count { try stream?.advance(through: layer, model) }
                progress.update(layer + 1)
            }
            progress.finish()
        }
        try write(compressed, record: stream?.record, into: target)
    }

    /// Compresses the matrices of one layer at the same time.
    private func compress(
        _ layer: Int, of model: LanguageModel, by pipeline: WeightPipeline,
        _ statistics: [ParameterID: InputStatistics]
    ) throws(PithError) -> [(ParameterID, any StoredLinear)] {
        let matrices = model.description.matrices(ofLayer: layer)
        let together = try countTogether(matrices, pipeline)
        var compressed: [(ParameterID, any StoredLinear)] = []
        for start in stride(from: 0, to: matrices.count, by: together) {
            compressed += try pool.map(min(together, matrices.count - start)) { (index) throws(PithError) in
                let id = matrices[start + index]
                return (id, try compress(model[matrix: id], model.description[id], by: pipeline, statistics[id]))
            }
        }
        return compressed
    }

    /// How many of some matrices are given to the threads at a time: all if there is memory for as many as threads can
    /// work on, else as many as there is memory for.
    private func countTogether(
        _ matrices: [ParameterID], _ pipeline: WeightPipeline
    ) throws(PithError) -> Int {
        let needs = matrices.map { id in
            let spec = source.description[id]
            return (name: spec.name, bytes: pipeline.memory(rows: spec.shape[0], columns: spec.shape[1]))
        }.sorted { $0.bytes > $1.bytes }
        let threads = min(pool.threadCount, needs.count)
        for count in stride(from: threads, to: 1, by: -1) {
            let bytes = needs.prefix(count).reduce(Self.slack) { $0 + $1.bytes }
            if (try? Memory.require(bytes, for: "")) != nil { return count == threads ? needs.count : count }
        }
        guard let largest = needs.first else { return 1 }
        try Memory.require(largest.bytes + Self.slack, for: "compressing \(largest.name) by \(pipeline.spec)")
        return threads == 1 ? needs.count : 1
    }

    /// What BLAS and the heaps of threads take beside.
    fileprivate static let slack = 192 << 20

    private func compress(
        _ original: any LinearOperator, _ spec: ParameterSpec, by pipeline: WeightPipeline,
        _ statistics: InputStatistics?
    ) throws(PithError) -> any StoredLinear {
        guard let dense = original as? DenseOperator else { preconditionFailure("sources are dense") }
        let unseen =
            pipeline.needs == .nothing
            ? nil : InputStatistics.uniform(width: spec.shape[1], gathering: pipeline.needs)
        return try pipeline.compress(
            name: spec.name, weight: try dense.weight.decoded(), originalType: dense.weight.type,
            statistics: statistics ?? unseen, seed: seed)
    }

    /// Compresses the embeddings, and the head if it is not tied.
    private func compressTables() throws(PithError) -> [(name: String, matrix: any StoredLinear)] {
        guard let embeddingPipeline else { return [] }
        var tables: [(name: String, matrix: any StoredLinear)] = []
        for id in source.description.tables {
            let name = try source.storedName(of: id)
            let stored = try source.archive().tensor(name)
            try Memory.require(
                embeddingPipeline.memory(
                    rows: source.configuration.vocabularySize, columns: source.configuration.hiddenSize),
                for: "compressing \(name) by \(embeddingPipeline.spec)")
            let matrix = try embeddingPipeline.compress(
                name: name, weight: try stored.decoded(), originalType: stored.type, statistics: nil, seed: seed,
                pool: pool)
            guard matrix is any RowDecodable else {
                throw .usage(
                    "'\(embeddingPipeline.spec)' stores no single rows, which embeddings are read by",
                    at: "embeddings", remedy: "for example rtn:bits=8")
            }
            tables.append((name, matrix))
        }
        return tables
    }

    private func write(
        _ compressed: [(name: String, matrix: any StoredLinear)], record: CompressionManifest.CalibrationRecord?,
        into target: String
    ) throws(PithError) {
        let archive = try source.archive()
        let left = Set(compressed.map(\.name) + (try source.unusedNames()))
        var tensors = compressed.flatMap { $0.matrix.tensors(named: $0.name) }
        for name in archive.names where !left.contains(name) {
            tensors.append((name, try archive.tensor(name)))
        }
        let manifest = CompressionManifest(
            spec: plan.weights.description,
            embeddings: plan.embeddings.stages.isEmpty ? nil : plan.embeddings.description, seed: seed,
            source: try source.weightDigests(),
            calibration: record,
            weights: Dictionary(uniqueKeysWithValues: compressed.map { ($0.name, .init($0.matrix)) }),
            checksums: StoredChecksums(of: tensors, pool: pool))
        try Files.buildFolder(at: target) { (folder) throws(PithError) in
            try copyCompanions(to: folder)
            try SafetensorsWriter.write(
                tensors, metadata: ["format": "pith"], to: joinPath(folder, "model.safetensors"))
            try AtomicFile.write(
                manifest.json.prettyText, to: joinPath(folder, CompressionManifest.fileName))
        }
    }
}

extension ModelCompressor {
    /// Copies what belongs to the model and is not weights.
    fileprivate func copyCompanions(to folder: String) throws(PithError) {
        for name in try source.companions().files {
            let parts = name.split(separator: "/")
            if parts.count > 1 { try Files.makeFolder(joinPath(folder, parts.dropLast().joined(separator: "/"))) }
            try Files.copy(joinPath(source.path, name), to: joinPath(folder, name))
        }
    }
}

/// The calibration sequences on their way through the layers.
private struct CalibrationStream {
    let record: CompressionManifest.CalibrationRecord
    private let sequences: [[Int]]
    // The residual stream of each batch of sequences, [rows, hidden].
    private var hidden: [Tensor]
    private let batches: [Range<Int>]

    init(
        _ calibration: CalibrationText, tokenCount: Int, _ folder: ModelSource, _ model: LanguageModel
    ) throws(PithError) {
        let all = folder.tokenizer.encode(calibration.text, .plain)
        let tokens = all.prefix(tokenCount)
        guard tokens.count > 1 else { throw .data("the calibration text is too short", at: calibration.name) }
        let length = min(ModelCompressor.sequenceLength, folder.configuration.contextLength)
        let step = max(1, length - folder.tokenizer.beginning.count)
        let sequences = stride(from: 0, to: tokens.count, by: step).map { start in
            folder.tokenizer.withBeginning(tokens[start..<min(start + step, tokens.count)])
        }
        let batches = stride(from: 0, to: sequences.count, by: ModelCompressor.batchSize).map {
            $0..<min($0 + ModelCompressor.batchSize, sequences.count)
        }
        self.sequences = sequences
        self.batches = batches
        let rows = sequences.reduce(0) { $0 + $1.count }
        try Memory.require(
            4 * rows * model.description.streamWidth, for: "the hidden states of \(rows) tokens of calibration")
        hidden = batches.map { model.embed(Array(sequences[$0])) }
        record = .init(
            name: calibration.name,
            sha256: Array(calibration.text.utf8).withUnsafeBytes { SHA256.hexDigest(of: $0) },
            tokenCount: tokens.count, sequenceLength: length,
            sketch: TextSketch(
                of: tokens.count == all.count ? calibration.text : folder.tokenizer.decode(Array(tokens))))
    }

    /// Statistics of what the linear operators of a layer read.
    func gather(
        _ layer: Int, _ model: LanguageModel, _ needs: CalibrationNeeds
    ) throws(PithError) -> [ParameterID: InputStatistics] {
        try requireHessians(layer, model, needs)
        let observer = StatisticsObserver(needs, model.pool)
        for index in batches.indices { _ = try run(layer, model, index, observer) }
        return observer.statistics
    }

    /// Asks for sums of products with themselves of all inputs of a layer, in double precision, for the rows that wait,
    /// and for what is made of the first sequences before there are sums.
    private func requireHessians(_ layer: Int, _ model: LanguageModel, _ needs: CalibrationNeeds) throws(PithError) {
        guard needs == .hessian else { return }
        let description = model.description
        let widths = description.inputs(ofLayer: layer).map { description[$0[0]].shape[1] }
        let counts = sequences[batches[0]].map(\.count)
        try Memory.require(
            widths.reduce(ModelCompressor.slack + model.memory(reading: counts, layers: 1)) {
                $0 + 8 * $1 * $1 + InputStatistics.memoryOfRows($1)
            }, for: "the Hessians of a layer's inputs")
    }

    /// Moves the sequences through a layer.
    mutating func advance(through layer: Int, _ model: LanguageModel) throws(PithError) {
        for index in batches.indices { hidden[index] = try run(layer, model, index, nil) }
    }

    private func run(
        _ layer: Int, _ model: LanguageModel, _ batch: Int, _ observer: StatisticsObserver?
    ) throws(PithError) -> Tensor {
        let counts = sequences[batches[batch]].map(\.count)
        try Memory.require(
            model.memory(reading: counts, layers: 1), for: "\(counts.reduce(0, +)) tokens of calibration in a layer")
        var states = counts.map { _ in model.makeState() }
        let workspace = ForwardWorkspace()
        workspace.prepare(model, counts, states)
        var stream = hidden[batch]
        model.runLayer(layer, &stream, &states, workspace, observer)
        guard workspace.isFinite else {
            throw .data(
                "a value is no finite number in layer \(layer)", at: "calibration on \(record.name)",
                remedy: "'pith eval' names the weight where it began")
        }
        return stream
    }
}

/// Adds up what the matrices of a layer read; those that read the same share the sums.
private final class StatisticsObserver: ActivationObserver {
    private(set) var statistics: [ParameterID: InputStatistics] = [:]
    private let needs: CalibrationNeeds
    private let pool: ThreadPool

    init(_ needs: CalibrationNeeds, _ pool: ThreadPool) {
        self.needs = needs
        self.pool = pool
    }

    func observe(_ site: ActivationSite, layer: Int, _ activations: UnsafePointer<Float>, rows: Int, width: Int) {
        guard case .input(let matrices) = site, let first = matrices.first else { return }
        for id in matrices.dropFirst() { statistics[id] = nil }
        statistics[first, default: InputStatistics(width: width, gathering: needs)]
            .add(activations, count: rows, pool: pool)
        for id in matrices.dropFirst() { statistics[id] = statistics[first] }
    }
}
