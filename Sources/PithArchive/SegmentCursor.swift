import PithCoding
import PithCore
import PithPredictors

/// Goes from one segment of an archive to the next.
struct SegmentCursor {
    /// What the archive is read from; behind `next` it stands at the segment's payload.
    var source: ArchiveSource
    private let version: UInt8
    private var end = ArchiveEnd()
    private var isAtEnd = false
    private var directoryHash: UInt64?
    // A head that was taken and given back.
    private var returned: SegmentHeader?
    // What is known and was not taken yet; nil for a pipe, of which segments are read one after the other.
    private var known: ArraySlice<FoundSegment>?
    // What is wrong behind what is known.
    private var failure: PithError?

    /// Begins behind the version, which is checked. Unless the source is a pipe, all heads are read now, and not again.
    init(_ source: ArchiveSource) throws(PithError) {
        self.source = source
        let start = try self.source.takeAvailable(ArchiveFormat.name.count + 1)
        guard start.starts(with: ArchiveFormat.name) else {
            throw .data("is no archive of Pith's", remedy: "they begin with 'PZA'; 'pith zip' makes them")
        }
        guard start.count > ArchiveFormat.name.count else { throw .data("ends too early") }
        version = start[ArchiveFormat.name.count]
        guard ArchiveFormat.versions.contains(version) else {
            let versions = ArchiveFormat.versions.map { "\($0)" }.joined(separator: " and ")
            throw .data("is an archive of version \(version)", remedy: "this program reads versions \(versions)")
        }
        guard let count = source.count else { return }
        var (ahead, segments) = (self, [FoundSegment]())
        do throws(PithError) {
            while let header = try ahead.read() {
                segments.append(FoundSegment(header: header, payload: ahead.source.offset))
                // Where it is cut off, what is there of it can be read.
                ahead.source.seek(to: min(count - header.storedCount, ahead.source.offset) + header.storedCount)
            }
        } catch { failure = error }
        known = segments[...]
    }

    /// Goes to what can be found of a damaged archive, wherever it lies.
    init(salvaging source: ArchiveSource) throws(PithError) {
        self.source = source
        version = ArchiveFormat.version
        known = try SegmentSearch.segments(of: source)[...]
    }

    /// The heads of the segments to come that hold content, as far as they are known; nil for a pipe.
    var contentAhead: [SegmentHeader]? {
        known.map { known in
            ((returned.map { [$0] } ?? []) + known.lazy.map(\.header)).filter { $0.role == .content }
        }
    }

    /// Gives back the header that was taken last; the source must still stand at its payload.
    mutating func giveBack(_ header: SegmentHeader) { returned = header }

    /// The next segment's header; nil behind the last.
    mutating func next() throws(PithError) -> SegmentHeader? {
        if let header = returned {
            returned = nil
            return header
        }
        guard known != nil else { return try read() }
        if let segment = known?.popFirst() {
            source.seek(to: segment.payload)
            return segment.header
        }
        if let failure { throw failure }
        return nil
    }

    /// Reads the header where the source stands.
    private mutating func read() throws(PithError) -> SegmentHeader? {
        guard !isAtEnd else { return nil }
        let place = source.offset
        let bytes = try source.peek(SegmentHeader.longest)
        guard bytes.first != ArchiveFormat.Tag.end else {
            try source.skip(try end.check(bytes))
            isAtEnd = true
            guard try source.peek(1).isEmpty else {
                throw .invalidStream("there is something behind the end, at byte \(source.offset)")
            }
            return nil
        }
        let header: SegmentHeader
        do throws(PithError) {
            let read = try SegmentHeader.read(bytes, version: version)
            header = read.header
            try source.skip(read.length)
            guard header.role != .directory || end == ArchiveEnd() else {
                throw .invalidStream("a list of files stands behind content")
            }
            guard header.role != .lastDirectory || header.hash == directoryHash else {
                throw .invalidStream("the archive holds two lists of files that differ")
            }
            guard header.role != .content || header.start ?? end.count == end.count else {
                throw .invalidStream("a segment is missing or out of place")
            }
        } catch { throw error.within("byte \(place)") }
        if header.role == .directory { directoryHash = header.hash }
        end.add(header)
        return header
    }
}
