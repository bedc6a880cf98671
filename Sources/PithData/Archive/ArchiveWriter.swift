import PithCore

/// A segment to be coded: its content, and the methods to choose among.
struct SegmentPlan: Sendable {
    /// Specs of methods; the one that gives the fewest bytes is taken, and `store` if none makes the content smaller.
    /// With none at all the content is stored without being read into memory, however large it is.
    var candidates: [Spec]
    /// What is chosen among instead where the language model knows little of the content; nil without a model.
    var withoutModel: (candidates: [Spec], model: String)?
    /// The pieces that the content consists of, in order.
    var pieces: [ByteRegion]
    /// Whether this is the directory.
    var isDirectory = false

    /// The bytes of content.
    var count: Int { pieces.reduce(0) { $0 + $1.count } }

    /// The content in one piece.
    var content: [UInt8] {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(count)
        for piece in pieces { piece.withBytes { bytes.append(contentsOf: $0) } }
        return bytes
    }
}

/// What was written of one segment.
public struct SegmentSummary: Sendable {
    /// The method that coded it.
    public var spec: String
    /// Bytes of content.
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
    /// What was written so far.
    private(set) var summaries: [SegmentSummary] = []

    /// Begins an archive. Segments are coded side by side as far as the threads of the context and `memoryLimit`, in
    /// bytes, permit.
    init(to sink: any ByteSink, _ context: CodingContext, memoryLimit: Int, traces: Bool) throws(PithError) {
        self.sink = sink
        self.context = context
        self.memoryLimit = memoryLimit
        self.traces = traces
        try sink.write(ArchiveFormat.magic)
    }

    /// Codes and writes segments.
    mutating func write(_ plans: [SegmentPlan]) throws(PithError) {
        var rest = plans[...]
        while let first = rest.first {
            if first.candidates.isEmpty {
                try writeStored(rest.removeFirst())
                continue
            }
            let wave = Array(rest.prefix(try sideBySide(first)))
            rest = rest.dropFirst(wave.count)
            for coded in try code(wave) { try append(coded) }
        }
    }

    /// Writes the mark behind the last segment.
    func finish() throws(PithError) { try sink.write(end.bytes) }

    private mutating func writeStored(_ plan: SegmentPlan) throws(PithError) {
        var hash = XXHash64()
        for piece in plan.pieces { piece.withBytes { hash.update($0) } }
        let header = SegmentHeader(
            isDirectory: plan.isDirectory, spec: Stored.identifier, fingerprint: nil, count: plan.count,
            payloadCount: plan.count, hash: hash.value)
        try sink.write(header.bytes)
        for piece in plan.pieces {
            try piece.withBytes { (bytes) throws(PithError) in try sink.write(bytes) }
            context.advance(piece.count)
        }
        note(header)
    }

    private mutating func note(_ header: SegmentHeader, _ trace: CodingTrace.Contents? = nil) {
        end.add(header)
        summaries.append(
            SegmentSummary(
                spec: header.spec, count: header.count, storedCount: header.bytes.count + header.storedCount,
                trace: trace))
    }

    /// How many segments like this one can be coded at a time.
    private func sideBySide(_ plan: SegmentPlan) throws(PithError) -> Int {
        var largest = 1
        for spec in plan.candidates {
            largest = max(largest, try DataCatalogue.method(for: spec).memory(for: plan.count) + 2 * plan.count)
        }
        return max(1, min(context.pool.threadCount, memoryLimit / largest))
    }

    private struct Coded: Sendable {
        var header: SegmentHeader
        var payload: [UInt8]
        var trace: CodingTrace.Contents?
    }

    private mutating func code(_ wave: [SegmentPlan]) throws(PithError) -> [Coded] {
        var results = [Result<Coded, PithError>?](repeating: nil, count: wave.count)
        var context = context
        if wave.count > 1 { context.pool = ThreadPool(threads: 1) }
        let (inner, traces) = (context, traces)
        results.withUnsafeMutableBufferPointer { results in
            self.context.pool.forEachBlock(of: wave.count, grain: 1) { range in
                for index in range {
                    results[index] = Result { () throws(PithError) in try Self.code(wave[index], inner, traces) }
                }
            }
        }
        var coded: [Coded] = []
        for result in results { coded.append(try result!.get()) }
        return coded
    }

    /// The smallest of what the candidates make of a segment.
    private static func code(
        _ plan: SegmentPlan, _ context: CodingContext, _ traces: Bool
    ) throws(PithError) -> Coded {
        let content = plan.content
        var best = Coded(
            header: SegmentHeader(
                isDirectory: plan.isDirectory, spec: Stored.identifier, fingerprint: nil, count: content.count,
                payloadCount: content.count, hash: XXHash64.hash(content)),
            payload: content)
        var candidates = plan.candidates
        if let without = plan.withoutModel, try !ModelKnowledge.helps(without.model, with: content, context) {
            candidates = without.candidates
        }
        for spec in candidates {
            let method = try DataCatalogue.method(for: spec)
            var (context, trace) = (context, CodingTrace?.none)
            if traces { trace = CodingTrace(regionSize: max(1, content.count / 256)) }
            context.trace = trace
            let payload: [UInt8]
            do throws(PithError) { payload = try method.encode(content, context) } catch {
                // The content is not what the method is for; another candidate will do.
                guard error.kind == .usage, candidates.count > 1 else { throw error }
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
        let header = coded.header
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
