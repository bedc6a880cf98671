import PithCoding
import PithCore

/// How an archive is laid out in bytes; `Docs/Formats.md` says the same in words.
///
/// The magic number, then segments, each with a header and a payload, then an end mark. Segments are independent: what
/// lies behind a damaged one can still be opened.
enum ArchiveFormat {
    /// "PZA" and the version.
    static let magic: [UInt8] = [0x50, 0x5A, 0x41, 2]
    /// A coded payload is cut into frames of so many bytes, each followed by four bytes of its checksum.
    static let frameSize = 1 << 15
    /// No spec is longer.
    static let longestSpec = 1024
    /// So many bytes of content may be claimed by any payload, for runs of one byte may take nearly nothing: more than
    /// writers put into a segment.
    static let largestSparseSegment = 1 << 26
    /// Beyond that, the most bytes of content that one byte of payload may claim to hold.
    static let largestExpansion = 1 << 17
    /// The most bytes of content of a coded segment: what methods say of their memory stays a number.
    static let largestSegment = 1 << 40

    /// What stands at the beginning of a segment.
    enum Tag {
        static let end: UInt8 = 0
        static let content: UInt8 = 1
        static let directory: UInt8 = 2
        /// Added when a fingerprint of a language model or of a base follows the spec.
        static let model: UInt8 = 16
    }

    /// Four bytes that tell whether `bytes` are as they were.
    static func check(_ bytes: UnsafeRawBufferPointer) -> UInt32 { UInt32(truncatingIfNeeded: XXHash64.hash(bytes)) }
}

/// What is said of a segment before its payload.
struct SegmentHeader: Equatable {
    /// Whether the segment holds the directory of the archive and not content.
    var isDirectory: Bool
    /// The method that coded it.
    var spec: String
    /// The fingerprint of the language model or of the part of a base that the method used.
    var fingerprint: UInt64?
    /// The bytes that it holds.
    var count: Int
    /// The bytes of its payload, checksums aside.
    var payloadCount: Int
    /// The checksum of the bytes that it holds.
    var hash: UInt64

    /// Content that is stored as it is has no frames: what is damaged in it damages nothing else.
    var isFramed: Bool { spec != Stored.identifier }
    /// The bytes of its payload with all checksums.
    var storedCount: Int {
        guard isFramed else { return payloadCount }
        return payloadCount + (payloadCount + ArchiveFormat.frameSize - 1) / ArchiveFormat.frameSize * 4
    }

    /// The header in bytes.
    var bytes: [UInt8] {
        var tag = isDirectory ? ArchiveFormat.Tag.directory : ArchiveFormat.Tag.content
        if fingerprint != nil { tag |= ArchiveFormat.Tag.model }
        var bytes = [tag]
        bytes.append(number: spec.utf8.count)
        bytes += Array(spec.utf8)
        if let fingerprint { bytes.append(word: fingerprint) }
        bytes.append(number: count)
        bytes.append(number: payloadCount)
        bytes.append(word: hash)
        let check = bytes.withUnsafeBytes { ArchiveFormat.check($0) }
        return bytes + check.bytes
    }

    /// Reads the header behind its tag.
    init(tag: UInt8, from source: inout ArchiveSource) throws(PithError) {
        let place = source.offset - 1
        var header = HeaderReader(source: source, read: [tag])
        do throws(PithError) {
            isDirectory = tag & ~ArchiveFormat.Tag.model == ArchiveFormat.Tag.directory
            let length = try header.number()
            guard length <= ArchiveFormat.longestSpec else { throw .invalidStream("a method's name is too long") }
            spec = String(decoding: try header.bytes(length), as: UTF8.self)
            fingerprint = tag & ArchiveFormat.Tag.model == 0 ? nil : try header.word()
            count = try header.number()
            payloadCount = try header.number()
            hash = try header.word()
            let check = header.read.withUnsafeBytes { ArchiveFormat.check($0) }
            guard try header.bytes(4) == check.bytes else { throw .invalidStream("the head of a segment is damaged") }
            guard
                count <= ArchiveFormat.largestSparseSegment
                    || (count - 1) / ArchiveFormat.largestExpansion <= payloadCount + 16
            else {
                throw .invalidStream("a segment of \(payloadCount) bytes claims to hold \(count)")
            }
            guard count <= ArchiveFormat.largestSegment || spec == Stored.identifier else {
                throw .invalidStream("a coded segment claims to hold \(count) bytes")
            }
            source = header.source
        } catch { throw error.within("byte \(place)") }
    }

    init(isDirectory: Bool, spec: String, fingerprint: UInt64?, count: Int, payloadCount: Int, hash: UInt64) {
        self.isDirectory = isDirectory
        self.spec = spec
        self.fingerprint = fingerprint
        self.count = count
        self.payloadCount = payloadCount
        self.hash = hash
    }
}

/// What stands behind the last segment: the bytes of all content, and a checksum of the checksums of all segments.
struct ArchiveEnd: Equatable {
    var count = 0
    private var hashes = XXHash64()

    init() {}

    /// The checksum over the segments so far.
    var hash: UInt64 { hashes.value }

    /// Counts a segment.
    mutating func add(_ header: SegmentHeader) {
        if !header.isDirectory { count += header.count }
        withUnsafeBytes(of: header.hash.littleEndian) { hashes.update($0) }
    }

    /// The mark in bytes.
    var bytes: [UInt8] {
        var bytes = [ArchiveFormat.Tag.end]
        bytes.append(number: count)
        bytes.append(word: hash)
        return bytes
    }

    /// Throws unless the mark behind its tag is the one of the segments that were read.
    func check(_ source: inout ArchiveSource) throws(PithError) {
        var reader = HeaderReader(source: source, read: [])
        let (count, hash) = (try reader.number(), try reader.word())
        source = reader.source
        guard count == self.count, hash == self.hash else {
            throw .invalidStream("the end does not fit the segments: one is missing or out of place")
        }
    }

    static func == (left: Self, right: Self) -> Bool { left.count == right.count && left.hash == right.hash }
}

/// Reads from a source and keeps what was read, for its checksum.
private struct HeaderReader: NumberReading {
    var source: ArchiveSource
    var read: [UInt8]

    mutating func byte() throws(PithError) -> UInt8 {
        read += try source.take(1)
        return read[read.count - 1]
    }
}

extension UInt32 {
    /// The four bytes, the lowest first.
    var bytes: [UInt8] { Swift.withUnsafeBytes(of: littleEndian) { Array($0) } }
}
