import ArgumentParser
import Dispatch
import Foundation
import PithCore
import PithFormats
import PithTensor
import PithTokens
import PithTraining

/// `pith train`: a model from text.
struct TrainCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "train",
        abstract: "Train a small language model from text and write it as a Hugging Face folder.",
        discussion: """
            A line that holds only \(TrainingText.separator) stands between two documents. Without --tokenizer a \
            byte-level BPE tokenizer is made from the text first; without --held-out the last hundredth of the text \
            is kept apart to measure on. Ctrl-C stops after the step at work; --resume goes on from there and gives, \
            bit for bit, what a run without a pause would have given.
            """)

    @Option(parsing: .upToNextOption, help: "Text files to learn from.")
    var text: [String] = []

    @Option(help: "The configuration, a JSON file: sizes of the model and how it is trained.")
    var config: String

    @Option(name: [.long, .customShort("o")], help: "The folder to write.")
    var out: String?

    @Flag(help: "Go on from the checkpoint of an earlier run with the same inputs.")
    var resume = false

    @Option(help: "A folder with the tokenizer.json to use.")
    var tokenizer: String?

    @Option(help: "A file of tokens instead of --text, from 'pith tokenize encode'.")
    var tokens: String?

    @Option(parsing: .upToNextOption, help: "Text files to measure on.")
    var heldOut: [String] = []

    @Option(help: "Threads to work with; by default all cores.")
    var threads: Int?

    @Option(help: "The seed of all random choices, before the configuration's.")
    var seed: Int?

    @Option(name: .customLong("set"), help: "A value before that of the configuration, as name=value.")
    var overrides: [String] = []

    @Option(help: "Where checkpoints and tokens are kept; by default the folder 'training' in the one to write.")
    var work: String?

    @Flag(help: "Say what would be done, and stop.")
    var dryRun = false

    @Flag(help: "Measure the speed of training with this configuration on random tokens, and stop.")
    var benchmark = false

    @Flag(help: "Print the result as JSON.")
    var json = false

    func validate() throws { try SharedOptions.validate(threads: threads) }

    func run() throws {
        let pool = SharedOptions.pool(threads: threads ?? ThreadPool.coreCount)
        if benchmark { return try printBenchmark(pool) }
        guard text.isEmpty != (tokens == nil), let out else {
            throw PithError.usage("--out and one of --text and --tokens are needed")
        }
        guard tokens == nil || (tokenizer == nil && heldOut.isEmpty) else {
            throw PithError.usage("--tokens brings its own tokenizer and held-out text")
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
        var inputs = TrainingJob.Inputs(texts: text, configuration: config)
        (inputs.heldOut, inputs.tokenizerFolder, inputs.tokens) = (heldOut, tokenizer, tokens)
        inputs.overrides = allOverrides
        let job = try TrainingJob(inputs, workFolder: workFolder, pool: pool)
        let trainer = try Trainer(job.configuration, tokens: job.training.tokens, pool: pool)
        if resume { try trainer.resume(from: checkpoint) }
        Progress.write(plan(job, trainer))
        if dryRun { return }
        let stopRequest = trainer.stopRequest
        let isComplete = try Interruption.handling(by: { stopRequest.raise() }) {
            try train(trainer, checkpoint: checkpoint, pool: pool)
        }
        guard isComplete else {
            Progress.write("Stopped after step \(trainer.step). Go on with --resume.\n")
            throw ExitCode(130)
        }
        try job.write(trainer, to: out)
        try printResult(job, trainer)
    }

    private var allOverrides: [String] { overrides + (seed.map { ["seed=\($0)"] } ?? []) }

    /// Runs to the end or to Ctrl-C; returns whether the end was reached.
    private func train(_ trainer: Trainer, checkpoint: String, pool: ThreadPool) throws -> Bool {
        let settings = trainer.configuration
        let peak = TrainingBenchmark.measurePeak(pool)
        let operations = settings.model.trainingOperations(perTokenAt: settings.sequenceLength)
        let firstStep = trainer.step
        var progress = Progress("Training", total: settings.steps - firstStep)
        let isComplete = try trainer.run(checkpoint: checkpoint) { report in
            progress.update(
                report.step - firstStep,
                detail: """
                    step \(report.step)/\(report.steps), loss \(report.loss.formatted(decimals: 3)), \
                    rate \(report.learningRate.formatted(significant: 2)), \
                    \(Int(report.tokensPerSecond)) tokens/s, \
                    \(Int((100 * report.tokensPerSecond * operations / peak).rounded())) % of peak
                    """)
        }
        progress.finish()
        return isComplete
    }

    private func plan(_ job: TrainingJob, _ trainer: Trainer) -> String {
        let settings = job.configuration
        let epochs = Double(settings.tokensPerStep * settings.steps) / Double(max(1, job.training.tokens.count))
        return """
            \(trainer.parameterCount) weights; \(settings.steps) steps of \(settings.tokensPerStep) tokens, \
            \(epochs.formatted(significant: 3)) times the text's \(job.training.tokens.count)
            held out: \(job.heldOut.tokens.count) tokens, \(job.heldOut.byteCount) bytes

            """
    }

    private func printResult(_ job: TrainingJob, _ trainer: Trainer) throws {
        let bits = try trainer.bitsPerByte(of: job.heldOut.tokens, byteCount: job.heldOut.byteCount)
        if json {
            let result: JSONValue = [
                "steps": .integer(trainer.step), "parameters": .integer(trainer.parameterCount),
                "trainingTokens": .integer(job.training.tokens.count), "loss": .real(trainer.smoothedLoss),
                "heldOutBytes": .integer(job.heldOut.byteCount),
                "heldOutTokens": .integer(job.heldOut.tokens.count), "heldOutBitsPerByte": .real(bits),
            ]
            print(result.prettyText)
        } else {
            print(
                """
                steps                   \(trainer.step)
                training loss           \(trainer.smoothedLoss.formatted(decimals: 4)) nats per token
                held-out bits per byte  \(bits.formatted(decimals: 4))
                """)
        }
    }

    private func printBenchmark(_ pool: ThreadPool) throws {
        let settings = try TrainingConfiguration(contentsOf: config, overrides: allOverrides)
        let result = try TrainingBenchmark(settings, pool: pool)
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
}
