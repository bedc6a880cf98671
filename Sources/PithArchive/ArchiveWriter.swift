import PithCore
import PithPredictors

/// A segment to be coded: its content, and the methods to choose among.
struct SegmentPlan: SegmentLoad, Sendable {
    /// Specs of methods; the one that gives the fewest bytes is taken, and `store` if none makes the content smaller.
    var candidates: [Spec]
    /// What is chosen among instead where the language model knows little of the content; nil without a model.
    var withoutModel: (candidates: [Spec], model: String)?
    /// The pieces that the content consists of, in order.
    var pieces: [ContentSource]
    var role: SegmentHeader.Role

    /// The bytes of content.
    var count: Int { pieces.reduce(0) { $0 + $1.count } }

    /// The list of files.
    init(_ directory: ArchiveDirectory) {
        self.init(
            candidates: ZipLevel.fast.candidates(for: .binary, model: nil),
            pieces: [ContentSource(ByteRegion(copying: directory.bytes))], role: .directory)
    }

    /// A segment of content.
    init(
        candidates: [Spec], withoutModel: (candidates: [Spec], model: String)? = nil, pieces: [ContentSource],
        role: SegmentHeader.Role = .content
    ) {
        (self.candidates, self.withoutModel, self.pieces, self.role) = (candidates, withoutModel, pieces, role)
    }

    /// What its candidates take.
    var works: [SegmentWork] {
        get throws(PithError) {
            var works: [SegmentWork] = []
            for spec in candidates {
                works.append(SegmentWork(method: try DataCatalogue.method(for: spec), count: count))
            }
            return works
        }
    }

    /// That of the candidate which takes most.
    func memory(_ context: CodingContext) throws(PithError) -> Int {
        var largest = 0
        for work in try works { largest = max(largest, try work.memory(context)) }
        return largest
    }

    /// That of reading it and of coding it with all candidates.
    func time(_ context: CodingContext) throws(PithError) -> Int {
        try works.reduce(count) { $0 &+ $1.time(context) }
    }

    /// The content in one piece. It is read once: what is written is always what its checksum was taken of.
    func read() throws(PithError) -> [UInt8] {
        if pieces.count == 1 { return try pieces[0].read() }
        var bytes: [UInt8] = []
        bytes.reserveCapacity(count)
        for piece in pieces { bytes += try piece.read() }
        return bytes
    }
}

/// What was written of one segment.
public struct SegmentSummary: Sendable {
    /// The method that coded it.
    public var spec: String
    /// Whether it holds the list of files.
    public var isDirectory: Bool
    /// Bytes that it holds.
    public var count: Int
    /// Bytes of header, payload and checksums.
    public var storedCount: Int
    /// Where the bits went, if it was asked.
    public var trace: CodingTrace.Contents?
}

/// Writes archives.
struct ArchiveWriter {
    private let sink: any ByteSink
    private let context: CodingContext
    private let memoryLimit: Int
    private let traces: Bool
    private var end = ArchiveEnd()
    private var directory: Coded?
    /// What was written so far.
    private(set) var summaries: [SegmentSummary] = []

    /// Begins an archive. Segments are coded side by side as far as the threads of the context and the memory permit.
    init(to sink: any ByteSink, _ context: CodingContext, _ options: ZipOptions) throws(PithError) {
        (self.sink, self.context, traces) = (sink, context, options.traces)
        memoryLimit = options.memoryLeft
        try sink.write(ArchiveFormat.name + [ArchiveFormat.version])
    }

    /// Codes and writes segments.
    mutating func write(_ plans: [SegmentPlan]) throws(PithError) {
        for wave in try context.waves(plans, memoryLimit: memoryLimit) {
            for coded in try code(Array(wave)) { try append(coded) }
        }
    }

    /// Codes the list of files and writes it; it is written again behind the content.
    mutating func write(_ directory: ArchiveDirectory) throws(PithError) {
        let coded = try code([SegmentPlan(directory)])[0]
        try append(coded)
        self.directory = coded
    }

    /// Writes what stands behind the content.
    mutating func finish() throws(PithError) {
        if var directory {
            directory.header.role = .lastDirectory
            try append(directory)
        }
        try sink.write(end.bytes)
    }

    private mutating func note(_ header: SegmentHeader, _ trace: CodingTrace.Contents? = nil) {
        end.add(header)
        summaries.append(
            SegmentSummary(
                spec: header.spec, isDirectory: header.role != .content, count: header.count,
                storedCount: header.bytes.count + header.storedCount,
                trace: trace))
    }

    private struct Coded: Sendable {
        var header: SegmentHeader
        var payload: [UInt8]
        var trace: CodingTrace.Contents?
    }

    private mutating func code(_ wave: [SegmentPlan]) throws(PithError) -> [Coded] {
        let (inner, traces) = (wave.count > 1 ? context.onOneThread : context, traces)
        var times: [Int] = []
        for plan in wave { times.append(try plan.time(context)) }
        let share = SegmentWork.share(of: times)
        return try context.pool.map(wave.count) { (index) throws(PithError) in
            try Self.code(wave[index], inner, traces, share: share)
        }
    }

    /// The smallest of what the candidates make of a segment.
    private static func code(
        _ plan: SegmentPlan, _ context: CodingContext, _ traces: Bool, share: Double
    ) throws(PithError) -> Coded {
        let content = try plan.read()
        var best = Coded(
            header: SegmentHeader(
                role: plan.role, start: 0, spec: Stored.identifier, fingerprint: nil, count: content.count,
                payloadCount: content.count, hash: XXHash64.hash(content)),
            payload: content)
        context.advance(Int(Double(content.count) * share))
        var candidates = plan.candidates
        if let without = plan.withoutModel, try !ModelKnowledge.helps(without.model, with: content, context) {
            candidates = without.candidates
        }
        for spec in candidates {
            let method = try DataCatalogue.method(for: spec)
            var (context, trace) = (context.weighed(by: method, share: share), CodingTrace?.none)
            if traces { trace = CodingTrace(regionSize: max(1, content.count / 256)) }
            context.trace = trace
            let payload: [UInt8]
            do throws(PithError) { payload = try method.encode(content, context) } catch {
                // The content is not what the method is for; another candidate will do.
                guard error.kind == .usage, candidates.count > 1 else { throw error }
                context.advance(method.workCount(for: content.count, context))
                continue
            }
            var header = best.header
            header.spec = spec.description
            header.payloadCount = payload.count
            header.fingerprint = try method.fingerprint(for: content.count, context)
            if header.storedCount + header.bytes.count < best.header.storedCount + best.header.bytes.count {
                best = Coded(header: header, payload: payload, trace: trace?.contents)
            }
        }
        return best
    }

    private mutating func append(_ coded: Coded) throws(PithError) {
        var header = coded.header
        if header.role == .content { header.start = end.count }
        try sink.write(header.bytes)
        if header.isFramed {
            for start in stride(from: 0, to: coded.payload.count, by: ArchiveFormat.frameSize) {
                let frame = Array(coded.payload[start..<min(coded.payload.count, start + ArchiveFormat.frameSize)])
                try sink.write(frame)
                try sink.write(frame.withUnsafeBytes { ArchiveFormat.check($0) }.bytes)
            }
        } else {
            try sink.write(coded.payload)
        }
        note(header, coded.trace)
    }
}
