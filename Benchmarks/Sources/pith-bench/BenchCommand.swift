import ArgumentParser
import Foundation
import Pith

/// The `pith-bench` program.
@main
struct BenchCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "pith-bench",
        abstract: "How fast Pith runs models, beside what the machine can do and beside other programs.",
        discussion: """
            All figures are medians over rounds in which everything is measured in turns. What the machine can do is \
            measured around each sample, since it changes where others use it too. Models are made of random weights, \
            which speed does not depend on, and kept in a cache folder.
            """,
        subcommands: [
            MachineCommand.self, LayoutsCommand.self, SequencesCommand.self, OpeningCommand.self, OpenOnceCommand.self,
            RoundTripsCommand.self,
        ],
        defaultSubcommand: LayoutsCommand.self)

    static func main() {
        do {
            var command = try parseAsRoot()
            try command.run()
        } catch let error as PithError {
            PithCore.Progress.write("pith-bench: \(error)\n")
            Foundation.exit(error.kind.rawValue)
        } catch {
            exit(withError: error)
        }
    }
}

/// The threads to measure on.
struct ThreadOptions: ParsableArguments {
    @Option(help: "Threads to work with; by default one for each core.")
    var threads = ThreadPool.coreCount

    func validate() throws {
        if !(1...1024).contains(threads) { throw ValidationError("--threads should be in 1…1024.") }
    }
}

/// Where figures are written besides.
struct ReportOptions: ParsableArguments {
    @Option(help: "Write the tables as Markdown to this file.")
    var markdown: String?

    @Option(help: "Write all figures as JSON to this file.")
    var json: String?
}

/// What is measured, and how often.
struct ModelOptions: ParsableArguments {
    @Option(help: "Shapes to measure: nano, 135m, 1.1b; by default all.")
    var shape: [String] = []

    @Option(help: "Layouts to measure, by their names in the table; by default all that the command has.")
    var layout: [String] = []

    @Option(help: "Rounds that medians are taken over.")
    var rounds = 5

    @Option(
        help: """
            Minutes to wait in all for other programs to end, and to measure again what they disturbed.
            """)
    var patience = 0.0

    @Option(help: "The folder where models are kept between runs; all shapes and layouts take some 25 GB.")
    var cache = ModelCache.defaultRoot

    func validate() throws {
        if !(1...1000).contains(rounds) { throw ValidationError("--rounds should be in 1…1000.") }
    }
}
