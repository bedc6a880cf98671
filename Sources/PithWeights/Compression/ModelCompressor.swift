import PithCore
import PithFormats
import PithModels
import PithTensor

/// A format of another program that weights are rounded for.
public struct TargetFormat: Sendable {
    /// Its spec.
    public let name: String
    /// What a parameter is rounded to; nil where it stays as it is.
    public let form: @Sendable (ParameterID) throws(PithError) -> (any GridForm)?

    /// A format.
    public init(
        name: String, form: @escaping @Sendable (ParameterID) throws(PithError) -> (any GridForm)?
    ) {
        (self.name, self.form) = (name, form)
    }
}

/// Compresses a model into a folder, layer by layer.
///
/// The calibration text runs through the layers once: what a layer reads was written by the compressed layers before
/// it, so that each can make up for their errors. A layer is opened when its turn comes and written when it is done:
/// memory holds a few matrices and the statistics of one layer, whatever the size of the model, and work that was ended
/// goes on behind the last layer that was written.
public struct ModelCompressor: Sendable {
    /// The model to compress.
    public let source: ModelSource
    /// What to do to the matrices of layers and to embeddings.
    public let plan: RunPlan
    /// What to do to the parameters that it names, in the place of what the plan says.
    public let recipe: Recipe
    /// The seed of all random choices.
    public let seed: UInt64
    /// What to calibrate on, if the spec needs it.
    public let calibration: CalibrationText?
    /// At most so many tokens of it are read.
    public let calibrationTokenCount: Int
    /// The most memory that the program may take, if there is a limit.
    public var memoryLimit: ByteCount?
    /// What the program takes of it before anything is done.
    public var memoryTaken = ByteCount(0)
    /// What the recipe was found for, if it was: work goes on for the same alone.
    public var budget: Budget?
    /// The format of another program that the result is meant for; nil where the methods' own options say what weights are
    /// rounded to.
    public var format: TargetFormat?
    /// What all weight files together may take to be one.
    package var singleFileLimit = 64 << 20
    let pool: ThreadPool
    /// What is done to which parameters.
    let pipelines: [ParameterID: WeightPipeline]

    /// Checks that the plan can be carried out.
    public init(
        _ source: ModelSource, plan: RunPlan, recipe: Recipe = Recipe(), seed: UInt64 = 0,
        calibration: CalibrationText?,
        calibrationTokenCount: Int = 32768, pool: ThreadPool
    ) throws(PithError) {
        guard plan.compresses || !recipe.rules.isEmpty else {
            throw .usage("the plan '\(plan)' changes no weights", remedy: "for example rtn:bits=4")
        }
        guard source.manifest == nil else {
            throw .usage(
                "is compressed already (\(source.manifest?.spec ?? ""))", at: source.path,
                remedy: "compress the model that it was made from")
        }
        guard !source.isCheckpoint else {
            throw .usage(
                "was quantised by another program already", at: source.path,
                remedy: "take the model that it was made from, or what pith convert makes of it")
        }
        let pipelines = try Self.pipelines(of: source, plan, recipe)
        let calibrating = source.description.parameters.indices.lazy.compactMap { pipelines[ParameterID($0)] }
            .first { $0.needs != .nothing }
        if let calibrating, calibration == nil {
            throw .usage("'\(calibrating.spec)' needs a calibration text", remedy: "give one with --calibration FILE")
        }
        (self.source, self.pipelines) = (source, pipelines)
        (self.plan, self.recipe) = (plan, recipe)
        self.seed = seed
        self.calibration = calibrating == nil ? nil : calibration
        self.calibrationTokenCount = calibrationTokenCount
        self.pool = pool
    }

    /// What the recipe says of each matrix and table, and the plan of those that it does not name.
    private static func pipelines(
        of source: ModelSource, _ plan: RunPlan, _ recipe: Recipe
    ) throws(PithError) -> [ParameterID: WeightPipeline] {
        let description = source.description
        // Specs that no parameter asks for are checked, too.
        var known: [Spec: WeightPipeline] = [:]
        for spec in [plan.weights, plan.embeddings] + recipe.rules.map(\.spec) where !spec.stages.isEmpty {
            if known[spec] == nil { known[spec] = try WeightPipeline(spec) }
        }
        var (result, used) = ([ParameterID: WeightPipeline](), Set<Int>())
        for (index, parameter) in description.parameters.enumerated() {
            let id = ParameterID(index)
            let isTable = description.tables.contains(id)
            guard isTable || parameter.kind == .matrix else { continue }
            let rule = recipe.rule(for: source.storedName(of: id))
            if let rule { used.insert(rule) }
            let spec = rule.map { recipe.rules[$0].spec } ?? (isTable ? plan.embeddings : plan.weights)
            result[id] = known[spec]
        }
        if let unused = recipe.rules.indices.first(where: { !used.contains($0) }) {
            let names = description.matrices(ofLayer: 0).map { source.storedName(of: $0) }
            throw .usage(
                "'\(recipe.rules[unused].pattern)' is the name of no matrix or table that rules before it leave",
                at: "the recipe", remedy: "names are like \(names.first ?? "")")
        }
        return result
    }

    /// The most that any of some parameters must know of its inputs.
    func needs(of parameters: some Sequence<ParameterID>) -> CalibrationNeeds {
        parameters.lazy.compactMap { pipelines[$0]?.needs }.max() ?? .nothing
    }

    /// Whether tables are calibrated, on what comes out of the last layer: they come last then.
    var tablesAreCalibrated: Bool { needs(of: source.description.tables) != .nothing }

    var layouts: LayoutCatalogue {
        var layouts = WeightLayouts.catalogue
        layouts.pool = pool
        return layouts
    }

    /// Does the work and writes the folder `target`, which appears when it is whole. What is done of it stands in the
    /// folder `target.part` until then, and is gone on with if that `isResumed`; the result is the same. When `stop` is
    /// raised the work ends after the layer at work.
    ///
    /// Returns whether all was done.
    @discardableResult
    public func run(
        into target: String, isResumed: Bool = false, stop: StopRequest = StopRequest(), quiet: Bool = true
    ) throws(PithError) -> Bool {
        if isResumed, try CompressionWork.removeFinished(for: target) { return true }
        try CompressionWork.check(target, isResumed: isResumed)
        let tokens = try calibrationTokens()
        let model = try source.loadClosedModel(pool: pool)
        let schedule = try prepare(target, tokens, model, isResumed: isResumed)
        let digests = try source.weightDigests(pool: pool)
        let work = try CompressionWork(on: target, inputs: inputs(digests), isResumed: isResumed)
        var output = try FolderOutput(
            source, manifest(digests), in: work, singleFileLimit: singleFileLimit, pool: pool)
        do {
            guard try compress(model, into: &output, tokens, schedule, work, stop, quiet: quiet) else { return false }
            try output.finish(at: target, calibration: tokens?.record)
            return true
        } catch {
            // What fails the same way each time is not worth keeping; a full disk may have room later.
            if !isResumed, error.kind != .fault || !output.isWritten(1) { try? work.remove() }
            throw error
        }
    }

    /// Sees to it that memory and disk suffice, before anything is written. A schedule is needed where there is a limit.
    private func prepare(
        _ target: String, _ tokens: CalibrationTokens?, _ model: LanguageModel, isResumed: Bool
    ) throws(PithError) -> LayerSchedule? {
        let parent = BytePath(target).trimmed.folder.systemText
        let free = try Files.freeSpace(in: parent)
        let hidden = (tokens?.rows ?? 0) * 8 * source.description.streamWidth
        // No method stores more than single precision. Where that fits there is no need to look closer.
        let isAmple = 5 * source.description.weightCount + hidden < free.value
        guard memoryLimit != nil || !isAmple && !isResumed else { return nil }
        let plan = try makePlan(tokens, model, isTimed: false)
        guard plan.diskBytes <= free || isResumed else {
            throw .fault(
                "has \(free) free, and \(plan.diskBytes) are needed", at: parent,
                remedy: "free some, or write elsewhere")
        }
        return memoryLimit == nil ? nil : plan.schedule
    }

    func calibrationTokens() throws(PithError) -> CalibrationTokens? {
        try calibration.map { (text) throws(PithError) in
            try CalibrationTokens(text, count: calibrationTokenCount, for: source)
        }
    }

    /// Throws unless the folder `target` can be written, or work on it gone on with if that `isResumed`.
    public static func check(_ target: String, isResumed: Bool) throws(PithError) {
        try CompressionWork.check(target, isResumed: isResumed)
    }

    /// The recipe of work on the folder `target` that was ended; nil if there is none.
    public static func recipe(ofWorkOn target: String) throws(PithError) -> Recipe? {
        try CompressionWork.recipe(for: target)
    }

    /// What decides the result: work goes on with the same alone.
    private func inputs(_ digests: [String: String]) throws(PithError) -> JSONObject {
        var object = JSONObject()
        object["format"] = .string("pith-compression-\(CompressionManifest.version)")
        object["weights"] = .string(plan.weights.description)
        object["embeddings"] = .string(plan.embeddings.description)
        object["budget"] = budget.map { .string($0.description) }
        object["recipe"] = recipe.rules.isEmpty ? nil : .string(recipe.description)
        object["seed"] = .string("\(seed)")
        object["target"] = format.map { .string($0.name) }
        object["calibration"] = calibration.map { .string("\($0.name), SHA-256 \(CalibrationTokens.digest(of: $0))") }
        object["calibrationTokens"] = calibration == nil ? nil : .integer(calibrationTokenCount)
        object["sequenceLength"] = calibration == nil ? nil : .integer(CalibrationTokens.sequenceLength)
        for (name, digest) in digests.sorted(by: { $0.key < $1.key }) { object[name] = .string(digest) }
        for path in source.decidingFiles {
            let name = path.split(separator: "/").last.map(String.init) ?? path
            guard object[name] == nil else { continue }
            object[name] = .string(try MappedFile.open(path).withBytes { SHA256.hexDigest(of: $0) })
        }
        return object
    }

    private func manifest(_ digests: [String: String]) -> CompressionManifest {
        CompressionManifest(
            spec: plan.weights.description,
            embeddings: plan.embeddings.stages.isEmpty ? nil : plan.embeddings.description,
            recipe: recipe.rules.isEmpty ? nil : recipe.description, seed: seed, source: digests, calibration: nil,
            weights: [:])
    }

    /// Writes all parts that are not there yet. False if it was stopped.
    private func compress(
        _ model: LanguageModel, into output: inout some CompressionOutput, _ tokens: CalibrationTokens?,
        _ schedule: LayerSchedule?, _ work: CompressionWork, _ stop: StopRequest, quiet: Bool
    ) throws(PithError) -> Bool {
        let tablesComeLast = tablesAreCalibrated
        if !tablesComeLast, !output.isWritten(0) { try output.write(0, tables(nil)) }
        var model = model
        let layers = model.description.layers.indices
        var stream: CalibrationStream?
        let isUnwritten = layers.contains { !output.isWritten($0 + 1) } || tablesComeLast && !output.isWritten(0)
        if let tokens, isUnwritten {
            stream = try self.stream(tokens, schedule?.batchSize ?? 4, model, work)
        }
        var progress = Progress("compressing \(plan)", total: layers.count, quiet: quiet)
        defer { progress.end() }
        for layer in layers where !output.isWritten(layer + 1) || stream?.layer == layer {
            if !output.isWritten(layer + 1) {
                guard stream == nil || stream?.layer == layer else {
                    throw .data("holds other hidden states than those that layer \(layer) reads", at: work.folder)
                }
                try output.write(layer + 1, compressed(layer, &model, stream, schedule))
            }
            let isRead = layer + 1 < layers.count || tablesComeLast
            if stream?.layer == layer, isRead {
                try open(layer, of: output, in: &model)
                try stream?.advance(through: model)
                source.close(model.description.layers[layer].parameters, in: &model)
            }
            progress.update(layer + 1)
            if stop.isRaised, isRead { return false }
        }
        if !output.isWritten(0) {
            let needs = needs(of: model.description.tables)
            try output.write(0, tables(stream?.gatherHeadInputs(model, needs)))
        }
        return true
    }

    private func stream(
        _ tokens: CalibrationTokens, _ batchSize: Int, _ model: LanguageModel, _ work: CompressionWork
    ) throws(PithError) -> CalibrationStream {
        let tables = source.description.parameters.indices.map { ParameterID($0) }.filter {
            source.description[$0].kind == .table
        }
        defer { for id in tables { source.releaseMemory(of: id) } }
        return try CalibrationStream(
            tokens, batchSize: batchSize, path: work.hiddenStatesPath, source.description
        ) { () throws(PithError) in
            var model = model
            try source.open(tables, in: &model, layouts: layouts)
            return model
        }
    }

    /// Opens a layer whose matrices were compressed, as they were written.
    private func open(
        _ layer: Int, of output: some CompressionOutput, in model: inout LanguageModel
    ) throws(PithError) {
        let matrices = try output.matrices(of: layer + 1)
        try source.open(model.description.layers[layer].parameters, in: &model, layouts: layouts) { id in
            matrices[source.storedName(of: id)]
        }
    }
}
