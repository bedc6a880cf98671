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
    var archive: String

    @Option(name: [.short, .long], help: "The file or folder to write; - for standard output.")
    var output: String?

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

    @Flag(help: "Replace files that stand there already.")
    var force = false

    @Flag(help: "Print results as JSON.")
    var json = false

    @OptionGroup var shared: SharedOptions

    func validate() throws {
        if list && test { throw ValidationError("Choose one of --list and --test.") }
    }

    func run() throws {
        removeUnfinishedFilesOnInterrupt()
        let isPipe = archive == "-"
        let source =
            isPipe
            ? ArchiveSource(FileHandle.standardInput) : ArchiveSource(try MappedFile.open(archive), name: archive)
        let meter = ProgressMeter()
        let context = CodingContext(
            pool: shared.pool, models: .standard(override: model),
            base: try base.map { (path) throws(PithError) in try MappedFile.open(path) }
        ) { meter.advance($0) }
        var reader = try ArchiveReader(source, context, memoryLimit: memoryLimit.value)
        if list { return try printList(&reader) }
        // How much there is can be seen beforehand, but not in a pipe, nor if the archive is damaged.
        var ahead = reader
        if !isPipe, let segments = try? ahead.describe() {
            meter.begin("Opening", total: segments.reduce(0) { $0 + $1.count }, quiet: shared.quiet)
        }
        if test {
            try Unzip.test(&reader)
            meter.finish()
            return json ? printJSON(["ok": .bool(true)]) : print("\(archive): all is well")
        }
        let losses = try reader.directory == nil ? openFile(&reader) : openFolder(&reader)
        meter.finish()
        guard losses.isEmpty else { throw try failure(losses) }
    }

    // MARK: Opening

    private func openFile(_ reader: inout ArchiveReader) throws -> [Unzip.Loss] {
        let place = output ?? defaultOutput
        if place == "-" {
            return try Unzip.write(&reader, to: StreamSink(.standardOutput), salvaging: salvage)
        }
        guard force || !Files.exists(place) else { throw occupied(place) }
        let sink = try FileSink(place)
        let losses = try Unzip.write(&reader, to: sink, salvaging: salvage)
        try sink.commit()
        return losses
    }

    private var defaultOutput: String {
        if archive == "-" { return "-" }
        return archive.hasSuffix(".pith") ? String(archive.dropLast(5)) : archive + ".opened"
    }

    private func openFolder(_ reader: inout ArchiveReader) throws -> [Unzip.Loss] {
        let root = output ?? "."
        guard root != "-" else {
            throw PithError.usage("several files do not go to standard output", remedy: "name a folder with -o")
        }
        for entry in reader.directory?.entries ?? [] where !entry.path.contains("/") {
            let place = joinPath(root, entry.path)
            guard force || !Files.exists(place) else { throw occupied(place) }
        }
        return try Unzip.extract(&reader, into: root, salvaging: salvage)
    }

    private func occupied(_ path: String) -> PithError {
        .usage("stands there already", at: path, remedy: "give another place with -o, or --force")
    }

    private func failure(_ losses: [Unzip.Loss]) throws -> PithError {
        for loss in losses {
            let name = loss.path.isEmpty ? "the content" : loss.path
            let amount = loss.count > 0 ? "\(ByteCount(loss.count)) lost: " : ""
            Progress.write("\(name): \(amount)\(loss.reason)\n")
        }
        return .data("something was lost; the rest was saved", at: archive)
    }

    // MARK: Listing

    private func printList(_ reader: inout ArchiveReader) throws {
        let entries = reader.directory?.entries
        let segments = try reader.describe()
        if json {
            return printJSON([
                "entries": .array((entries ?? []).map(Self.json)),
                "segments": .array(segments.map(Self.json)),
            ])
        }
        if let entries {
            let rows = entries.map { entry in
                [
                    entry.path, entry.kind == .file ? "\(entry.size)" : "\(entry.kind)",
                    Date(timeIntervalSince1970: Double(entry.modified)).formatted(.iso8601),
                ]
            }
            print(TextTable(header: ["path", "bytes", "modified"], rows: rows).text + "\n")
        }
        let rows = segments.map { segment in
            [
                segment.spec, "\(segment.count)", "\(segment.storedCount)",
                (Double(segment.storedCount) * 8 / Double(max(1, segment.count))).formatted(decimals: 3),
                segment.fingerprint.map { String($0, radix: 16) } ?? "",
            ]
        }
        print(TextTable(header: ["method", "bytes", "stored", "bits/byte", "model"], rows: rows).text)
    }

    private static func json(_ entry: ArchiveDirectory.Entry) -> JSONValue {
        [
            "path": .string(entry.path), "kind": .string("\(entry.kind)"), "bytes": .integer(entry.size),
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
