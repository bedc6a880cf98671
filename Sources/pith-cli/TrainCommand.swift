import ArgumentParser
import Dispatch
import Foundation
import Pith

/// `pith train`: a model from text, or one that goes on learning.
struct TrainCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "train",
        abstract: "Train a language model on text, from the beginning or on from another.",
        discussion: """
            With --from, a model folder or a GGUF file learns on: all its weights, or with --adapt what adapters add \
            to it, which leaves the model in the form in which it is stored. Without it a small model is made, of the \
            sizes in --config, and if --tokenizer names none a byte-level BPE tokenizer too.

            A line that holds only \(TrainingText.separator) stands between two documents. Without --held-out the \
            last hundredth of the text is kept apart to measure on. Ctrl-C stops after the step at work; --resume goes \
            on from there and gives, bit for bit, what a run without a pause would have given.
            """)

    @Argument(help: "Settings, as name=value, which go before those of the configuration: steps=200 learningRate=1e-4.")
    var settings: [String] = []

    @Option(help: "The model to go on with: a folder, a GGUF file, or a built-in model's name.")
    var from: String?

    @Option(
        help: "What learns instead of the weights, for example lora:rank=8,alpha=16 or lora+norms.",
        transform: Spec.init(parsing:))
    var adapt: Spec?

    @Option(parsing: .upToNextOption, help: "Text files to learn from.")
    var text: [String] = []

    @Option(help: "The configuration of a new model, a JSON file: its sizes and how it is trained.")
    var config: String?

    @Option(name: [.long, .customShort("o")], help: "The folder to write.")
    var out: String?

    @Flag(help: "Go on from the checkpoint of an earlier run with the same inputs.")
    var resume = false

    @Option(help: "A folder with the tokenizer.json of a new model.")
    var tokenizer: String?

    @Option(help: "A file of tokens instead of --text, from 'pith tokenize encode'.")
    var tokens: String?

    @Option(parsing: .upToNextOption, help: "Text files to measure on.")
    var heldOut: [String] = []

    @Option(help: "Threads to work with; by default all cores.")
    var threads: Int?

    @Option(help: "The seed of all random choices.")
    var seed: Int?

    @Option(help: "Where checkpoints and tokens are kept; by default the folder 'training' in the one to write.")
    var work: String?

    @Option(help: "Memory that --from may take: layers run twice where they must, and what is too large is refused.")
    var memoryLimit: ByteCount?

    @Flag(help: "Say what would be done, and stop.")
    var dryRun = false

    @Flag(help: "Measure the speed of training on random tokens, and stop.")
    var benchmark = false

    @Flag(help: "Print the result as JSON.")
    var json = false

    func validate() throws {
        try SharedOptions.validate(threads: threads)
        let known = TrainingConfiguration.names.joined(separator: ", ")
        if let word = (texts + heldOutTexts).first(where: { $0.contains("=") && !Files.exists($0) }) {
            throw ValidationError("'\(word)' is neither a file nor a setting; settings are \(known).")
        }
        if adapt != nil, from == nil { throw ValidationError("--adapt needs a model to adapt: --from.") }
        if from != nil, config != nil || tokenizer != nil || tokens != nil {
            throw ValidationError(
                "--from brings its own sizes and tokenizer: leave --config, --tokenizer and --tokens out.")
        }
        if tokens != nil, tokenizer != nil || !heldOutTexts.isEmpty {
            throw ValidationError("--tokens brings its own tokenizer and held-out text.")
        }
    }

    func run() throws {
        let pool = SharedOptions.pool(threads: threads ?? ThreadPool.coreCount)
        if benchmark { return try printBenchmark(pool) }
        guard texts.isEmpty != (tokens == nil), let out else {
            throw PithError.usage("--out and one of --text and --tokens are needed")
        }
        let workFolder = work ?? joinPath(out, "training")
        let checkpoint = TrainingJob.checkpointPath(in: workFolder)
        if resume && !Files.exists(checkpoint) {
            throw PithError.usage("there is no checkpoint to go on from", at: checkpoint, remedy: "leave --resume out")
        }
        if !resume && Files.exists(checkpoint) {
            throw PithError.usage(
                "a run was begun here", at: checkpoint, remedy: "go on with --resume, or remove the file")
        }
        var inputs = TrainingJob.Inputs(try model(pool), texts: texts, heldOut: heldOutTexts, overrides: overrides)
        inputs.memoryLimit = memoryLimit
        let job = try TrainingJob(inputs, workFolder: workFolder, pool: pool)
        let trainer = try job.makeTrainer(pool: pool)
        PithCore.Progress.write(plan(job, trainer))
        if dryRun { return }
        let before =
            from == nil ? nil : try trainer.bitsPerByte(of: job.heldOut.tokens, byteCount: job.heldOut.byteCount)
        if resume { try trainer.resume(from: checkpoint) }
        let stopRequest = trainer.stopRequest
        let isComplete = try Interruption.handling(by: { stopRequest.raise() }) {
            try train(trainer, checkpoint: checkpoint, pool: pool)
        }
        guard isComplete else {
            PithCore.Progress.write("Stopped after step \(trainer.step). Go on with --resume.\n")
            throw ExitCode(130)
        }
        try job.write(trainer, to: out)
        try printResult(job, trainer, before: before)
    }

    // Lists of files take what follows them, settings too.
    private var texts: [String] { text.filter { !Self.isSetting($0) } }
    private var heldOutTexts: [String] { heldOut.filter { !Self.isSetting($0) } }
    private var overrides: [String] {
        settings + (text + heldOut).filter(Self.isSetting) + (seed.map { ["seed=\($0)"] } ?? [])
    }

    private static func isSetting(_ word: String) -> Bool {
        !Files.exists(word) && TrainingConfiguration.names.contains { word.hasPrefix("\($0)=") }
    }

    private func model(_ pool: ThreadPool) throws(PithError) -> TrainingJob.Inputs.Model {
        if let from { return .continued(try base(from, pool)) }
        guard let config else {
            throw .usage(
                "there is no model", remedy: "--from names one that learns on, --config the sizes of a new one")
        }
        return tokens.map { .ofTokens($0, configuration: config) }
            ?? .new(configuration: config, tokenizerFolder: tokenizer)
    }

    private func base(_ path: String, _ pool: ThreadPool) throws(PithError) -> TrainingBase {
        let source = try ModelSource.open(path)
        return try TrainingBase(source, try source.loadModel(pool: pool), adapters: adapt, pool: pool)
    }

    /// Runs to the end or to Ctrl-C; returns whether the end was reached.
    private func train(_ trainer: Trainer, checkpoint: String, pool: ThreadPool) throws -> Bool {
        let peak = TrainingBenchmark.measurePeak(pool)
        let firstStep = trainer.step
        var progress = PithCore.Progress("Training", total: trainer.settings.steps - firstStep)
        let isComplete = try trainer.run(checkpoint: checkpoint) { report in
            progress.update(
                report.step - firstStep,
                detail: """
                    step \(report.step)/\(report.steps), loss \(report.loss.formatted(decimals: 3)), \
                    rate \(report.learningRate.formatted(significant: 2)), \
                    \(Int(report.tokensPerSecond)) tokens/s, \
                    \(Int((100 * report.tokensPerSecond * trainer.operationsPerToken / peak).rounded())) % of peak
                    """)
        }
        progress.finish()
        return isComplete
    }

    private func plan(_ job: TrainingJob, _ trainer: Trainer) -> String {
        let settings = trainer.settings
        let epochs = Double(settings.tokensPerStep * settings.steps) / Double(max(1, job.training.tokens.count))
        let learned = trainer.parameterCount == trainer.modelWeightCount ? "" : " beside \(trainer.modelWeightCount)"
        return """
            \(trainer.parameterCount) weights\(learned); \(settings.steps) steps of \(settings.tokensPerStep) tokens, \
            \(epochs.formatted(significant: 3)) times the text's \(job.training.tokens.count)
            held out: \(job.heldOut.tokens.count) tokens, \(job.heldOut.byteCount) bytes

            """
    }

    private func printResult(_ job: TrainingJob, _ trainer: Trainer, before: Double?) throws {
        let heldOut = job.heldOut
        let bits = try trainer.bitsPerByte(of: heldOut.tokens, byteCount: heldOut.byteCount)
        /// Nats for each token but the first, whose cost is that of any.
        func loss(_ bits: Double) -> Double {
            bits * Double(heldOut.byteCount) * naturalLogarithm(2) / Double(max(1, heldOut.tokens.count))
        }
        if json {
            var result: JSONValue = [
                "steps": .integer(trainer.step), "parameters": .integer(trainer.parameterCount),
                "trainingTokens": .integer(job.training.tokens.count), "loss": .real(trainer.smoothedLoss),
                "heldOutBytes": .integer(heldOut.byteCount), "heldOutTokens": .integer(heldOut.tokens.count),
                "heldOutBitsPerByte": .real(bits), "heldOutLoss": .real(loss(bits)),
            ]
            if let before, case .object(var object) = result {
                object["heldOutBitsPerByteBefore"] = .real(before)
                object["heldOutLossBefore"] = .real(loss(before))
                result = .object(object)
            }
            return print(result.prettyText)
        }
        var rows = [
            ("steps", "\(trainer.step)"),
            ("training loss", "\(trainer.smoothedLoss.formatted(decimals: 4)) nats per token"),
        ]
        if let before {
            rows.append(("held-out loss before", "\(loss(before).formatted(decimals: 4)) nats per token"))
            rows.append(("held-out loss", "\(loss(bits).formatted(decimals: 4)) nats per token"))
            rows.append(("held-out bits per byte before", before.formatted(decimals: 4)))
        }
        rows.append(("held-out bits per byte", bits.formatted(decimals: 4)))
        for (name, value) in rows { print(name.padding(toLength: 32, withPad: " ", startingAt: 0) + value) }
    }

    private func printBenchmark(_ pool: ThreadPool) throws {
        let result = try measured(pool)
        if json {
            let row: JSONValue = [
                "parameters": .integer(result.parameterCount), "sequenceLength": .integer(result.sequenceLength),
                "threads": .integer(pool.threadCount), "operationsPerToken": .real(result.operationsPerToken),
                "tokensPerSecond": .real(result.tokensPerSecond), "peak": .real(result.peak),
                "share": .real(result.share),
            ]
            print(row.prettyText)
        } else {
            print(
                """
                weights                \(result.parameterCount)
                sequence length        \(result.sequenceLength)
                threads                \(pool.threadCount)
                operations per token   \((result.operationsPerToken / 1e6).formatted(decimals: 1)) million
                tokens per second      \(Int(result.tokensPerSecond))
                operations per second  \((result.operationsPerSecond / 1e9).formatted(decimals: 1)) GFLOP/s
                peak, 1024³ product    \((result.peak / 1e9).formatted(decimals: 1)) GFLOP/s
                share of the peak      \((100 * result.share).formatted(decimals: 1)) %
                """)
        }
    }
    private func measured(_ pool: ThreadPool) throws(PithError) -> TrainingBenchmark {
        if let from {
            let base = try base(from, pool)
            return try TrainingBenchmark(
                base, base.settings.overridden(by: overrides, contextLength: base.contextLength), pool: pool)
        }
        guard let config else { throw .usage("--benchmark needs --from or --config") }
        return try TrainingBenchmark(TrainingConfiguration(contentsOf: config, overrides: overrides), pool: pool)
    }
}
