import ArgumentParser
import Foundation
import Pith

/// `pith unzip`: what is in an archive, and its files again.
struct UnzipCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "unzip", abstract: "Open an archive that 'pith zip' made, list it, or test it.",
        discussion: """
            One file's archive X.pith becomes X; an archive of several files or of a folder is opened in the folder \
            given with -o, by default the current one. '-' reads the archive from standard input.
            """)

    @Argument(help: "The archive, or - for standard input.")
    var archive: BytePath

    @Option(name: [.short, .long], help: "The file or folder to write; - for standard output.")
    var output: BytePath?

    @Flag(help: "List what is in the archive.")
    var list = false

    @Flag(help: "Decode everything, write nothing, and say whether all is well.")
    var test = false

    @Flag(help: "Write what can be saved of a damaged archive; files with losses end in .damaged.")
    var salvage = false

    @Option(help: "The folder of the language model that the archive needs, if it is not the built-in one.")
    var model: String?

    @Option(help: "The earlier checkpoint that the archive was made against.")
    var base: String?

    @Option(help: "The memory that may be used, for example 512MB or 4GiB.")
    var memoryLimit = ByteCount(4 << 30)

    @Option(
        help: ArgumentHelp(
            "The most that may come out, for example 2TB.",
            discussion: "By default a thousand times the archive's size, and 1 GiB."))
    var outputLimit: ByteCount?

    @Flag(help: "Replace files and links that stand there already.")
    var force = false

    @Flag(help: "Print results as JSON.")
    var json = false

    @OptionGroup var shared: SharedOptions

    func validate() throws {
        if list && test { throw ValidationError("Choose one of --list and --test.") }
    }

    func run() throws {
        let file = archive == "-" ? nil : try InputFile(archive)
        let source =
            try file.map { ArchiveSource($0, name: archive.description) }
            // What is lost may be found again further on.
            ?? (salvage
                ? ArchiveSource(SequentialInput.standardInput.spooled(), name: "standard input")
                : ArchiveSource(.standardInput))
        let meter = ProgressMeter()
        let context = CodingContext(
            pool: shared.pool, models: .standard(override: model),
            base: try base.map { (path) throws(PithError) in try MappedFile.open(path) }
        ) { meter.advance($0) }
        var limits = ReadingLimits()
        (limits.memory, limits.memoryTaken) = (memoryLimit.value, ProgramMemory.beginLimit().value)
        limits.output = outputLimit?.value
        var reader = try ArchiveReader(source, context, limits: limits, salvaging: salvage)
        if list { return try printList(&reader) }
        if let time = reader.time { meter.begin("Opening", total: time, quiet: shared.quiet) }
        if test {
            try Unzip.test(&reader)
            meter.finish()
            return json ? printJSON(["ok": .bool(true)]) : print("\(archive): all is well")
        }
        let losses = try reader.directory == nil ? openFile(&reader, file?.attributes) : openFolder(&reader)
        meter.finish()
        guard losses.isEmpty else { throw try failure(losses) }
    }

    // MARK: Opening

    /// The one file of an archive, which gets owner, permissions and times of the archive: those were its own.
    private func openFile(_ reader: inout ArchiveReader, _ attributes: FileAttributes?) throws -> [Unzip.Loss] {
        let place = output ?? defaultOutput
        if place == "-" || AtomicFile.isStandardOutput(place) {
            return try Unzip.write(&reader, to: StandardOutputSink())
        }
        guard force || !Files.exists(place) || AtomicFile.isStream(place) else { throw occupied(place) }
        let sink = try AtomicFile(at: place)
        let losses = try Unzip.write(&reader, to: sink)
        try sink.commit(as: attributes ?? .new)
        return losses
    }

    private var defaultOutput: BytePath {
        if archive == "-" { return "-" }
        let ending = Array(".pith".utf8)
        return archive.name.bytes.count > ending.count && archive.bytes.suffix(ending.count) == ending[...]
            ? BytePath(archive.bytes.dropLast(ending.count)) : BytePath(archive.bytes + Array(".opened".utf8))
    }

    private func openFolder(_ reader: inout ArchiveReader) throws -> [Unzip.Loss] {
        let root = output ?? "."
        guard root != "-" else {
            throw PithError.usage("several files do not go to standard output", remedy: "name a folder with -o")
        }
        if let directory = reader.directory, !force {
            for name in Set(directory.lazy.map { $0.path.components[0] }) where Files.exists(root.appending(name)) {
                throw occupied(root.appending(name))
            }
        }
        return try Unzip.extract(&reader, into: root, isReplacing: force)
    }

    private func occupied(_ path: BytePath) -> PithError {
        .usage("stands there already", at: path.description, remedy: "give another place with -o, or --force")
    }

    private func failure(_ losses: [Unzip.Loss]) throws -> PithError {
        for loss in losses {
            let name = loss.path == "" ? "the content" : loss.path.description
            let amount = loss.count > 0 ? "\(ByteCount(loss.count)) lost: " : ""
            Progress.write("\(name): \(amount)\(loss.reason.description.printable)\n")
        }
        return .data("something was lost; the rest was saved", at: archive.description)
    }

    // MARK: Listing

    private func printList(_ reader: inout ArchiveReader) throws {
        let segments = try reader.describe()
        if json { return printJSONList(reader.directory, segments) }
        if let directory = reader.directory {
            // Line by line: there may be millions.
            let width = directory.reduce(6) { max($0, "\($1.size)".count) }
            func line(_ size: String, _ time: String, _ path: String) {
                let padding = String(repeating: " ", count: max(0, width - size.count))
                print(
                    padding + size, time + String(repeating: " ", count: max(0, 20 - time.count)), path, separator: "  "
                )
            }
            line("bytes", "modified", "path")
            for entry in directory {
                line(
                    entry.kind == .file ? "\(entry.size)" : "\(entry.kind)", Self.time(entry.modified),
                    entry.path.description)
            }
            print()
        }
        let rows = segments.map { segment in
            [
                segment.spec.printable, "\(segment.count)", "\(segment.storedCount)",
                (Double(segment.storedCount) * 8 / Double(max(1, segment.count))).formatted(decimals: 3),
                segment.fingerprint.map { String($0, radix: 16) } ?? "",
            ]
        }
        print(TextTable(header: ["method", "bytes", "stored", "bits/byte", "model"], rows: rows).text)
    }

    /// `2026-11-27T20:25:00Z`, or seconds since 1970 where calendars end.
    private static func time(_ seconds: Int) -> String {
        guard abs(Double(seconds)) < 2e11 else { return "@\(seconds)" }
        return Date(timeIntervalSince1970: Double(seconds)).formatted(.iso8601)
    }

    private func printJSONList(_ directory: ArchiveDirectory?, _ segments: [ArchiveReader.SegmentDescription]) {
        func printArray(_ name: String, _ values: some Sequence<JSONValue>, end: String) {
            var separator = "\n"
            print("  \"\(name)\": [", terminator: "")
            for value in values {
                print(separator + "    " + value.compactText, terminator: "")
                separator = ",\n"
            }
            print(separator == "\n" ? "]" + end : "\n  ]" + end)
        }
        print("{")
        printArray("entries", directory.map { AnySequence($0.lazy.map(Self.json)) } ?? AnySequence([]), end: ",")
        printArray("segments", segments.lazy.map(Self.json), end: "\n}")
    }

    private static func json(_ entry: ArchiveDirectory.Entry) -> JSONValue {
        [
            "path": .string(entry.path.jsonText), "kind": .string("\(entry.kind)"), "bytes": .integer(entry.size),
            "modified": .integer(entry.modified),
        ]
    }

    private static func json(_ segment: ArchiveReader.SegmentDescription) -> JSONValue {
        [
            "method": .string(segment.spec), "bytes": .integer(segment.count),
            "storedBytes": .integer(segment.storedCount),
            "model": segment.fingerprint.map { .string(String($0, radix: 16)) } ?? .null,
        ]
    }
}
