import ArgumentParser
import Foundation
import Pith

/// `pith zip`: files into an archive.
struct ZipCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "zip", abstract: "Make files and folders smaller, without loss.",
        discussion: """
            One file becomes FILE.pith; several files or a folder become one archive. '-' reads standard input, \
            '-o -' writes standard output. What is in a file decides how it is compressed: text, tables, tensors, \
            pictures, sound. The archive opens with the same bytes on any machine: pith unzip.
            """)

    @Argument(help: "Files and folders, or - for standard input.")
    var inputs: [String]

    @Option(name: [.short, .long], help: "The archive to write; - for standard output.")
    var output: String?

    @Option(
        help: ArgumentHelp(
            "How much work is put into it: fast, default or best.",
            discussion: "best has more models, among them a network that was trained before and learns on the way."))
    var level = ZipLevel.standard

    @Option(help: "One method for everything, for example lm:model=nano; 'pith methods' lists them.")
    var method: String?

    @Option(
        help: ArgumentHelp(
            "A language model that level best mixes in where it knows a text: a name, or a model folder.",
            discussion: "The archive then needs the same model to be opened."))
    var model: String?

    @Option(help: "An earlier checkpoint: tensors are coded as what differs from its own of the same names.")
    var base: String?

    @Option(help: "The memory that may be used, for example 512MB or 4GiB.")
    var memoryLimit = ByteCount(2 << 30)

    @Option(help: "Write a page that shows where the bits went.")
    var report: String?

    @Flag(help: "Replace an archive that stands there already.")
    var force = false

    @Flag(help: "Print the result as JSON.")
    var json = false

    @OptionGroup var shared: SharedOptions

    func validate() throws {
        if inputs.contains("-") && inputs.count > 1 { throw ValidationError("Standard input goes alone.") }
    }

    func run() throws {
        removeUnfinishedFilesOnInterrupt()
        let options = try zipOptions()
        let target = try target()
        let result: Result
        if inputs == ["-"] {
            result = try zipPipe(to: target, options)
        } else {
            result = try zipFiles(to: target, options)
        }
        if let report {
            let page = ZipReport(
                title: "Where the bits of \(TextFile.fileName(inputs[0])) went", count: result.count,
                archiveCount: result.archiveCount, modelSize: try modelSize(result.segments),
                segments: result.segments)
            try AtomicFile.write(page.html, to: report)
        }
        try print(result, target)
    }

    private struct Result {
        var count: Int
        var archiveCount: Int
        var seconds: Double
        var segments: [SegmentSummary]
    }

    private func zipOptions() throws -> ZipOptions {
        var options = ZipOptions()
        options.level = level
        options.method = try method.map { try Spec(parsing: $0) }
        if let method = options.method { _ = try DataCatalogue.method(for: method) }
        options.model = model
        options.memoryLimit = memoryLimit
        options.traces = report != nil
        return options
    }

    /// The path of the archive; nil for standard output.
    private func target() throws -> String? {
        if let output, output != "-" { return try free(output) }
        if output == "-" || inputs == ["-"] {
            guard isatty(1) == 0 else {
                throw PithError.usage("an archive is nothing to read on a terminal", remedy: "name it with -o FILE")
            }
            return nil
        }
        let name = inputs.count == 1 ? trimmed(inputs[0]) : "archive"
        return try free(name + ".pith")
    }

    private func trimmed(_ path: String) -> String {
        let bare = path.count > 1 && path.hasSuffix("/") ? String(path.dropLast()) : path
        return bare == "." || bare == ".." || bare == "/" ? "archive" : bare
    }

    private func free(_ path: String) throws -> String {
        guard force || !Files.exists(path) else {
            throw PithError.usage("stands there already", at: path, remedy: "give another name with -o, or --force")
        }
        return path
    }

    private func zipFiles(to target: String?, _ options: ZipOptions) throws -> Result {
        let input = try ArchiveInput(paths: inputs)
        let meter = ProgressMeter()
        meter.begin("Compressing", total: input.count, quiet: shared.quiet)
        let context = try codingContext(meter)
        let start = ContinuousClock.now
        var sink = try CountingSink(target)
        var segments = try Zip.write(input, to: sink, options, context)
        if !Zip.fits(sink.count, input), target != nil {
            sink = try CountingSink(target)
            segments = try Zip.writeStored(input, to: sink, context)
        }
        try sink.finish()
        meter.finish()
        return Result(
            count: input.count, archiveCount: sink.count, seconds: (ContinuousClock.now - start).seconds,
            segments: segments)
    }

    private func zipPipe(to target: String?, _ options: ZipOptions) throws -> Result {
        let start = ContinuousClock.now
        let sink = try CountingSink(target)
        let segments = try Zip.write(pipe: .standardInput, to: sink, options, try codingContext(nil))
        try sink.finish()
        return Result(
            count: segments.reduce(0) { $0 + $1.count }, archiveCount: sink.count,
            seconds: (ContinuousClock.now - start).seconds, segments: segments)
    }

    private func codingContext(_ meter: ProgressMeter?) throws(PithError) -> CodingContext {
        CodingContext(
            pool: shared.pool, models: .standard,
            base: try base.map { (path) throws(PithError) in try MappedFile.open(path) }
        ) { meter?.advance($0) }
    }

    /// The size of the language model that some segment needs.
    private func modelSize(_ segments: [SegmentSummary]) throws -> ByteCount? {
        for segment in segments {
            let method = try DataCatalogue.method(for: Spec(parsing: segment.spec))
            if let name = method.modelName { return try ModelLibrary.standard.open(name, pool: shared.pool).size }
        }
        return nil
    }

    private func print(_ result: Result, _ target: String?) throws {
        let rate = Double(result.archiveCount) * 8 / Double(max(1, result.count))
        if json {
            let summary: JSONValue = [
                "archive": .string(target ?? "-"), "bytes": .integer(result.count),
                "archiveBytes": .integer(result.archiveCount), "bitsPerByte": .real(rate),
                "seconds": .real(result.seconds),
                "segments": .array(
                    result.segments.map {
                        [
                            "method": .string($0.spec), "bytes": .integer($0.count),
                            "storedBytes": .integer($0.storedCount),
                        ]
                    }),
            ]
            target == nil ? Progress.write(summary.prettyText + "\n") : printJSON(summary)
            return
        }
        let ratio = (Double(result.count) / Double(max(1, result.archiveCount))).formatted(significant: 3)
        let speed = ByteCount(Int(Double(result.count) / max(result.seconds, 1e-6)))
        let line =
            "\(target ?? "standard output"): \(ByteCount(result.archiveCount)) of \(ByteCount(result.count)), "
            + "\(rate.formatted(decimals: 3)) bits per byte, \(ratio) times smaller, \(speed)/s"
        if target == nil {
            if !shared.quiet { Progress.write(line + "\n") }
        } else {
            Swift.print(line)
        }
    }
}

extension ZipLevel: ExpressibleByArgument {}

extension ByteCount: ExpressibleByArgument {
    /// Reads `512MB` and the like.
    public init?(argument: String) { self.init(parsing: argument) }
    /// The default in help texts.
    public var defaultValueDescription: String { description }
}

/// Writes an archive to a file or to standard output, and counts its bytes.
private final class CountingSink: ByteSink {
    private let file: FileSink?
    private let inner: any ByteSink
    private(set) var count = 0

    /// A sink for a path, or for standard output.
    init(_ path: String?) throws(PithError) {
        if let path {
            let file = try FileSink(path)
            (self.file, inner) = (file, file)
        } else {
            (file, inner) = (nil, StreamSink(.standardOutput))
        }
    }

    func write(_ bytes: UnsafeRawBufferPointer) throws(PithError) {
        count += bytes.count
        try inner.write(bytes)
    }

    func finish() throws(PithError) { try file?.commit() }
}
