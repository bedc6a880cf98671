import PithCore
import PithModels
import PithTensor

/// Measures what specs cost the matrices of a model: the error that each spec makes at the output of a sample of each
/// matrix, and how much the model's predictions move with an error of that matrix.
///
/// That the divergence is nearly the sum of each matrix's relative error times a factor of its own was shown by Malinovskii
/// et al., "Pushing the Limits of Large Language Model Quantization via the Linearity Theorem" (2024); the factor is found
/// with noise, as there.
public struct AllocationSearch: Sendable {
    private let source: ModelSource
    private let specs: [WeightPipeline]
    private let tableSpecs: [WeightPipeline]
    private let tokens: CalibrationTokens
    private let seed: UInt64
    private let pool: ThreadPool
    private let compressor: ModelCompressor
    private let ignored: [Recipe.Rule]

    /// What Pith knows best at each size, for matrices of layers.
    public static let bestSpecs = [
        "gptq:bits=2,group=32,levels=learned", "gptq:bits=3,group=32,levels=learned",
        "gptq:bits=4,group=32,levels=learned", "gptq:bits=5,group=32", "gptq:bits=6,group=32", "gptq:bits=8,group=64",
    ]
    /// The same for tables of token vectors.
    public static let bestTableSpecs = [3, 4, 5, 6, 8].map { "rtn:bits=\($0),group=32,scales=importance" }

    /// Tokens that errors are weighed on, and those that the model's predictions are compared on.
    private static let (statisticTokens, probeSequences, probeLength) = (4096, 2, 96)
    /// Rows and columns of a matrix that specs are tried on, at most.
    private static let (sampleRows, sampleColumns) = (128, 512)
    /// The share of the outputs' square that the noise has.
    private static let noise = 0.02

    /// Looks the specs up; `tableSpecs` are for tables, and parameters that rules of `ignored` name stay as they came.
    public init(
        _ source: ModelSource, specs: [Spec], tableSpecs: [Spec], ignored: [Recipe.Rule] = [],
        calibration: CalibrationText, seed: UInt64 = 0, pool: ThreadPool
    ) throws(PithError) {
        guard let first = specs.first, let firstTable = tableSpecs.first else {
            throw .usage("there is no spec to choose from", remedy: "for example gptq:bits=3 gptq:bits=4")
        }
        // Refuses models that cannot be compressed.
        compressor = try ModelCompressor(
            source, plan: RunPlan(weights: first, embeddings: firstTable), recipe: Recipe(rules: ignored), seed: seed,
            calibration: calibration, pool: pool)
        (self.source, self.seed, self.pool, self.ignored) = (source, seed, pool, ignored)
        self.specs = try specs.map { (spec) throws(PithError) in try WeightPipeline(spec) }
        self.tableSpecs = try tableSpecs.map { (spec) throws(PithError) in try WeightPipeline(spec) }
        tokens = try CalibrationTokens(calibration, count: Self.statisticTokens, for: source)
    }

    /// Bytes of the folder that a budget comes to.
    public func bytes(_ budget: Budget) throws(PithError) -> Int {
        try budget.bytes(
            weights: source.description.weightCount, original: source.byteCount(),
            companions: source.companionByteCount())
    }

    /// The parameters among some that something may be done to.
    private func chosen(_ parameters: [ParameterID]) -> [ParameterID] {
        parameters.filter { compressor.pipelines[$0] != nil }
    }

    /// Measures all matrices.
    public func run(quiet: Bool = true) throws(PithError) -> Allocation {
        let model = try source.loadModel(layouts: compressor.layouts, pool: pool)
        var progress = Progress(
            "looking at what each matrix bears", total: 2 * model.description.layers.count + 2, quiet: quiet)
        defer { progress.end() }
        var samples: [ParameterID: MatrixSample] = [:]
        try Files.withWorkFolder { (folder) throws(PithError) in
            var stream = try CalibrationStream(
                tokens, batchSize: 4, path: joinPath(folder, "hidden-states"), model.description
            ) { model }
            for layer in model.description.layers.indices {
                let matrices = chosen(model.description.matrices(ofLayer: layer))
                let seen = try stream.gather(Set(matrices), model, .hessian)
                for (id, sample) in try sample(matrices, model, specs, { seen[$0] }) { samples[id] = sample }
                try stream.advance(through: model)
                progress.update(layer + 1)
            }
            let head =
                model.description.output == nil ? nil : try stream.gatherHeadInputs(model, .hessian)
            let tables = try sample(chosen(model.description.tables), model, tableSpecs) { id in
                id == model.description.output?.matrix ? head : nil
            }
            for (id, sample) in tables { samples[id] = sample }
        }
        let done = model.description.layers.count + 1
        let sensitivities = try sensitivities(model, samples) { progress.update(done + $0) }
        return Allocation(
            parts: samples.keys.sorted { $0.index < $1.index }.map { id in
                Allocation.Part(
                    name: source.storedName(of: id), sensitivity: sensitivities[id] ?? 1,
                    choices: samples[id]?.choices ?? [])
            }, ignored: ignored, otherBytes: try compressor.bytesBesideMatrices())
    }

    // MARK: Errors

    /// What was found of a matrix.
    private struct MatrixSample {
        let choices: [Allocation.Choice]
        /// The variance of random changes of the weights that makes the error `noise`.
        let noiseVariance: Double
    }

    /// Tries specs on samples of matrices.
    private func sample(
        _ matrices: [ParameterID], _ model: LanguageModel, _ pipelines: [WeightPipeline],
        _ statistics: (ParameterID) -> InputStatistics?
    ) throws(PithError) -> [(ParameterID, MatrixSample)] {
        let problems = matrices.map { id in
            let width = source.description[id].shape[1]
            return (id, statistics(id) ?? InputStatistics.uniform(width: width, gathering: .hessian))
        }
        return try pool.map(problems.count) { (index) throws(PithError) in
            let (id, statistics) = problems[index]
            return (id, try sample(id, model, pipelines, statistics))
        }
    }

    private func sample(
        _ id: ParameterID, _ model: LanguageModel, _ pipelines: [WeightPipeline], _ statistics: InputStatistics
    ) throws(PithError) -> MatrixSample {
        let (name, shape) = (source.storedName(of: id), source.description[id].shape)
        let count = min(Self.sampleRows, shape[0])
        let rows = model[matrix: id].rows((0..<count).map { $0 * shape[0] / count }, columns: shape[1])
        guard let products = statistics.hessian else { throw .fault("statistics without products") }
        let hessian = Tensor(shape: [shape[1], shape[1]], values: products.values.map { Float($0) })
        // What specs are tried on.
        let width = min(Self.sampleColumns, shape[1])
        let (piece, seen) = (rows.corner(rows: count, columns: width), statistics.leading(width))
        let pieceHessian = hessian.corner(rows: width, columns: width)
        let energy = outputEnergy(piece, pieceHessian)
        let scale = Double(shape[0] * shape[1]) / Double(max(1, piece.count))
        var choices: [Allocation.Choice] = []
        for pipeline in pipelines {
            let stored = try pipeline.compress(name: name, weight: piece, statistics: seen, seed: seed)
            let lost = outputEnergy(piece - stored.denseWeight(pool: ThreadPool(threads: 1)), pieceHessian)
            choices.append(
                .init(
                    spec: pipeline.spec, bytes: Int(Double(stored.storedBits / 8) * scale),
                    error: energy > 0 ? lost / energy : 0))
        }
        let trace = statistics.columnSquares.reduce(0, +)
        let variance = Self.noise * outputEnergy(rows, hessian) / Double(max(1, count)) / max(trace, 1e-30)
        return MatrixSample(choices: choices, noiseVariance: variance)
    }

    /// tr(W H Wᵀ), W [rows, inputs], H [inputs, inputs]: the sum of the squares of the outputs.
    private func outputEnergy(_ weight: Tensor, _ hessian: Tensor) -> Double {
        guard weight.count > 0 else { return 0 }
        let product = LinearAlgebra.product(weight, .plain, hessian)
        return zip(product.values, weight.values).reduce(0) { $0 + Double($1.0) * Double($1.1) }
    }

    // MARK: Sensitivities

    /// By how many nats predictions move with an error of each matrix; 1 for all where nothing is predicted.
    private func sensitivities(
        _ model: LanguageModel, _ samples: [ParameterID: MatrixSample], progress: (Int) -> Void
    ) throws(PithError) -> [ParameterID: Double] {
        guard model.description.output != nil else { return [:] }
        let sequences = tokens.sequences.prefix(Self.probeSequences).map { Array($0.prefix(Self.probeLength)) }
        let count = sequences.reduce(0) { $0 + $1.count }
        let probe = try Probe(model, sequences)
        var sums: [ParameterID: Double] = [:]
        for layer in model.description.layers.indices {
            for id in chosen(model.description.matrices(ofLayer: layer)) {
                sums[id] = try probe.divergence(noisy(model, id, samples), from: layer)
            }
            progress(layer + 1)
        }
        for id in chosen(model.description.tables) {
            let isRead = id == model.description.input.table
            sums[id] = try probe.divergence(
                noisy(model, id, samples), from: isRead ? nil : model.description.layers.count)
        }
        progress(model.description.layers.count + 1)
        return sums.mapValues { max($0, 1e-12) / Double(max(1, count)) / Self.noise }
    }

    /// The model with noise added to a matrix.
    private func noisy(
        _ model: LanguageModel, _ id: ParameterID, _ samples: [ParameterID: MatrixSample]
    ) throws(PithError) -> LanguageModel {
        var dense = model[matrix: id].denseWeight(pool: pool)
        // Uniform noise of that variance.
        let width = Float((12 * (samples[id]?.noiseVariance ?? 0)).squareRoot())
        var random = SeededGenerator(seed: seed &+ UInt64(id.index) &+ 1)
        for i in dense.values.indices { dense.values[i] += width * (random.uniform() - 0.5) }
        var model = model
        // Inputs are kept as finely as beside the weights of most models; the rounding is far below the noise.
        model[matrix: id] = try DenseOperator(StoredTensor(dense, as: .bfloat16))
        return model
    }
}

/// A few sequences with what the model as it came makes of them: the stream before each layer, and logits.
private struct Probe {
    private let sequences: [[Int]]
    /// [layers + 1], the stream before each layer and behind the last.
    private let hidden: [Tensor]
    private let reference: Tensor

    init(_ model: LanguageModel, _ sequences: [[Int]]) throws(PithError) {
        self.sequences = sequences
        var stream = model.embed(sequences)
        var hidden = [stream]
        Self.run(model, sequences, from: 0, &stream) { hidden.append($0) }
        self.hidden = hidden
        reference = try Self.logits(model, sequences, stream)
    }

    /// The sum over all tokens of the divergence of a model that differs from a layer on; nil: in its token vectors, too.
    func divergence(_ model: LanguageModel, from layer: Int?) throws(PithError) -> Double {
        var stream = layer.map { hidden[$0] } ?? model.embed(sequences)
        Self.run(model, sequences, from: layer ?? 0, &stream) { _ in }
        let logits = try Self.logits(model, sequences, stream)
        let targets = [Int](repeating: 0, count: logits.rows)
        return TokenLoss.compare(reference, logits, targets, model.pool).reduce(0) { $0 + $1.divergence }
    }

    private static func run(
        _ model: LanguageModel, _ sequences: [[Int]], from layer: Int, _ stream: inout Tensor,
        _ see: (Tensor) -> Void
    ) {
        let (workspace, counts) = (ForwardWorkspace(), sequences.map(\.count))
        var states = sequences.map { _ in model.makeState() }
        workspace.prepare(model, counts, states)
        for layer in layer..<model.description.layers.count {
            model.runLayer(layer, &stream, &states, workspace)
            see(stream)
        }
    }

    private static func logits(
        _ model: LanguageModel, _ sequences: [[Int]], _ stream: Tensor
    ) throws(PithError) -> Tensor {
        let inputs = model.headInputs(of: stream, sequences.map(\.count))
        return try model.logits(of: inputs, rows: 0..<inputs.rows)
    }
}
