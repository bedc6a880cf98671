import ArgumentParser
import Pith

/// Turns a model of another program into a folder.
struct ImportCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "import", abstract: "Turn a llama2.c model into a model folder.")

    @Argument(help: "The model's .bin file (llama2.c, float32).")
    var model: String

    @Option(help: "The tokenizer's .bin file.")
    var tokenizer: String

    @Option(name: [.short, .long], help: "The folder to write; it must not exist yet.")
    var output: String

    func run() throws {
        guard !Files.exists(output) else {
            throw PithError.usage("exists already", at: output, remedy: "remove it or choose another name")
        }
        try importLlama2C(model: model, tokenizer: tokenizer, into: output)
        let folder = try ModelSource(output)
        print("\(output): \(try folder.loadModel().weightCount) weights, \(try folder.byteCount())")
    }
}
