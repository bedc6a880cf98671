import PithCore
import PithPredictors

/// How archives are made.
public struct ZipOptions: Sendable {
    /// How much work is put into it.
    public var level = ZipLevel.standard
    /// One method for all content, instead of those of the level.
    public var method: Spec?
    /// A language model for the strongest level to mix in where it knows the text: a name or a folder.
    public var model: String?
    /// The memory that the program may take.
    public var memoryLimit = ByteCount(2 << 30)
    /// Memory that the program has taken already.
    public var memoryTaken = ByteCount(0)
    /// Whether to note where the bits went.
    public var traces = false

    /// The defaults.
    public init() {}

    /// What is left of the memory.
    var memoryLeft: Int { max(0, memoryLimit.value - memoryTaken.value) }
}

/// An archive to be written.
public struct ZipJob {
    private let input: ArchiveInput
    private let options: ZipOptions
    private let context: CodingContext
    private let plans: [SegmentPlan]

    /// Looks at what is in `input` and decides how it is to be coded.
    public init(_ input: ArchiveInput, _ options: ZipOptions, _ context: CodingContext) throws(PithError) {
        (self.input, self.options, self.context) = (input, options, context)
        plans = try SegmentPlanner(options, context).plans(for: input.contents)
    }

    /// About how long it takes, in nanoseconds: `CodingContext.advance` is told of so many.
    public var time: Int {
        get throws(PithError) {
            let directory = input.directory.map { [SegmentPlan($0)] } ?? []
            return try context.time(directory, memoryLimit: options.memoryLeft)
                &+ context.time(plans, memoryLimit: options.memoryLeft)
        }
    }

    /// Writes the archive. For one file it is at most 64 bytes longer than the file; see `Zip.fits`.
    public func write(to sink: any ByteSink) throws(PithError) -> [SegmentSummary] {
        var writer = try ArchiveWriter(to: sink, context, options)
        if let directory = input.directory { try writer.write(directory) }
        try writer.write(plans)
        try writer.finish()
        return writer.summaries
    }
}

/// Makes archives.
public enum Zip {
    /// Writes an archive of `input`.
    @discardableResult
    public static func write(
        _ input: ArchiveInput, to sink: any ByteSink, _ options: ZipOptions, _ context: CodingContext
    ) throws(PithError) -> [SegmentSummary] {
        try ZipJob(input, options, context).write(to: sink)
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
        var options = ZipOptions()
        options.memoryLimit = ByteCount(.max)
        var writer = try ArchiveWriter(to: sink, context, options)
        try writer.write(
            input.contents.flatMap { content in
                SegmentPlanner.cut(content.count).map { SegmentPlan(candidates: [], pieces: [content[$0]]) }
            })
        try writer.finish()
        return writer.summaries
    }

    /// Writes an archive of what a pipe gives, a segment at a time.
    @discardableResult
    public static func write(
        pipe: SequentialInput, to sink: any ByteSink, _ options: ZipOptions, _ context: CodingContext
    ) throws(PithError) -> [SegmentSummary] {
        var writer = try ArchiveWriter(to: sink, context, options)
        var source = ArchiveSource(pipe)
        let planner = try SegmentPlanner(options, context)
        while true {
            let bytes = try source.takeAvailable(options.level.segmentSize)
            if bytes.isEmpty { break }
            try writer.write(try planner.plans(for: [ContentSource(ByteRegion(copying: bytes))]))
        }
        try writer.finish()
        return writer.summaries
    }
}

/// Cuts content into segments, each of one kind and within the memory that is allowed.
struct SegmentPlanner {
    private let options: ZipOptions
    private let context: CodingContext
    // The tensors of the base by their names.
    private let base: [String: ContentPart]

    /// Plans for content some of which may be coded against tensors of the context's base.
    init(_ options: ZipOptions, _ context: CodingContext) throws(PithError) {
        (self.options, self.context) = (options, context)
        let parts = context.base.flatMap { ContentPart.tensors(ContentView($0)) } ?? []
        base = Dictionary(parts.map { ($0.name ?? "", $0) }) { first, _ in first }
    }

    /// The segments of an input: parts of the same kind share one, even if they are of different files.
    func plans(for contents: [ContentSource]) throws(PithError) -> [SegmentPlan] {
        var plans: [SegmentPlan] = []
        for content in contents {
            let parts =
                options.method == nil ? content.parts : [ContentPart(range: 0..<content.count, kind: .binary)]
            for part in parts where !part.range.isEmpty {
                let limit = try segmentSize(candidates(for: part))
                for range in pieces(of: part, limit: limit) {
                    let piece = content[range]
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
            func memory() throws(PithError) -> Int { try SegmentWork(method: method, count: size).memory(context) }
            while size > least, try memory() > options.memoryLeft { size /= 2 }
            let needed = try memory()
            guard needed <= options.memoryLeft else {
                throw .usage(
                    "'\(spec)' needs at least \(ByteCount(needed + options.memoryTaken.value))", at: "--memory-limit",
                    remedy: "allow more, or choose a faster level")
            }
        }
        return size
    }

    /// Equal pieces of content that is only stored.
    static func cut(_ count: Int) -> [Range<Int>] {
        let size = ZipLevel.fast.segmentSize
        return stride(from: 0, to: count, by: size).map { $0..<min(count, $0 + size) }
    }

    /// A part in equal pieces of at most `limit` bytes, each a whole number of its units.
    private func pieces(of part: ContentPart, limit: Int) -> [Range<Int>] {
        let (start, unit) = (part.range.lowerBound, part.kind.unit)
        let number = (part.range.count + limit - 1) / limit
        let cuts = (0..<number).map { start + part.range.count * $0 / number / unit * unit } + [part.range.upperBound]
        return zip(cuts, cuts.dropFirst()).map { $0..<$1 }.filter { !$0.isEmpty }
    }
}
