import Foundation
import PithCore

/// How archives are made.
public struct ZipOptions: Sendable {
    /// How much work is put into it.
    public var level = ZipLevel.standard
    /// One method for all content, instead of those of the level.
    public var method: Spec?
    /// A language model for the strongest level to mix in where it knows the text: a name or a folder.
    public var model: String?
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
                    candidates: ZipLevel.fast.candidates(for: .binary, model: nil), pieces: [content],
                    isDirectory: true)
            ])
        }
        try writer.write(try SegmentPlanner(options, base: context.base).plans(for: input))
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
        let planner = SegmentPlanner(options, base: context.base)
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
    // The tensors of the base by their names.
    private let base: [String: ContentPart]

    /// Plans for content some of which may be coded against tensors of `base`.
    init(_ options: ZipOptions, base: ByteRegion?) {
        self.options = options
        let parts = base.flatMap { ContentPart.tensors($0) } ?? []
        self.base = Dictionary(parts.map { ($0.name ?? "", $0) }) { first, _ in first }
    }

    /// The segments of an input: parts of the same kind share one, even if they are of different files.
    func plans(for input: ArchiveInput) throws(PithError) -> [SegmentPlan] {
        var plans: [SegmentPlan] = []
        for file in input.files {
            let parts =
                options.method == nil
                ? ContentPart.parts(of: file.content)
                : [ContentPart(range: 0..<file.content.count, kind: .binary)]
            for part in parts where !part.range.isEmpty {
                let limit = try segmentSize(candidates(for: part))
                for range in pieces(of: part, limit: limit) {
                    let piece = file.content[range]
                    // The floats of a segment must lie side by side in the base too.
                    let offset = range.lowerBound - part.range.lowerBound
                    if let last = plans.last, last.count + piece.count <= limit,
                        last.candidates == candidates(for: part, at: offset - last.count)
                    {
                        plans[plans.count - 1].pieces.append(piece)
                    } else {
                        plans.append(
                            SegmentPlan(
                                candidates: candidates(for: part, at: offset), withoutModel: withoutModel(part),
                                pieces: [piece]))
                    }
                }
            }
        }
        return plans
    }

    /// The methods to choose among for a segment that begins `offset` bytes behind the beginning of a part.
    private func candidates(for part: ContentPart, at offset: Int = 0) -> [Spec] {
        if let method = options.method { return [method] }
        let candidates = options.level.candidates(for: part.kind, model: options.model)
        guard case .floats(let type) = part.kind, let name = part.name, let tensor = base[name],
            tensor.kind == part.kind, tensor.range.count == part.range.count, tensor.range.lowerBound + offset >= 0
        else { return candidates }
        return [Floats.spec(type, base: tensor.range.lowerBound + offset)] + candidates
    }

    /// What is chosen among where the language model knows little; nil if none takes part.
    private func withoutModel(_ part: ContentPart) -> (candidates: [Spec], model: String)? {
        guard options.method == nil, let model = options.model else { return nil }
        let candidates = options.level.candidates(for: part.kind, model: nil)
        return candidates == options.level.candidates(for: part.kind, model: model) ? nil : (candidates, model)
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

    /// A part in equal pieces of at most `limit` bytes, each a whole number of its units.
    private func pieces(of part: ContentPart, limit: Int) -> [Range<Int>] {
        if candidates(for: part).isEmpty { return [part.range] }
        let (start, unit) = (part.range.lowerBound, part.kind.unit)
        let number = (part.range.count + limit - 1) / limit
        let cuts = (0..<number).map { start + part.range.count * $0 / number / unit * unit } + [part.range.upperBound]
        return zip(cuts, cuts.dropFirst()).map { $0..<$1 }.filter { !$0.isEmpty }
    }
}
