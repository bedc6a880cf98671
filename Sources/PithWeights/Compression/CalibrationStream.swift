import PithCore
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

/// The tokens that are calibrated on, in sequences of some length.
struct CalibrationTokens: Sendable {
    /// The tokens of a sequence, if the model's context is not shorter.
    static let sequenceLength = 512

    let record: CompressionManifest.CalibrationRecord
    let sequences: [[Int]]
    /// Tokens of all sequences.
    var rows: Int { sequences.reduce(0) { $0 + $1.count } }

    /// At most `count` tokens of a text.
    init(_ text: CalibrationText, count: Int, for source: ModelSource) throws(PithError) {
        let tokenizer = source.tokenizer
        let all = tokenizer.encode(text.text, .plain)
        let tokens = all.prefix(count)
        guard tokens.count > 1 else { throw .data("the calibration text is too short", at: text.name) }
        let length = min(Self.sequenceLength, source.configuration.contextLength)
        let step = max(1, length - tokenizer.beginning.count)
        sequences = stride(from: 0, to: tokens.count, by: step).map { start in
            tokenizer.withBeginning(tokens[start..<min(start + step, tokens.count)])
        }
        record = .init(
            name: text.name, sha256: Self.digest(of: text), tokenCount: tokens.count, sequenceLength: length,
            sketch: TextSketch(of: tokens.count == all.count ? text.text : tokenizer.decode(Array(tokens))))
    }

    /// The SHA-256 of the text's bytes.
    static func digest(of text: CalibrationText) -> String {
        Array(text.text.utf8).withUnsafeBytes { SHA256.hexDigest(of: $0) }
    }

    /// The sequences in batches of so many that run together.
    func batches(of count: Int) -> [Range<Int>] {
        stride(from: 0, to: sequences.count, by: count).map { $0..<min($0 + count, sequences.count) }
    }
}

/// The calibration sequences on their way through the layers.
struct CalibrationStream: Sendable {
    private let tokens: CalibrationTokens
    private let batches: [Range<Int>]
    private let path: String
    private var hidden: HiddenStates

    /// The layer at whose entrance the sequences stand.
    var layer: Int { hidden.layer }

    /// Takes up the hidden states at `path`. If there are none yet, `tables` opens those of the model that tokens are
    /// embedded by.
    init(
        _ tokens: CalibrationTokens, batchSize: Int, path: String, _ description: ModelDescription,
        tables: () throws(PithError) -> LanguageModel
    ) throws(PithError) {
        let (batches, width) = (tokens.batches(of: batchSize), description.streamWidth)
        (self.tokens, self.batches, self.path) = (tokens, batches, path)
        if !Files.exists(path) {
            let model = try tables()
            try HiddenStates.write(to: path, layer: 0, rows: tokens.rows, width: width) { (take) throws(PithError) in
                for batch in batches { try take(model.embed(Array(tokens.sequences[batch]))) }
            }
        }
        hidden = try HiddenStates(path, rows: tokens.rows, width: width)
    }

    /// Statistics of what `matrices` of the layer read.
    func gather(
        _ matrices: Set<ParameterID>, _ model: LanguageModel, _ needs: CalibrationNeeds
    ) throws(PithError) -> [ParameterID: InputStatistics] {
        let observer = StatisticsObserver(matrices, needs, model.pool)
        try run(model, observer) { _ in }
        return observer.finished()
    }

    /// Statistics of what the head multiplies; the sequences stand behind the last layer.
    func gatherHeadInputs(_ model: LanguageModel, _ needs: CalibrationNeeds) throws(PithError) -> InputStatistics {
        guard layer == model.description.layers.count else {
            throw .data("the hidden states are those before layer \(layer), not those behind the last", at: path)
        }
        var statistics = InputStatistics(width: model.configuration.hiddenSize, gathering: needs)
        try forEachBatch { counts, stream in statistics.add(model.headInputs(of: stream, counts), pool: model.pool) }
        statistics.finish(pool: model.pool)
        return statistics
    }

    /// Moves the sequences through the layer.
    mutating func advance(through model: LanguageModel) throws(PithError) {
        let stream = self
        let width = model.description.streamWidth
        try HiddenStates.write(to: path, layer: layer + 1, rows: tokens.rows, width: width) {
            (take) throws(PithError) in try stream.run(model, nil, take)
        }
        hidden = try HiddenStates(path, rows: tokens.rows, width: width)
    }

    /// Bytes that a layer makes of the sequences that run together.
    func memoryOfPass(_ model: LanguageModel) -> Int {
        batches.map { model.memory(reading: tokens.sequences[$0].map(\.count), layers: 1) }.max() ?? 0
    }

    /// Runs the layer over all sequences and gives what comes of each batch to `take`.
    private func run(
        _ model: LanguageModel, _ observer: StatisticsObserver?, _ take: (Tensor) throws(PithError) -> Void
    ) throws(PithError) {
        let workspace = ForwardWorkspace()
        try forEachBatch { (counts, entering) throws(PithError) in
            try Memory.require(
                model.memory(reading: counts, layers: 1), for: "\(entering.rows) tokens of calibration in a layer")
            var states = counts.map { _ in model.makeState() }
            workspace.prepare(model, counts, states)
            var stream = entering
            model.runLayer(layer, &stream, &states, workspace, observer)
            guard workspace.isFinite else {
                throw .data(
                    "a value is no finite number in layer \(layer)", at: "calibration on \(tokens.record.name)",
                    remedy: "'pith eval' names the weight where it began")
            }
            try take(stream)
        }
    }

    /// Gives the tokens of each sequence of a batch, and their hidden states, to `body`.
    private func forEachBatch(
        _ body: (_ counts: [Int], _ hidden: Tensor) throws(PithError) -> Void
    ) throws(PithError) {
        var row = 0
        for batch in batches {
            let counts = tokens.sequences[batch].map(\.count)
            let rows = counts.reduce(0, +)
            try body(counts, hidden.rows(row..<row + rows))
            row += rows
        }
    }
}

/// Adds up what some matrices of a layer read; those that read the same share the sums.
private final class StatisticsObserver: ActivationObserver {
    private var statistics: [ParameterID: InputStatistics] = [:]
    /// The one of those that read the same that has their sums.
    private var firsts: [ParameterID: ParameterID] = [:]
    private let matrices: Set<ParameterID>
    private let needs: CalibrationNeeds
    private let pool: ThreadPool

    init(_ matrices: Set<ParameterID>, _ needs: CalibrationNeeds, _ pool: ThreadPool) {
        (self.matrices, self.needs, self.pool) = (matrices, needs, pool)
    }

    func observe(_ site: ActivationSite, layer: Int, _ activations: UnsafePointer<Float>, rows: Int, width: Int) {
        guard case .input(let readers) = site, let first = readers.first(where: matrices.contains) else { return }
        for reader in readers where matrices.contains(reader) { firsts[reader] = first }
        statistics[first, default: InputStatistics(width: width, gathering: needs)]
            .add(activations, count: rows, pool: pool)
    }

    /// The statistics of each matrix that was seen.
    func finished() -> [ParameterID: InputStatistics] {
        for id in statistics.keys { statistics[id]?.finish(pool: pool) }
        return firsts.compactMapValues { statistics[$0] }
    }
}
