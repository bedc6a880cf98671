import ArgumentParser
import Pith

/// `pith adapter`: what adapters hold, and a model that they have become part of.
struct AdapterCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "adapter", abstract: "List what adapters change, or merge them into a model.",
        subcommands: [AdapterListCommand.self, AdapterMergeCommand.self])
}

/// `pith adapter list`.
struct AdapterListCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "list", abstract: "List what a folder of adapters changes of a model.")

    @Argument(help: "The model that they belong to.")
    var model: String

    @Argument(help: "A folder with adapter_config.json and adapter_model.safetensors.")
    var adapter: String

    @Flag(help: "Print the list as JSON.")
    var json = false

    func run() throws {
        let description = try ModelSource.open(model).description
        let adapter = try Adapter(folder: adapter, for: description)
        var rows = adapter.changes.map { id, change in
            (description[id].name, "rank \(change.a.rows), scale \(change.scale)", change.a.count + change.b.count)
        }
        rows += adapter.values.map { (description[$0.id].name, "other values", $0.value.count) }
        if let prompt = adapter.prompt { rows.append(("in front of texts", "\(prompt.rows) vectors", prompt.count)) }
        if json {
            let list = rows.map { row -> JSONValue in
                ["name": .string(row.0), "change": .string(row.1), "weights": .integer(row.2)]
            }
            return printJSON(["weights": .integer(adapter.weightCount), "changes": .array(list)])
        }
        print(TextTable(header: ["of", "change", "weights"], rows: rows.map { [$0.0, $0.1, "\($0.2)"] }).text)
        print("\(adapter.weightCount) weights beside \(description.weightCount)")
    }
}

/// `pith adapter merge`.
struct AdapterMergeCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "merge", abstract: "Write a model as a Hugging Face folder in which adapters have become weights.")

    @Argument(help: "The model that they belong to.")
    var model: String

    @Argument(help: "Folders of adapters.")
    var adapters: [String]

    @Option(name: [.long, .customShort("o")], help: "The folder to write.")
    var out: String

    @OptionGroup var shared: SharedOptions

    func run() throws {
        let source = try ModelSource.open(model)
        var model = try source.loadModel(pool: shared.pool)
        for path in adapters {
            let adapter = try Adapter(folder: path, for: model.description)
            guard adapter.prompt == nil else {
                throw PithError.usage(
                    "holds vectors in front of texts, which are no weights", at: path, remedy: "run with --adapter")
            }
            try model.apply(adapter)
        }
        try source.export(model, to: out)
    }
}
