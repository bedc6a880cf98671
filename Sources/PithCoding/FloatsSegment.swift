import PithCore
import PithTensor

/// Some elements of a tensor compressed on their own: codings that suit them, then blocks.
///
/// A segment is a checksum of its elements (4 bytes); the coding of each plane; for each block the sizes of those
/// planes that have no fixed size (4 bytes each); then the blocks, plane by plane.
struct FloatsSegment {
    private let planes: BytePlanes
    private let coverage: LosslessFloats.Coverage

    /// The elements of a segment; the last one of a tensor has fewer.
    static let length = 1 << 17
    /// The elements of a block: its planes fit a core's own cache.
    private static let blockLength = 1 << 16
    /// The fewest bytes of a segment and of its size in the header.
    static let smallestSize = 4 + 4 + 1

    init(_ type: ElementType, _ coverage: LosslessFloats.Coverage) {
        planes = BytePlanes(type)
        self.coverage = coverage
    }

    /// The elements of segment `index` of `count` elements.
    static func range(_ index: Int, of count: Int) -> Range<Int> { index * length..<min(count, (index + 1) * length) }

    private static func block(_ index: Int, of count: Int) -> Range<Int> {
        index * blockLength..<min(count, (index + 1) * blockLength)
    }

    private static func blockCount(_ count: Int) -> Int { (count + blockLength - 1) / blockLength }

    /// The most bytes that a segment of `count` elements takes, with what `encode` writes beyond it meanwhile.
    func largestSize(_ count: Int) -> Int {
        let block = PlaneCoding.largestSize(min(count, Self.blockLength))
        let table = PlaneCoding.largestTable + 4 * Self.blockCount(count)
        return 4 + planes.count * (table + Self.blockCount(count) * block)
    }
}

// MARK: Encoding

extension FloatsSegment {
    /// Compresses a segment into `target`, which has room for `largestSize`, with `scratch` for all elements. Returns
    /// the bytes written.
    func encode(
        _ elements: UnsafeRawPointer, _ base: UnsafeRawPointer?, count: Int, scratch: UnsafeMutablePointer<UInt8>,
        into target: UnsafeMutableRawPointer
    ) -> Int {
        // [planes, count]
        let begins = (0..<planes.count).map { scratch + $0 * count }
        planes.split(elements, base, count: count, into: begins)
        let codings = begins.enumerated().map {
            PlaneCoding(plane: $0, UnsafeBufferPointer(start: $1, count: count), coverage)
        }
        let checksum = blockChecksum(UnsafeRawBufferPointer(start: elements, count: count * planes.count))
        target.storeBytes(of: checksum.littleEndian, as: UInt32.self)
        var index = target + 4
        for coding in codings {
            let table = coding.serialized
            table.withUnsafeBytes { index.copyMemory(from: $0.baseAddress!, byteCount: $0.count) }
            index += table.count
        }
        var end = index + 4 * Self.blockCount(count) * codings.count { $0.fixedSize(1) == nil }
        for block in 0..<Self.blockCount(count) {
            let range = Self.block(block, of: count)
            for (plane, coding) in zip(begins, codings) {
                let size = coding.encode(
                    UnsafeBufferPointer(start: plane + range.lowerBound, count: range.count), into: end)
                end += size
                guard coding.fixedSize(1) == nil else { continue }
                index.storeBytes(of: UInt32(size).littleEndian, as: UInt32.self)
                index += 4
            }
        }
        return end - target
    }
}

// MARK: Decoding

extension FloatsSegment {
    /// The bytes that `decode` works in.
    static func scratchSize(_ type: ElementType) -> Int { blockLength * type.byteCount }

    /// Decompresses a segment of `count` elements into `target`, with `scratch` for `scratchSize` bytes; throws unless
    /// the elements have its checksum.
    static func decode(
        _ segment: UnsafeRawBufferPointer, _ type: ElementType, _ base: UnsafeRawPointer?, count: Int,
        scratch: UnsafeMutablePointer<UInt8>, into target: UnsafeMutableRawPointer
    ) throws(PithError) {
        let planes = BytePlanes(type)
        var (index, codings) = (4, [PlaneCoding]())
        for _ in 0..<planes.count { codings.append(try PlaneCoding(serialized: segment, at: &index)) }
        var offset = index + 4 * blockCount(count) * codings.count { $0.fixedSize(1) == nil }
        guard offset <= segment.count else { throw .truncated(at: segment.count) }
        for block in 0..<blockCount(count) {
            let range = Self.block(block, of: count)
            var places: [UnsafePointer<UInt8>] = []
            for (plane, coding) in codings.enumerated() {
                var size = coding.fixedSize(range.count) ?? 0
                if coding.fixedSize(1) == nil {
                    size = Int(UInt32(truncatingIfNeeded: segment.word(at: index)))
                    index += 4
                }
                guard size <= segment.count - offset else { throw .truncated(at: segment.count) }
                places.append(
                    try coding.decode(
                        UnsafeRawBufferPointer(rebasing: segment[offset..<offset + size]), count: range.count,
                        scratch: scratch + plane * blockLength))
                offset += size
            }
            let start = range.lowerBound * planes.count
            planes.merge(places, base.map { $0 + start }, count: range.count, into: target + start)
        }
        guard offset == segment.count else { throw .invalidStream("bytes are left behind the last block") }
        let elements = UnsafeRawBufferPointer(start: target, count: count * planes.count)
        guard blockChecksum(elements) == UInt32(truncatingIfNeeded: segment.word(at: 0)) else {
            throw .data(
                "the checksum of the elements is wrong", remedy: "the data are damaged, or the base is another")
        }
    }
}

/// Two sums over the 64-bit words of some bytes, eight at a time: of the words, which any one changed word changes,
/// and of all those sums, which knows their order.
func blockChecksum(_ bytes: UnsafeRawBufferPointer) -> UInt32 {
    var (words, sums) = (SIMD8<UInt64>(repeating: 0), SIMD8<UInt64>(repeating: 0))
    let whole = bytes.count / 64
    for index in 0..<whole {
        words &+= bytes.loadUnaligned(fromByteOffset: 64 &* index, as: SIMD8<UInt64>.self)
        sums &+= words
    }
    var hash = UInt64(bytes.count)
    func add(_ word: UInt64) {
        hash = (hash ^ word) &* 0x9E37_79B9_7F4A_7C15
        hash ^= hash &>> 32
    }
    for lane in 0..<8 {
        add(words[lane])
        add(sums[lane])
    }
    for offset in stride(from: 64 * whole, to: bytes.count, by: 8) { add(bytes.word(at: offset)) }
    return UInt32(truncatingIfNeeded: hash)
}
