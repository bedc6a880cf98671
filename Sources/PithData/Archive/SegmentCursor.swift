import PithCoding
import PithCore

/// Goes from one segment of an archive to the next.
struct SegmentCursor {
    /// What the archive is read from; behind `next` it stands at the segment's payload.
    var source: ArchiveSource
    private let version: UInt8
    private var end = ArchiveEnd()
    private var isAtEnd = false
    // What was found of a damaged archive and not taken yet; nil where segments are read one after the other.
    private var found: ArraySlice<FoundSegment>?

    /// Begins behind the version, which is checked.
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
    }

    /// Goes to what can be found of a damaged archive, wherever it lies.
    init(salvaging source: ArchiveSource) throws(PithError) {
        self.source = source
        version = ArchiveFormat.version
        found = try SegmentSearch.segments(of: source)[...]
    }

    /// The next segment's header; nil behind the last.
    mutating func next() throws(PithError) -> SegmentHeader? {
        if found != nil {
            guard let segment = found?.popFirst() else { return nil }
            source.seek(to: segment.payload)
            return segment.header
        }
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
            guard header.role != .content || header.start ?? end.count == end.count else {
                throw .invalidStream("a segment is missing or out of place")
            }
        } catch { throw error.within("byte \(place)") }
        end.add(header)
        return header
    }
}
