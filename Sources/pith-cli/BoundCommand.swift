import ArgumentParser
import Pith

/// Certifies how well a small model does on data that it has not seen.
struct BoundCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "bound",
        abstract: "Train a model of few bytes and certify its loss on unseen data.",
        discussion: """
            A small model of bytes is trained through a random subspace of low-rank factors; the vector in the subspace \
            is rounded to learnt levels and written by the range coder. The bytes of that code enter a bound on the \
            loss over all windows of the files, which holds with probability 0.95.
            """)

    @Argument(help: "Files to draw windows from.")
    var files: [String]

    @Option(help: "The length of the vector.")
    var dimension = 500

    @Option(help: "Levels of its elements.")
    var levels = 7

    @Option(help: "Training steps.")
    var steps = 600

    @Option(help: "Bytes of a window.")
    var window = 16

    @Option(help: "The highest learning rate.")
    var rate = 0.1

    @Option(help: "At most so many windows are drawn; at any rate half as many as there are.")
    var samples = 1 << 20

    @Option(help: "The seed of all random choices.")
    var seed: UInt64 = 1

    @Flag(help: "Print the figures as JSON.")
    var json = false

    @OptionGroup var shared: SharedOptions

    func validate() throws {
        if !(2...1_000_000).contains(dimension) {
            throw ValidationError("--dimension should be in 2…1000000.")
        }
        if !(1...1_000_000).contains(steps) { throw ValidationError("--steps should be in 1…1000000.") }
        if !(2...1024).contains(window) { throw ValidationError("--window should be in 2…1024.") }
        if samples < 1 { throw ValidationError("--samples should be at least 1.") }
        if !(rate > 0 && rate <= 10) {
            throw ValidationError("--rate should be above 0 and at most 10.")
        }
    }

    func run() throws {
        var data: [UInt8] = []
        for file in files { data += try Files.bytes(file) }
        var experiment = SubLoRAExperiment()
        (experiment.dimension, experiment.levels, experiment.steps) = (dimension, levels, steps)
        (experiment.window, experiment.learningRate, experiment.seed) = (window, rate, seed)
        experiment.samples = samples
        let result = try experiment.run(data, pool: shared.pool, quiet: shared.quiet)
        if json {
            printJSON([
                "samples": .integer(result.samples), "codeBytes": .integer(result.code.count),
                "mixing": .real(result.mixing), "sampleLoss": .real(result.sampleLoss),
                "penalty": .real(result.penalty), "bound": .real(result.bound),
                "testLoss": .real(result.testLoss.value),
                "testLossError": .real(result.testLoss.standardError),
                "plainTestLoss": .real(result.plainTestLoss.value), "uniform": .real(result.uniform),
            ])
        } else {
            let rows = [
                ["log2 of the vocabulary", result.uniform.formatted(decimals: 3)],
                ["certified bound", result.bound.formatted(decimals: 3)],
                ["  loss on the samples", result.sampleLoss.formatted(decimals: 3)],
                ["  complexity", result.penalty.formatted(decimals: 3)],
                ["test loss", result.testLoss.formatted(decimals: 3)],
                ["test loss without smoothing", result.plainTestLoss.formatted(decimals: 3)],
            ]
            print(TextTable(header: ["bits per byte", ""], rows: rows).text)
            print(
                "\(result.samples) windows of \(window) bytes; the model is \(result.code.count) bytes; "
                    + "mixing \(result.mixing.formatted(significant: 2))")
        }
    }
}
