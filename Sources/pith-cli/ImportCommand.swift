import ArgumentParser
import Pith

/// Turns a model of another program into a folder.
struct ImportCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "import", abstract: "Turn a model of llama2.c or rwkv.cpp into a model folder.")

    @Argument(help: "The model's .bin file (llama2.c, float32, or rwkv.cpp).")
    var model: String

    @Option(
        help: "The tokenizer's .bin file (llama2.c), or a tokenizer.json (rwkv.cpp, unless tokens are bytes).")
    var tokenizer: String?

    @Option(name: [.short, .long], help: "The folder to write; it must not exist yet.")
    var output: String

    func run() throws {
        guard !Files.exists(output) else {
            throw PithError.usage("exists already", at: output, remedy: "remove it or choose another name")
        }
        if try RWKVFile.recognizes(model) {
            try importRWKV(model: model, tokenizer: tokenizer, into: output)
        } else {
            guard let tokenizer else {
                throw PithError.usage("a model of llama2.c needs its tokenizer", remedy: "give it with --tokenizer")
            }
            try importLlama2C(model: model, tokenizer: tokenizer, into: output)
        }
        let folder = try ModelSource(output)
        print("\(output): \(try folder.loadModel().weightCount) weights, \(try folder.byteCount())")
    }
}
