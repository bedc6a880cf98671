import PithCore

/// A segment of a damaged archive.
package struct FoundSegment: Equatable {
    package var header: SegmentHeader
    /// Where its payload begins.
    package var payload: Int

    /// Where the next segment should begin.
    var end: Int { payload + header.storedCount }
}

/// Looks for the segments of a damaged archive.
///
/// Where a head is expected and one byte of it is wrong, its checksum tells which. Where more is wrong, the next head is
/// looked for at every byte: what the lost one stood before is lost, and what comes then says where it belongs.
package struct SegmentSearch {
    private var source: ArchiveSource
    private let version: UInt8
    private let count: Int
    // Mending tries thousands of bytes: a file made for it shall not take for ever.
    private var mendsLeft = 100

    /// The segments of an archive, in order. The source must be no pipe.
    package static func segments(of source: ArchiveSource) throws(PithError) -> [FoundSegment] {
        // The version itself may be damaged.
        for version in ArchiveFormat.versions.reversed() {
            var search = SegmentSearch(source: source, version: version, count: source.count ?? 0)
            let segments = try search.all()
            if !segments.isEmpty { return segments }
        }
        throw .data("is no archive of Pith's, or nothing of it is left", at: source.name)
    }

    private init(source: ArchiveSource, version: UInt8, count: Int) {
        (self.source, self.version, self.count) = (source, version, count)
    }

    private mutating func all() throws(PithError) -> [FoundSegment] {
        let start = ArchiveFormat.name.count + 1
        var segments = try chain(from: start, isExpected: true).segments
        // Bytes that are missing draw the next head into the payload before it.
        while let next = try search(from: segments.last?.payload ?? start) { segments += next }
        return segments
    }

    /// The segments one behind the other from `offset` on, and whether their end mark stands behind them. The first may
    /// be mended if it `isExpected` there; later ones may.
    private mutating func chain(
        from offset: Int, isExpected: Bool
    ) throws(PithError) -> (segments: [FoundSegment], isClosed: Bool) {
        var (segments, offset, end) = ([FoundSegment](), offset, ArchiveEnd())
        while offset < count {
            source.seek(to: offset)
            let bytes = try source.peek(SegmentHeader.longest)
            if bytes.first == ArchiveFormat.Tag.end, (try? end.check(bytes)) != nil { return (segments, true) }
            var read = try? SegmentHeader.read(bytes, version: version)
            if read == nil, isExpected || !segments.isEmpty { read = mended(bytes) }
            guard let read else { break }
            end.add(read.header)
            segments.append(FoundSegment(header: read.header, payload: offset + read.length))
            offset = segments[segments.count - 1].end
        }
        return (segments, false)
    }

    /// The next segments that begin at `start` or behind it; nil if there are none. An archive may hold another, whose
    /// segments are told by an end mark of their own.
    private mutating func search(from start: Int) throws(PithError) -> [FoundSegment]? {
        var offset = start
        while let head = try nextHead(from: offset) {
            let (segments, isClosed) = try chain(from: head, isExpected: false)
            offset = segments.last?.end ?? count
            // All of an archive, and yet this one goes on.
            guard isClosed && offset + Self.longestEnd < count else { return segments }
        }
        return nil
    }

    // No end mark is longer.
    private static let longestEnd = 1 + 8 + 8

    /// Where the next whole head stands.
    private mutating func nextHead(from start: Int) throws(PithError) -> Int? {
        let block = 1 << 20
        for first in stride(from: start, to: count, by: block) {
            source.seek(to: first)
            let bytes = try source.peek(block + SegmentHeader.longest)
            for offset in 0..<min(block, bytes.count) where mayBegin(bytes, at: offset) {
                let head = Array(bytes[offset..<min(bytes.count, offset + SegmentHeader.longest)])
                if (try? SegmentHeader.read(head, version: version)) != nil { return first + offset }
            }
        }
        return nil
    }

    /// A quick look whether a head may stand at a place: a role, and a spec that begins with a letter.
    private func mayBegin(_ bytes: [UInt8], at offset: Int) -> Bool {
        SegmentHeader.Role(rawValue: bytes[offset] & ~ArchiveFormat.Tag.model) != nil && offset + 2 < bytes.count
            && bytes[offset + 1] > 0 && (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(bytes[offset + 2])
    }

    /// The head at the beginning of `bytes` if one byte of it is wrong.
    private mutating func mended(_ bytes: [UInt8]) -> (header: SegmentHeader, length: Int)? {
        guard mendsLeft > 0 else { return nil }
        mendsLeft -= 1
        // Heads are seldom longer.
        for index in 0..<min(bytes.count, 128) {
            var bytes = bytes
            let damaged = bytes[index]
            for change in UInt8(1)...255 {
                bytes[index] = damaged ^ change
                if let read = try? SegmentHeader.read(bytes, version: version), index < read.length { return read }
            }
        }
        return nil
    }
}
