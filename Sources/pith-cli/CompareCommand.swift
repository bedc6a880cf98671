import ArgumentParser
import Foundation
import Pith

/// Compares methods on one model and one text.
struct CompareCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "compare", abstract: "Run several methods on one model and print what each saved and cost.",
        discussion: """
            Each spec is carried out for real: written to disk, opened again, and measured beside the model as it \
            came. Without --calibration the first half of the text is for calibration, the second half for measuring.
            """)

    @Argument(help: .model)
    var model: String

    @Argument(help: "What to compare, for example rtn:bits=4 gptq:bits=4 'gptq:bits=4 cache=bf16' cache=f32.")
    var specs: [String]

    @OptionGroup var textOptions: TextOptions
    @OptionGroup var compressionOptions: CompressionOptions

    @Option(help: "Write the comparison as a page with a picture.")
    var report: String?

    @Option(help: "Write the picture alone, as SVG.")
    var picture: String?

    @Option(help: "Keep the compressed models, in this folder.")
    var keep: String?

    @Flag(help: "Print an array of rows as JSON.")
    var json = false

    @OptionGroup var runtime: RuntimeOptions
    private var shared: SharedOptions { runtime.shared }

    func run() throws {
        try requireDistinct([("--report", report.map { BytePath($0) }), ("--picture", picture.map { BytePath($0) })])
        // That they can be written is to be known before the work.
        let reportFile = try report.map { (path) throws(PithError) in try AtomicFile(at: path) }
        let pictureFile = try picture.map { (path) throws(PithError) in try AtomicFile(at: path) }
        var plans: [RunPlan] = []
        for spec in specs { plans.append(try RunPlan(parsing: spec)) }
        let folder = try ModelSource.open(model)
        let (text, calibration) = try texts(folder, for: plans)
        var comparison = try Comparison(
            folder, plans: plans, base: runtime.plan.over(compressionOptions.plan), text: text,
            calibration: calibration, pool: shared.pool
        ) { (path, plan) throws(PithError) in
            try SpeedSample.inChildProcess(
                Bundle.main.executablePath ?? CommandLine.arguments[0],
                ["measure", path] + runtime.arguments(for: plan))
        }
        comparison.seed = compressionOptions.seed
        comparison.batchSize = textOptions.batch
        comparison.calibrationTokenCount = compressionOptions.calibrationTokens
        let rows = try inWorkFolder { (work) throws(PithError) in
            try comparison.run(in: work, quiet: shared.quiet)
        }
        let page = try present(rows, text, calibration)
        try reportFile?.finish(page.html.utf8)
        try pictureFile?.finish(page.picture.utf8)
    }

    /// The text to measure on and the text to calibrate on: two halves of one, unless both were named.
    private func texts(
        _ folder: ModelSource, for plans: [RunPlan]
    ) throws(PithError) -> (EvaluationText, CalibrationText) {
        var (name, content) = try textOptions.load()
        var calibration = try compressionOptions.calibrationText()
        if compressionOptions.calibration == nil, textOptions.text != nil {
            let (first, second) = TextFile.halves(content)
            calibration = CalibrationText(name: "first half of \(name)", text: first)
            (name, content) = ("second half of \(name)", second)
        }
        for plan in plans where !plan.weights.stages.isEmpty {
            guard try WeightPipeline(plan.weights).needs != .nothing else { continue }
            CalibrationOverlap(calibration, measured: content)?.warn(measured: name)
            break
        }
        let text = try EvaluationText(
            content, name: name, tokenizer: folder.tokenizer, configuration: folder.configuration,
            windowLength: textOptions.window)
        return (text, calibration)
    }

    private func inWorkFolder(
        _ body: (String) throws(PithError) -> [ComparisonRow]
    ) throws(PithError) -> [ComparisonRow] {
        guard let keep else { return try Files.withWorkFolder(body) }
        try Files.makeFolder(keep)
        return try body(keep)
    }

    private func present(
        _ rows: [ComparisonRow], _ text: EvaluationText, _ calibration: CalibrationText
    ) throws(PithError) -> ReportPage {
        let notes = [
            "Measured on \(text.name): \(text.tokenCount) tokens, \(text.byteCount) bytes, in windows of \(textOptions.window) tokens; ± is the standard error between blocks of 64 tokens.",
            "Calibrated on \(calibration.name). Seed \(compressionOptions.seed). "
                + "Embeddings: \(compressionOptions.embeddings?.description ?? "as they came").",
            runtime.note,
            "Size is that of the model's folder on disk, configuration and tokenizer included; bits per weight count the weight files and the manifest.",
            "Speed: 512 tokens read at once, then 64 written one by one, in processes of their own; medians of "
                + "\(Comparison.speedRounds) rounds that all rows take in turns, ± is half the distance of the quartiles. Rows whose "
                + "matrices lie in the same layouts do the same work and are measured as one. Memory is the most that a "
                + "process ever held.",
        ]
        if json {
            printJSON(.array(rows.map(\.json)))
        } else {
            print(TextTable(header: ComparisonRow.header, rows: rows.map(\.cells)).text)
            for note in notes { print(note) }
        }
        return ReportPage(
            title: "\(TextFile.fileName(model)), compressed \(rows.count - 1) ways", notes: notes, rows: rows)
    }
}
