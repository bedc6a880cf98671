import PithCoding
import PithCore
import PithPredictors

/// What opening an archive may take.
public struct ReadingLimits: Sendable {
    /// Bytes of memory that the program may take.
    public var memory = Int.max
    /// Bytes of memory that it has taken already.
    public var memoryTaken = 0
    /// Bytes of content that may come out; nil for what archives of that size usually hold at most: a thousand times
    /// their size, and a gibibyte.
    public var output: Int?

    /// The defaults.
    public init() {}

    /// What is left of the memory.
    var memoryLeft: Int { max(0, memory - memoryTaken) }

    /// The bytes that may come out of an archive of `count` bytes.
    func output(for count: Int) -> Int { output ?? (1 << 30) + 1000 * min(count, 1 << 50) }
}

/// Reads archives, front to back.
public struct ArchiveReader {
    /// A piece of what an archive holds.
    public enum Piece {
        /// Content, in order.
        case content([UInt8])
        /// Content of which some bytes are wrong, nobody knows which.
        case damaged([UInt8], PithError)
        /// So many bytes of content that are lost, and why.
        case lost(Int, PithError)
    }

    /// What an archive says of one of its segments.
    public struct SegmentDescription: Sendable, Equatable {
        /// The method that coded it.
        public var spec: String
        /// Bytes of content.
        public var count: Int
        /// Bytes of payload with checksums.
        public var storedCount: Int
        /// The fingerprint of the language model that is needed, if any is.
        public var fingerprint: UInt64?
    }

    private var cursor: SegmentCursor
    private let decoder: SegmentDecoder
    private let limits: ReadingLimits
    /// Whether what can be saved of a damaged archive is looked for.
    public let isSalvaging: Bool
    /// The files of the archive; nil if it holds one run of bytes without a name.
    public private(set) var directory: ArchiveDirectory?
    /// Why there is no directory although there was one.
    public private(set) var lostDirectory: PithError?
    /// Bytes of content that were passed on.
    private var position = 0

    /// Opens an archive and reads its directory. Segments that need more memory than the limits say are refused.
    /// To salvage from a pipe, spool it first.
    public init(
        _ source: ArchiveSource, _ context: CodingContext, limits: ReadingLimits = ReadingLimits(),
        salvaging: Bool = false
    ) throws(PithError) {
        decoder = SegmentDecoder(
            context: context, memoryLimit: limits.memoryLeft, memoryTaken: limits.memoryTaken)
        self.limits = limits
        isSalvaging = salvaging
        do throws(PithError) {
            cursor = try salvaging ? SegmentCursor(salvaging: source) : SegmentCursor(source)
            try salvaging ? searchDirectory() : readDirectory()
        } catch { throw error.within(source.name) }
    }

    // MARK: The directory

    private mutating func readDirectory() throws(PithError) {
        guard let header = try cursor.next() else { return }
        guard header.role == .directory else { return cursor.giveBack(header) }
        directory = try directory(of: header)
    }

    /// Takes the first directory that is whole.
    private mutating func searchDirectory() throws(PithError) {
        var rest = cursor
        while let header = try rest.next() {
            guard header.role != .content else { continue }
            cursor.source = rest.source
            do throws(PithError) {
                directory = try directory(of: header)
                lostDirectory = nil
                return
            } catch { lostDirectory = error }
        }
    }

    private mutating func directory(of header: SegmentHeader) throws(PithError) -> ArchiveDirectory {
        let memory = ArchiveDirectory.memory(for: header.count)
        guard memory <= limits.memoryLeft else {
            throw .usage(
                "the list of files needs \(ByteCount(memory + limits.memoryTaken))",
                remedy: "allow it with --memory-limit")
        }
        let payload = try Payload(header, from: &cursor.source)
        let decoded = try decoder.decode(header, payload)
        guard let bytes = decoded.content else {
            throw payload.damage ?? decoded.failure ?? .invalidStream("the list of files is damaged")
        }
        return try ArchiveDirectory(bytes)
    }

    // MARK: Segments

    /// What the segments are, without decoding them.
    public mutating func describe() throws(PithError) -> [SegmentDescription] {
        var segments: [SegmentDescription] = []
        do throws(PithError) {
            while let header = try takeContentHeader() {
                segments.append(
                    SegmentDescription(
                        spec: header.spec, count: header.count, storedCount: header.storedCount,
                        fingerprint: header.fingerprint))
                if !isSalvaging { try cursor.source.skip(header.storedCount) }
            }
        } catch { throw error.within(cursor.source.name) }
        return segments
    }

    /// About how long it takes to decode everything, in nanoseconds: `CodingContext.advance` is told of so many. Nil if
    /// that cannot be seen beforehand.
    public var time: Int? {
        cursor.contentAhead.flatMap { try? decoder.context.time($0, memoryLimit: limits.memoryLeft) }
    }

    /// The head of the next segment that holds content.
    private mutating func takeContentHeader() throws(PithError) -> SegmentHeader? {
        while let header = try cursor.next() {
            guard header.role != .content else { return header }
            guard !isSalvaging else { continue }
            // The directory again, which must be whole.
            if let damage = try Payload(header, from: &cursor.source).damage { throw damage }
        }
        return nil
    }

    /// Decodes everything and passes it on in order. Where something is damaged, what can be saved comes first, then
    /// how much is lost; behind a damaged segment the next ones are still decoded.
    ///
    /// Throws where the archive's own structure is damaged.
    public mutating func readContent(_ body: (Piece) throws(PithError) -> Void) throws(PithError) {
        do throws(PithError) {
            try checkOutput()
            var (isDone, failure) = (false, PithError?.none)
            while !isDone {
                var wave: [(header: SegmentHeader, payload: Payload)] = []
                do throws(PithError) {
                    var room = SegmentWave(decoder.context, memoryLimit: limits.memoryLeft)
                    while let header = try takeContentHeader() {
                        guard room.admits(header.memory(decoder.context)) else {
                            cursor.giveBack(header)
                            break
                        }
                        wave.append((header, try Payload(header, from: &cursor.source)))
                    }
                    isDone = wave.isEmpty
                } catch {
                    // First what was read before.
                    (isDone, failure) = (true, error)
                }
                for (segment, pieces) in zip(wave, try decoder.decode(wave)) {
                    try pass(pieces, of: segment.header, body)
                }
            }
            if let failure { throw failure }
            try checkTotal(body)
        } catch { throw error.within(cursor.source.name) }
    }

    /// Passes on what was decoded of a segment, behind what is missing before it.
    private mutating func pass(
        _ pieces: [Piece], of header: SegmentHeader, _ body: (Piece) throws(PithError) -> Void
    ) throws(PithError) {
        let start = header.start ?? position
        // Found twice, or out of place.
        guard start >= position else { return }
        if start > position {
            try body(.lost(start - position, .data("the head of a segment is damaged")))
            position = start
        }
        position += header.count
        try checkOutput(position)
        for piece in pieces { try body(piece) }
    }

    /// Throws if more would come out than may, as far as that can be seen beforehand.
    private func checkOutput() throws(PithError) {
        if let directory { try checkOutput(directory.contentCount) }
        if let ahead = cursor.contentAhead { try checkOutput(ahead.reduce(0) { $0 &+ $1.count }) }
    }

    private func checkOutput(_ count: Int) throws(PithError) {
        let limit = limits.output(for: cursor.source.count ?? cursor.source.offset)
        guard count <= limit else {
            throw .data(
                "\(ByteCount(count)) or more would come out, which is more than \(ByteCount(limit))",
                remedy: "allow it with --output-limit")
        }
    }

    /// Whether the content is that of the files.
    private mutating func checkTotal(_ body: (Piece) throws(PithError) -> Void) throws(PithError) {
        guard let directory, directory.contentCount != position else { return }
        guard isSalvaging, directory.contentCount > position else {
            throw .data("the content is \(directory.contentCount > position ? "shorter" : "longer") than its files")
        }
        try body(.lost(directory.contentCount - position, .data("the segments behind are missing")))
        position = directory.contentCount
    }
}
