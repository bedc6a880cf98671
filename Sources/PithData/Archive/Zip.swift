import Foundation
import PithCore

/// How archives are made.
public struct ZipOptions: Sendable {
    /// How much work is put into it.
    public var level = ZipLevel.standard
    /// One method for all content, instead of those of the level.
    public var method: Spec?
    /// The language model of the strongest level: a name or a folder.
    public var model = "nano"
    /// The memory that coding may take.
    public var memoryLimit = ByteCount(2 << 30)
    /// Whether to note where the bits went.
    public var traces = false

    /// The defaults.
    public init() {}
}

/// Makes archives.
public enum Zip {
    /// Writes an archive of `input`. For one file it is at most 64 bytes longer than the file; see `fits`.
    @discardableResult
    public static func write(
        _ input: ArchiveInput, to sink: any ByteSink, _ options: ZipOptions, _ context: CodingContext
    ) throws(PithError) -> [SegmentSummary] {
        var writer = try ArchiveWriter(
            to: sink, context, memoryLimit: options.memoryLimit.value, traces: options.traces)
        if let directory = input.directory {
            let content = ByteRegion(copying: directory.bytes)
            try writer.write([
                SegmentPlan(
                    candidates: ZipLevel.fast.candidates(for: .binary, model: ""), pieces: [content], isDirectory: true)
            ])
        }
        try writer.write(try SegmentPlanner(options).plans(for: input))
        try writer.finish()
        return writer.summaries
    }

    /// The archive of some bytes.
    public static func archive(
        _ bytes: [UInt8], _ options: ZipOptions, _ context: CodingContext
    ) throws(PithError) -> [UInt8] {
        let input = ArchiveInput(ByteRegion(copying: bytes))
        let sink = MemorySink()
        try write(input, to: sink, options, context)
        if fits(sink.bytes.count, input) { return sink.bytes }
        let stored = MemorySink()
        try writeStored(input, to: stored, context)
        return stored.bytes
    }

    /// Whether an archive of `count` bytes is small enough to be kept: what no method makes smaller is cut into
    /// segments for nothing, and better stored in one.
    public static func fits(_ count: Int, _ input: ArchiveInput) -> Bool {
        input.directory != nil || count <= input.count + 64
    }

    /// Writes an archive that holds one run of bytes as it is.
    @discardableResult
    public static func writeStored(
        _ input: ArchiveInput, to sink: any ByteSink, _ context: CodingContext
    ) throws(PithError) -> [SegmentSummary] {
        var writer = try ArchiveWriter(to: sink, context, memoryLimit: .max, traces: false)
        try writer.write([SegmentPlan(candidates: [], pieces: input.files.map(\.content))])
        try writer.finish()
        return writer.summaries
    }

    /// Writes an archive of what a pipe gives, a segment at a time.
    @discardableResult
    public static func write(
        pipe: FileHandle, to sink: any ByteSink, _ options: ZipOptions, _ context: CodingContext
    ) throws(PithError) -> [SegmentSummary] {
        var writer = try ArchiveWriter(
            to: sink, context, memoryLimit: options.memoryLimit.value, traces: options.traces)
        var source = ArchiveSource(pipe)
        let planner = SegmentPlanner(options)
        while true {
            let bytes = try source.takeAvailable(options.level.segmentSize)
            if bytes.isEmpty { break }
            try writer.write(try planner.plans(for: ArchiveInput(ByteRegion(copying: bytes))))
        }
        try writer.finish()
        return writer.summaries
    }
}

/// Cuts content into segments, each of one kind and within the memory that is allowed.
struct SegmentPlanner {
    private let options: ZipOptions

    init(_ options: ZipOptions) { self.options = options }

    /// The segments of an input: parts of the same kind share one, even if they are of different files.
    func plans(for input: ArchiveInput) throws(PithError) -> [SegmentPlan] {
        var plans: [SegmentPlan] = []
        for file in input.files {
            let parts =
                options.method == nil
                ? ContentPart.parts(of: file.content)
                : [ContentPart(range: 0..<file.content.count, kind: .binary)]
            for part in parts where !part.range.isEmpty {
                let candidates = try candidates(for: part.kind)
                let limit = try segmentSize(candidates)
                for piece in Self.pieces(of: file.content[part.range], limit: limit, uncut: candidates.isEmpty) {
                    if let last = plans.last, last.candidates == candidates, last.count + piece.count <= limit {
                        plans[plans.count - 1].pieces.append(piece)
                    } else {
                        plans.append(SegmentPlan(candidates: candidates, pieces: [piece]))
                    }
                }
            }
        }
        return plans
    }

    private func candidates(for kind: ContentKind) throws(PithError) -> [Spec] {
        if let method = options.method { return [method] }
        return options.level.candidates(for: kind, model: options.model)
    }

    /// The size of a segment that all candidates can code in the memory allowed.
    private func segmentSize(_ candidates: [Spec]) throws(PithError) -> Int {
        let (wanted, least) = (options.level.segmentSize, 1 << 16)
        var size = wanted
        for spec in candidates {
            let method = try DataCatalogue.method(for: spec)
            // Content and payload lie beside what the method needs.
            while size > least, method.memory(for: size) + 2 * size > options.memoryLimit.value { size /= 2 }
            guard size > least || method.memory(for: size) + 2 * size <= options.memoryLimit.value else {
                throw .usage(
                    "'\(spec)' needs at least \(ByteCount(method.memory(for: size) + 2 * size))",
                    at: "--memory-limit", remedy: "allow more, or choose a faster level")
            }
        }
        return size
    }

    /// A region in equal pieces of at most `limit` bytes.
    private static func pieces(of region: ByteRegion, limit: Int, uncut: Bool) -> [ByteRegion] {
        if uncut { return [region] }
        let number = (region.count + limit - 1) / limit
        return (0..<number).map { region[region.count * $0 / number..<region.count * ($0 + 1) / number] }
    }
}
