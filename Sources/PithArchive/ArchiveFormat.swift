import PithCoding
import PithCore
import PithPredictors

/// How an archive is laid out in bytes; `Docs/Formats.md` says the same in words.
///
/// The magic number, then segments, each with a header and a payload, then an end mark. Segments are independent: what
/// lies behind a damaged one can still be opened.
package enum ArchiveFormat {
    /// "PZA", before the version.
    package static let name: [UInt8] = [0x50, 0x5A, 0x41]
    /// The version that is written. In the one before, heads do not say where their content begins, and the directory
    /// is there once.
    package static let version: UInt8 = 3
    /// The versions that are read.
    static let versions: ClosedRange<UInt8> = 2...3
    /// A coded payload is cut into frames of so many bytes, each followed by four bytes of its checksum.
    static let frameSize = 1 << 15
    /// No spec is longer.
    static let longestSpec = 1024
    /// So many bytes of content may be claimed by any payload, for runs of one byte may take nearly nothing: more than
    /// writers put into a segment.
    static let largestSparseSegment = 1 << 26
    /// Beyond that, the most bytes of content that one byte of payload may claim to hold.
    static let largestExpansion = 1 << 17
    /// The same of a directory: every file in it takes memory.
    static let largestDirectoryExpansion = 1 << 12
    /// A directory of so many bytes may be claimed by any payload.
    static let largestSparseDirectory = 1 << 16
    /// The most bytes of content of a coded segment: what methods say of their memory stays a number.
    static let largestSegment = 1 << 40

    /// What stands at the beginning of a segment, beside its role.
    enum Tag {
        static let end: UInt8 = 0
        /// Added when a fingerprint of a language model or of a base follows the spec.
        static let model: UInt8 = 16
    }

    /// Four bytes that tell whether `bytes` are as they were.
    package static func check(_ bytes: UnsafeRawBufferPointer) -> UInt32 {
        UInt32(truncatingIfNeeded: XXHash64.hash(bytes))
    }
}

/// What is said of a segment before its payload.
package struct SegmentHeader: Equatable {
    /// What a segment holds.
    package enum Role: UInt8, Sendable {
        case content = 1
        case directory = 2
        case lastDirectory = 3
    }

    /// Whether the segment holds content or the directory of the archive.
    package var role: Role
    /// Where its content begins in that of the archive; nil if the version does not say.
    package var start: Int?
    /// The method that coded it.
    package var spec: String
    /// The fingerprint of the language model or of the part of a base that the method used.
    var fingerprint: UInt64?
    /// The bytes that it holds.
    package var count: Int
    /// The bytes of its payload, checksums aside.
    package var payloadCount: Int
    /// The checksum of the bytes that it holds.
    var hash: UInt64

    /// Content that is stored as it is has no frames: what is damaged in it damages nothing else.
    package var isFramed: Bool { spec != Stored.identifier }
    /// The bytes of its payload with all checksums.
    var storedCount: Int {
        guard isFramed else { return payloadCount }
        return payloadCount + (payloadCount + ArchiveFormat.frameSize - 1) / ArchiveFormat.frameSize * 4
    }

    /// The header in bytes.
    package var bytes: [UInt8] {
        var bytes = [role.rawValue | (fingerprint == nil ? 0 : ArchiveFormat.Tag.model)]
        bytes.append(number: spec.utf8.count)
        bytes += Array(spec.utf8)
        if let fingerprint { bytes.append(word: fingerprint) }
        if let start { bytes.append(number: start) }
        bytes.append(number: count)
        bytes.append(number: payloadCount)
        bytes.append(word: hash)
        let check = bytes.withUnsafeBytes { ArchiveFormat.check($0) }
        return bytes + check.bytes
    }

    /// No header is longer.
    static let longest = 1 + 2 + ArchiveFormat.longestSpec + 8 + 3 * 8 + 8 + 4

    package init(
        role: Role, start: Int?, spec: String, fingerprint: UInt64?, count: Int, payloadCount: Int, hash: UInt64
    ) {
        self.role = role
        self.start = start
        self.spec = spec
        self.fingerprint = fingerprint
        self.count = count
        self.payloadCount = payloadCount
        self.hash = hash
    }
}

extension SegmentHeader {
    /// Reads the header at the beginning of `bytes`, which may go on behind it, and says how long it is.
    static func read(_ bytes: [UInt8], version: UInt8) throws(PithError) -> (header: SegmentHeader, length: Int) {
        var reader = ByteReader(bytes)
        let tag = try reader.byte()
        guard let role = Role(rawValue: tag & ~ArchiveFormat.Tag.model) else {
            throw .invalidStream("no segment begins here")
        }
        let length = try reader.number()
        guard length <= ArchiveFormat.longestSpec else { throw .invalidStream("a method's name is too long") }
        let spec = String(decoding: try reader.bytes(length), as: UTF8.self)
        let header = SegmentHeader(
            role: role, spec: spec, fingerprint: tag & ArchiveFormat.Tag.model == 0 ? nil : try reader.word(),
            start: version > 2 ? try reader.number() : nil, count: try reader.number(),
            payloadCount: try reader.number(), hash: try reader.word())
        let check = bytes.prefix(reader.offset).withUnsafeBytes { ArchiveFormat.check($0) }
        guard try reader.bytes(4) == check.bytes else { throw .invalidStream("the head of a segment is damaged") }
        try header.checkClaims()
        return (header, reader.offset)
    }

    // In the order of the bytes.
    private init(
        role: Role, spec: String, fingerprint: UInt64?, start: Int?, count: Int, payloadCount: Int, hash: UInt64
    ) {
        self.init(
            role: role, start: start, spec: spec, fingerprint: fingerprint, count: count, payloadCount: payloadCount,
            hash: hash)
    }

    /// Throws for what no writer writes.
    private func checkClaims() throws(PithError) {
        let (sparse, expansion) =
            role == .content
            ? (ArchiveFormat.largestSparseSegment, ArchiveFormat.largestExpansion)
            : (ArchiveFormat.largestSparseDirectory, ArchiveFormat.largestDirectoryExpansion)
        guard count <= sparse || (count - 1) / expansion <= payloadCount + 16 else {
            throw .invalidStream("a segment of \(payloadCount) bytes claims to hold \(count)")
        }
        guard count <= ArchiveFormat.largestSegment || spec == Stored.identifier else {
            throw .invalidStream("a coded segment claims to hold \(count) bytes")
        }
        guard isFramed || count == payloadCount else {
            throw .invalidStream("a stored segment of \(payloadCount) bytes claims to hold \(count)")
        }
    }
}

/// What stands behind the last segment: the bytes of all content, and a checksum of the checksums of all segments.
package struct ArchiveEnd: Equatable {
    package private(set) var count = 0
    private var hashes = XXHash64()

    package init() {}

    /// The checksum over the segments so far.
    var hash: UInt64 { hashes.value }

    /// Counts a segment.
    package mutating func add(_ header: SegmentHeader) {
        if header.role == .content { count += header.count }
        withUnsafeBytes(of: header.hash.littleEndian) { hashes.update($0) }
    }

    /// The mark in bytes.
    package var bytes: [UInt8] {
        var bytes = [ArchiveFormat.Tag.end]
        bytes.append(number: count)
        bytes.append(word: hash)
        return bytes
    }

    /// The length of the mark at the beginning of `bytes`, which may go on behind it; throws unless it is that of the
    /// segments that were read.
    func check(_ bytes: [UInt8]) throws(PithError) -> Int {
        var reader = ByteReader(bytes)
        guard try reader.byte() == ArchiveFormat.Tag.end, try reader.number() == count, try reader.word() == hash else {
            throw .invalidStream("the end does not fit the segments: one is missing or out of place")
        }
        return reader.offset
    }

    package static func == (left: Self, right: Self) -> Bool { left.count == right.count && left.hash == right.hash }
}

extension UInt32 {
    /// The four bytes, the lowest first.
    package var bytes: [UInt8] { Swift.withUnsafeBytes(of: littleEndian) { Array($0) } }
}
