import ArgumentParser
import Foundation
import Pith

/// The `pith` program: verbs are sub-commands, arguments are files and folders.
@main
struct PithCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "pith",
        abstract: "Compress language models, and compress everything else with them.",
        discussion: """
            A model is a folder with config.json, tokenizer.json and model.safetensors, a .gguf file, the name of a \
            built-in model (nano), or org/name once 'pith pull' has fetched it. What to do is a spec: name:option=value,option=value, composed with +, for example \
            gptq:bits=4,group=64 or sparsegpt:sparsity=0.5+eora:rank=16. 'pith methods' lists them.

            Results go to standard output, progress to standard error. Exit status 1 means that something was left \
            out, 64 a wrong call, 65 wrong data, 70 a fault of the system.
            """,
        version: "0.1.0",
        subcommands: [
            InspectCommand.self, RunCommand.self, ChatCommand.self, EmbedCommand.self, CompressCommand.self,
            CompareCommand.self, EvalCommand.self, TrainCommand.self, AdapterCommand.self, ImportCommand.self,
            ConvertCommand.self, PullCommand.self, ZipCommand.self, UnzipCommand.self, TokenizeCommand.self,
            TokensCommand.self,
            DistanceCommand.self, EpiplexityCommand.self, PrequentialCommand.self, BoundCommand.self,
            KolmogorovCommand.self, MethodsCommand.self, MeasureCommand.self,
            TrainStreamCommand.self,
        ])

    static func main() {
        Interruption.install()
        do {
            var command = try parseAsRoot()
            try command.run()
        } catch let error as PithError {
            PithCore.Progress.write("pith: \(error.description.printable)\n")
            Foundation.exit(error.kind.rawValue)
        } catch {
            exit(withError: error)
        }
    }
}

extension ArgumentHelp {
    /// What a model may be called, see `ModelPath`.
    static let model: ArgumentHelp =
        "A model: a folder, a .gguf file, a built-in model's name, or org/name that was pulled from a hub."
}

/// Options that mean the same everywhere.
struct SharedOptions: ParsableArguments {
    @Option(help: "Threads to work with; by default one for each core.")
    var threads: Int?

    @Option(help: "The instructions to compute with, by default the fastest of the machine; results do not change.")
    var kernels: KernelPath?

    @Flag(help: "Show no progress.")
    var quiet = false

    func validate() throws {
        try Self.validate(threads: threads)
        guard let kernels else { return }
        guard kernels.isAvailable else { throw ValidationError("This machine has no \(kernels).") }
        KernelPath.standard = kernels
    }

    /// Refuses numbers of threads that no pool has.
    static func validate(threads: Int?) throws {
        let range = ThreadPool.threadRange
        if let threads, !range.contains(threads) {
            throw ValidationError("--threads should be in \(range.lowerBound)…\(range.upperBound).")
        }
    }

    /// The threads to work with.
    var pool: ThreadPool { Self.pool(threads: threadCount) }

    /// So many threads, or a word about those that the system does not give.
    static func pool(threads: Int) -> ThreadPool {
        let pool = ThreadPool(threads: threads)
        if pool.missingThreadCount > 0 {
            PithCore.Progress.write(
                "pith: warning: \(pool.missingThreadCount) of \(pool.threadCount) threads could not be started; the "
                    + "others do their work\n")
        }
        return pool
    }
    /// Their number.
    var threadCount: Int { min(threads ?? ThreadPool.coreCount, ThreadPool.threadRange.upperBound) }

    /// These options for another process, so that it works as this one does.
    var arguments: [String] {
        ["--threads", "\(threadCount)", "--kernels", "\(KernelPath.current)"] + (quiet ? ["--quiet"] : [])
    }
}

/// How finely inputs are kept.
struct ActivationOptions: ParsableArguments {
    @Option(
        help: "How finely the inputs of matrices are kept: narrow, the faster, or float.",
        transform: Spec.init(parsing:))
    var activations: Spec?

    /// What the options say.
    var plan: RunPlan {
        var plan = RunPlan()
        plan.activations = activations ?? plan.activations
        return plan
    }
}

/// How a model is run.
struct RuntimeOptions: ParsableArguments {
    @OptionGroup var inputs: ActivationOptions

    @Option(
        help: "How keys and values are kept, for example f32 or plain:keys=f16,values=bf16.",
        transform: Spec.init(parsing:))
    var cache: Spec?

    @Option(
        help: "A folder of adapters to run the model with, as 'pith train --adapt' or PEFT writes them; repeatable.")
    var adapter: [String] = []

    @OptionGroup var shared: SharedOptions

    func validate() throws {
        do throws(PithError) {
            _ = try CacheCatalogue.method(for: plan.cache)
            _ = try InputCatalogue.method(for: plan.activations)
        } catch { throw ValidationError("\(error)") }
    }

    /// What the options say.
    var plan: RunPlan {
        var plan = inputs.plan
        plan.cache = cache ?? plan.cache
        return plan
    }

    /// The options with which another process runs models by a plan, on as many threads and the same kernels.
    func arguments(for plan: RunPlan) -> [String] {
        (plan.cache.stages.isEmpty ? [] : ["--cache", "\(plan.cache)"])
            + (plan.activations.stages.isEmpty ? [] : ["--activations", "\(plan.activations)"])
            + adapter.flatMap { ["--adapter", $0] } + shared.arguments
    }

    /// What the options mean, in a sentence for reports.
    var note: String {
        "Activations: \(inputs.activations?.description ?? "narrow"). Cache: \(cache?.description ?? "f16"). "
            + "\(shared.threadCount) threads, \(KernelPath.current) kernels; the same in every row that does not say otherwise."
    }

    /// The model of a folder, to be run as the options say.
    func loadModel(
        _ folder: ModelSource, pool: ThreadPool? = nil, allowingEncoders: Bool = false
    ) throws(PithError) -> LanguageModel {
        var model = try folder.loadModel(pool: pool ?? shared.pool, allowingEncoders: allowingEncoders)
        for path in adapter { try model.apply(Adapter(folder: path, for: model.description)) }
        try model.apply(plan)
        return model
    }
}

extension KernelPath: ExpressibleByArgument {
    /// The path of a name, for example `avx2`.
    public init?(argument: String) {
        guard let path = Self.allCases.first(where: { "\($0)" == argument }) else { return nil }
        self = path
    }
    /// The names, for help texts.
    public static var allValueStrings: [String] { allCases.map { "\($0)" } }
}

/// What is measured on.
struct TextOptions: ParsableArguments {
    @Option(help: "A text file to measure on; by default the second half of Pith's own guide.")
    var text: String?

    @Option(help: "Tokens that are read from an empty context at a time.")
    var window = 512

    @Option(help: "Windows that are read together; figures do not depend on it.")
    var batch = 4

    func validate() throws {
        if window < 2 { throw ValidationError("--window should be at least 2.") }
        if !(1...1024).contains(batch) { throw ValidationError("--batch should be in 1…1024.") }
    }

    /// The name and content of the text.
    func load() throws(PithError) -> (name: String, content: String) {
        if let text { return try TextFile.load(text) }
        return try TextFile.guideHalves().measured
    }
}

/// Texts by path.
enum TextFile {
    /// The file at `path`, or Pith's guide.
    static func load(_ path: String?) throws(PithError) -> (name: String, content: String) {
        if let path { return (fileName(path), try Files.text(path)) }
        guard let guide = BuiltIn.guidePath else {
            throw .fault("Pith's own guide was not installed with the program", remedy: "give a text with --text FILE")
        }
        return ("Pith's guide", try Files.text(guide))
    }

    /// The guide in two: methods calibrate on the first half unless another text is named, and models are measured on
    /// the second, so that no model is measured on what it was calibrated on without anyone asking for it.
    static func guideHalves() throws(PithError) -> (
        calibrated: (name: String, content: String), measured: (name: String, content: String)
    ) {
        let (name, content) = try load(nil)
        let (first, second) = halves(content)
        return (("first half of \(name)", first), ("second half of \(name)", second))
    }

    /// The last part of a path.
    static func fileName(_ path: String) -> String { path.split(separator: "/").last.map(String.init) ?? path }

    /// Two halves of a text, cut between paragraphs if there is a place near the middle, else between words, else
    /// between characters.
    static func halves(_ text: String) -> (String, String) {
        let bytes = Array(text.utf8)
        let middle = bytes.count / 2
        let near = middle..<min(bytes.count, middle + bytes.count / 8)
        let (newline, space) = (UInt8(ascii: "\n"), UInt8(ascii: " "))
        let cut =
            near.first { bytes[$0] == newline && bytes[$0 - 1] == newline }
            ?? near.first { bytes[$0] == newline || bytes[$0] == space }
            ?? (middle..<bytes.count).first { bytes[$0] & 0xC0 != 0x80 } ?? bytes.count
        return (String(decoding: bytes[..<cut], as: UTF8.self), String(decoding: bytes[cut...], as: UTF8.self))
    }
}

/// Prints JSON for programs.
func printJSON(_ value: JSONValue) { print(value.prettyText) }
