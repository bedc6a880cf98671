import ArgumentParser
import Pith

/// Measures speed and memory once, in a process of its own; `pith compare` calls it.
struct MeasureCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "measure", abstract: "Measure the speed and memory of a model, as JSON.", shouldDisplay: false)

    @Argument(help: .model)
    var model: String

    @OptionGroup var runtime: RuntimeOptions

    func run() throws {
        let model = try runtime.loadModel(ModelSource.open(model))
        printJSON(try SpeedSample.inThisProcess(model).json)
    }
}
