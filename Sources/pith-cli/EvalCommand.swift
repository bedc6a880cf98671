import ArgumentParser
import Pith

/// Measures a model on a text.
struct EvalCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "eval", abstract: "Measure a model on a text, alone or against another.")

    @Argument(help: .model)
    var model: String

    @Option(help: "The model to measure divergence from, usually the uncompressed one.")
    var reference: String?

    @Option(
        help: "How the reference keeps keys and values; by default as the model does, so that this costs nothing.",
        transform: Spec.init(parsing:))
    var referenceCache: Spec?

    @OptionGroup var textOptions: TextOptions
    @OptionGroup var dated: DatedOptions
    @OptionGroup var tasks: TaskOptions

    @Flag(help: "Print the figures as JSON.")
    var json = false

    @OptionGroup var runtime: RuntimeOptions

    func run() throws {
        let pool = runtime.shared.pool
        let folder = try ModelSource.open(model)
        if let name = tasks.task { return try evaluate(name, folder, pool) }
        let candidate = try runtime.loadModel(folder, pool: pool)
        if !dated.byCompression.isEmpty { return try evaluateDated(folder, candidate) }
        let (name, content) = try textOptions.load()
        let overlap = CalibrationOverlap(folder.manifest?.calibration, measured: content)
        overlap?.warn(measured: name)
        let text = try EvaluationText(
            content, name: name, tokenizer: folder.tokenizer, configuration: folder.configuration,
            windowLength: textOptions.window)
        let other = try reference.map { (path) throws(PithError) in
            let other = try ModelSource.open(path)
            guard other.configuration.vocabularySize == folder.configuration.vocabularySize else {
                throw PithError.usage("has another vocabulary than \(model)", at: path)
            }
            var model = try runtime.loadModel(other, pool: pool)
            if let referenceCache { model.cache = try CacheCatalogue.method(for: referenceCache) }
            return model
        }
        let evaluator = Evaluator(batchSize: textOptions.batch)
        let measurement = try evaluator.measure(
            other ?? candidate, against: other == nil ? [] : [candidate], on: text, quiet: runtime.shared.quiet
        ).last
        guard let measurement else { preconditionFailure("the reference is always measured") }
        let rate = BitsPerWeight(bytes: try folder.weightByteCount(), weights: candidate.weightCount)
        present(measurement, text, rate, try folder.byteCount(), overlap)
    }

    private func evaluate(_ name: String, _ folder: ModelSource, _ pool: ThreadPool) throws(PithError) {
        let task = try EvaluationTasks.named(name).init(folder: tasks.data ?? "")
        let model = try runtime.loadModel(folder, pool: pool, allowingEncoders: true)
        let report = try task.measure(model, from: folder, quiet: runtime.shared.quiet)
        if json { printJSON(report.json(task: name)) } else { report.printTable() }
    }

    private func evaluateDated(_ folder: ModelSource, _ model: LanguageModel) throws(PithError) {
        let other = try reference.map { (path) throws(PithError) in
            let other = try ModelSource.open(path)
            return EvaluatedModel(try runtime.loadModel(other), tokenizer: other.tokenizer)
        }
        let report = try dated.evaluation().run(
            EvaluatedModel(model, tokenizer: folder.tokenizer), reference: other,
            on: DatedText.load(dated.byCompression), quiet: runtime.shared.quiet)
        if json { printJSON(report.json) } else { report.printTables() }
    }

    private func present(
        _ m: Measurement, _ text: EvaluationText, _ rate: BitsPerWeight, _ bytes: ByteCount,
        _ overlap: CalibrationOverlap?
    ) {
        var figures: [(key: String, name: String, estimate: Estimate)] = [
            ("bitsPerByte", "bits per byte", m.bitsPerByte), ("perplexity", "perplexity", m.perplexity),
        ]
        if reference != nil {
            figures += [
                ("klDivergence", "KL divergence", m.klDivergence),
                ("top1Agreement", "top-1 agreement", m.top1Agreement),
            ]
        }
        if json {
            var object = JSONObject()
            object["text"] = .string(text.name)
            object["tokens"] = .integer(text.tokenCount)
            object["textBytes"] = .integer(text.byteCount)
            object["bytes"] = .integer(bytes.value)
            object["bitsPerWeight"] = .real(rate.value)
            object["calibrationOverlap"] = overlap?.json
            for figure in figures {
                object[figure.key] = .real(figure.estimate.value)
                object[figure.key + "Error"] =
                    figure.estimate.standardError.isFinite ? .real(figure.estimate.standardError) : .null
            }
            printJSON(.object(object))
        } else {
            print("\(text.name): \(text.tokenCount) tokens, \(text.byteCount) bytes")
            let rows = figures.map {
                [
                    $0.name, $0.estimate.value.formatted(significant: 5),
                    "±\($0.estimate.standardError.formatted(significant: 2))",
                ]
            }
            print(TextTable(header: ["figure", "value", "error"], rows: rows).text)
            print("model: \(bytes) on disk, \(rate) bits per weight")
        }
    }
}
