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
    var inputs: [BytePath]

    @Option(name: [.short, .long], help: "The archive to write; - for standard output.")
    var output: BytePath?

    @Flag(help: "Store what links lead to instead of links.")
    var follow = false

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
    var report: BytePath?

    @Flag(help: "Replace an archive that stands there already.")
    var force = false

    @Flag(help: "Print the result as JSON.")
    var json = false

    @OptionGroup var shared: SharedOptions

    func validate() throws {
        if inputs.contains("-") && inputs.count > 1 { throw ValidationError("Standard input goes alone.") }
    }

    func run() throws {
        let options = try zipOptions()
        let target = try target()
        try requireDistinct([("-o", target), ("--report", report)], from: inputs == ["-"] ? [] : inputs)
        let result: Result
        if inputs == ["-"] {
            result = try zipPipe(to: target, options)
        } else {
            result = try zipFiles(to: target, options)
        }
        if let report {
            let page = ZipReport(
                title: "Where the bits of \(inputs[0].trimmed.name) went", count: result.count,
                archiveCount: result.archiveCount, modelSize: try modelSize(result.segments),
                segments: result.segments)
            try AtomicFile(at: report).finish(page.html.utf8)
        }
        try print(result, target)
        // What is missing was named; what came of the rest is well.
        if result.notes.contains(where: \.isLoss) { throw ExitCode(1) }
    }

    private struct Result {
        var notes: [InputNotes.Note] = []
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
        (options.memoryLimit, options.memoryTaken) = (memoryLimit, ProgramMemory.beginLimit())
        options.traces = report != nil
        return options
    }

    /// The path of the archive; nil for standard output.
    private func target() throws -> BytePath? {
        let isSent = output.map { $0 == "-" || AtomicFile.isStandardOutput($0) } ?? (inputs == ["-"])
        if let output, !isSent { return try free(output) }
        if isSent {
            guard isatty(1) == 0 else {
                throw PithError.usage("an archive is nothing to read on a terminal", remedy: "name it with -o FILE")
            }
            return nil
        }
        let name = inputs.count == 1 ? inputs[0].trimmed : "archive"
        return try free(BytePath(([".", "..", "/"].contains(name) ? "archive" : name).bytes + Array(".pith".utf8)))
    }

    private func free(_ path: BytePath) throws -> BytePath {
        guard force || !Files.exists(path) || AtomicFile.isStream(path) else {
            throw PithError.usage(
                "stands there already", at: path.description, remedy: "give another name with -o, or --force")
        }
        return path
    }

    private func zipFiles(to target: BytePath?, _ options: ZipOptions) throws -> Result {
        let archive = target.map { try? InputFile($0).state } ?? .standardOutput
        let input = try ArchiveInput(paths: inputs, followsLinks: follow, archive: archive)
        let meter = ProgressMeter()
        let context = try codingContext(meter)
        let start = ContinuousClock.now
        let job = try ZipJob(input, options, context)
        meter.begin("Compressing", total: try job.time, quiet: shared.quiet)
        var sink = try CountingSink(target)
        var segments = try job.write(to: sink)
        if !Zip.fits(sink.count, input), target != nil {
            sink = try CountingSink(target)
            segments = try Zip.writeStored(input, to: sink, context)
        }
        try sink.finish(as: input.attributes)
        meter.finish()
        let notes = input.notes.all
        for note in notes { Progress.write("\(note.path): \(note.message.printable)\n") }
        return Result(
            notes: notes, count: segments.reduce(0) { $0 + ($1.isDirectory ? 0 : $1.count) }, archiveCount: sink.count,
            seconds: (ContinuousClock.now - start).seconds,
            segments: segments)
    }

    private func zipPipe(to target: BytePath?, _ options: ZipOptions) throws -> Result {
        let start = ContinuousClock.now
        let sink = try CountingSink(target)
        let segments = try Zip.write(pipe: .standardInput, to: sink, options, try codingContext(nil))
        try sink.finish(as: .new)
        return Result(
            count: segments.reduce(0) { $0 + ($1.isDirectory ? 0 : $1.count) }, archiveCount: sink.count,
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

    private func print(_ result: Result, _ target: BytePath?) throws {
        let rate = Double(result.archiveCount) * 8 / Double(max(1, result.count))
        if json {
            let summary: JSONValue = [
                "archive": .string(target?.jsonText ?? "-"), "bytes": .integer(result.count),
                "archiveBytes": .integer(result.archiveCount), "bitsPerByte": .real(rate),
                "seconds": .real(result.seconds),
                "notes": .array(
                    result.notes.map {
                        [
                            "path": .string($0.path.jsonText), "message": .string($0.message),
                            "isLoss": .bool($0.isLoss),
                        ]
                    }),
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
            "\(target?.description ?? "standard output"): \(ByteCount(result.archiveCount)) of \(ByteCount(result.count)), "
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
    private let file: AtomicFile?
    private let inner: any ByteSink
    private(set) var count = 0

    /// A sink for a path, or for standard output.
    init(_ path: BytePath?) throws(PithError) {
        if let path {
            let file = try AtomicFile(at: path)
            (self.file, inner) = (file, file)
        } else {
            (file, inner) = (nil, StandardOutputSink())
        }
    }

    func write(_ bytes: UnsafeRawBufferPointer) throws(PithError) {
        count += bytes.count
        try inner.write(bytes)
    }

    func finish(as attributes: FileAttributes) throws(PithError) { try file?.commit(as: attributes) }
}
