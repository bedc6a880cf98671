import ArgumentParser
import Pith

/// Fetches a model from a hub.
struct PullCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "pull", abstract: "Fetch a model from a hub, such as Hugging Face's.",
        discussion: """
            What is fetched is what Pith needs to run the model: configuration, tokenizer, templates and safetensors \
            files, or the GGUF file; --include takes other files. It goes where the package huggingface_hub keeps its \
            files, and from then on org/name stands for the model wherever one is expected. A pull that was ended goes \
            on where it was.

            HF_ENDPOINT names another hub, HF_TOKEN holds a token for what is not public, HF_HUB_OFFLINE=1 asks no hub, \
            HF_HUB_CACHE names the folder.
            """)

    @Argument(help: "org/name, org/name@revision or org/name/FILE.gguf.")
    var repository: String

    @Option(
        parsing: .upToNextOption,
        help: "Take the files whose paths are like one of these instead, with * for any letters: '*Q4_K_M*'.")
    var include: [String] = []

    @Option(parsing: .upToNextOption, help: "Leave files whose paths are like one of these.")
    var exclude: [String] = []

    @Option(help: "Keep the files in this folder, laid out as huggingface_hub's cache.")
    var cache: String?

    @Option(help: "Connections that work side by side.")
    var connections: Int?

    @Flag(help: "Only list the files, their sizes and whether they are there.")
    var dryRun = false

    @Flag(help: "Print JSON.")
    var json = false

    @Flag(help: "Show no progress.")
    var quiet = false

    func validate() throws {
        if let connections, !(1...32).contains(connections) {
            throw ValidationError("--connections should be in 1…32.")
        }
    }

    func run() throws {
        var settings = try HubSettings()
        settings.cache = cache ?? settings.cache
        settings.transfer.connections = connections ?? settings.transfer.connections
        let (meter, isQuiet) = (ProgressMeter(), quiet)
        let hub = ModelHub(settings) { event in
            switch event {
            case .begin(let total): meter.begin("fetching", bytes: total, quiet: isQuiet)
            case .received(let count): meter.advance(count)
            case .notice(let text): if !isQuiet { meter.note(text) }
            }
        }
        let plan = try hub.plan(
            RepositoryAddress(parsing: repository), FileSelection(include: include, exclude: exclude))
        if !dryRun {
            defer { meter.finish() }
            try hub.pull(plan)
        }
        show(plan)
    }

    private func show(_ plan: ModelHub.Plan) {
        if json {
            printJSON(Self.document(plan))
        } else if dryRun {
            print(Self.table(plan))
        } else {
            print(plan.folder)
        }
    }

    /// What was done, or with --dry-run would be.
    private static func document(_ plan: ModelHub.Plan) -> JSONValue {
        [
            "repository": .string(plan.address.repository), "revision": .string(plan.address.revision),
            "commit": .string(plan.commit), "folder": .string(plan.folder),
            "missingBytes": .integer(plan.missingBytes),
            "files": .array(
                plan.files.map { file, isThere in
                    ["path": .string(file.path), "size": .integer(file.size), "wasThere": .bool(isThere)]
                }),
        ]
    }

    private static func table(_ plan: ModelHub.Plan) -> String {
        let rows = plan.files.map { file, isThere in
            [file.path.printable, "\(ByteCount(file.size))", isThere ? "is there" : "to fetch"]
        }
        let whole = plan.files.reduce(0) { $0 + $1.file.size }
        return TextTable(header: ["file", "size", ""], rows: rows, leftAligned: [0, 2]).text
            + "\n\(plan.address) at \(plan.commit): \(plan.files.count) files, \(ByteCount(whole)), "
            + "of which \(ByteCount(plan.missingBytes)) are to be fetched"
    }
}
