import PithCore
import PithTensor

/// Tensors of floats made smaller without losing a bit, by coding their exponents, of which few are common.
///
/// Elements are split into planes of bytes, the exponents first; each plane is coded as suits it, in blocks that can be
/// decoded one by one and on any number of threads. With a base, for example the checkpoint that a model was tuned
/// from, what is coded is the exclusive or with it.
///
/// A file is "PLF" and the version, 1; the element type and whether there is a base (a byte each); the number of
/// elements (8 bytes, little-endian); the size of each segment (4 bytes); then the segments (`FloatsSegment`).
public enum LosslessFloats {
    /// Which planes are coded.
    public enum Coverage: Sendable {
        /// The first plane alone: the exponents (DFloat11).
        case exponents
        /// Every plane that gets smaller by it (ZipNN).
        case allPlanes
    }

    private static let magic: [UInt8] = [0x50, 0x4C, 0x46, 1]
    private static let headerSize = 14
    private static let types = ElementType.allCases

    /// Compresses the elements of `tensor`. The shape is not stored. The result does not depend on the threads.
    public static func compress(
        _ tensor: StoredTensor, base: StoredTensor? = nil, coverage: Coverage = .allPlanes, pool: ThreadPool
    ) throws(PithError) -> [UInt8] {
        try validate(base, tensor.type, tensor.count)
        let (count, segment) = (tensor.count, FloatsSegment(tensor.type, coverage))
        let segments = (count + FloatsSegment.length - 1) / FloatsSegment.length
        let slot = segment.largestSize(min(count, FloatsSegment.length))
        let (bodyStart, size) = (headerSize + 4 * segments, tensor.type.byteCount)
        let capacity = bodyStart + segments * slot
        // With several threads some segments at a time are made side by side, then moved together.
        let wave = pool.threadCount == 1 ? 1 : 2 * pool.threadCount
        return [UInt8](unsafeUninitializedCapacity: capacity) { file, written in
            writeHeader(tensor, hasBase: base != nil, into: file)
            let (target, scratchSize) = (
                UnsafeMutableRawPointer(file.baseAddress!), size * min(count, FloatsSegment.length)
            )
            var end = bodyStart
            withUnsafeTemporaryAllocation(of: UInt8.self, capacity: max(1, wave * scratchSize)) { scratch in
                for first in stride(from: 0, to: segments, by: wave) {
                    let (number, begin) = (min(wave, segments - first), end)
                    let sizes = pool.map(number, sharing: scratch, target) { i, scratch, target in
                        let elements = FloatsSegment.range(first + i, of: count)
                        let offset = elements.lowerBound * size
                        return segment.encode(
                            tensor.region.bytes.baseAddress! + offset,
                            base.map { $0.region.bytes.baseAddress! + offset }, count: elements.count,
                            scratch: scratch.baseAddress! + i * scratchSize, into: target + begin + i * slot)
                    }
                    for i in 0..<number {
                        if i > 0 { (target + end).copyMemory(from: target + begin + i * slot, byteCount: sizes[i]) }
                        end += sizes[i]
                        target.storeBytes(
                            of: UInt32(sizes[i]).littleEndian, toByteOffset: headerSize + 4 * (first + i),
                            as: UInt32.self)
                    }
                }
            }
            withExtendedLifetime((tensor, base)) {}
            written = end
        }
    }

    private static func writeHeader(
        _ tensor: StoredTensor, hasBase: Bool, into file: UnsafeMutableBufferPointer<UInt8>
    ) {
        var header = magic + [UInt8(types.firstIndex(of: tensor.type) ?? 0), hasBase ? 1 : 0]
        withUnsafeBytes(of: UInt64(tensor.count).littleEndian) { header += $0 }
        for (index, byte) in header.enumerated() { file[index] = byte }
    }

    /// What `compress` made of a tensor: its type and its elements, as a list.
    ///
    /// Throws if the bytes are cut or no such file, or if the base is not the one of that type and number. If `isCut`,
    /// bytes may be missing at the end: then the elements of the leading segments that are whole are the result.
    public static func decompress(
        _ region: ByteRegion, base: StoredTensor? = nil, isCut: Bool = false, pool: ThreadPool
    ) throws(PithError) -> StoredTensor {
        let header = try Header(region.bytes, isCut: isCut)
        let (type, segments, isWhole) = (header.type, header.segments, header.isWhole)
        let count = isWhole ? header.count : segments.count * FloatsSegment.length
        guard header.hasBase == (base != nil) else {
            throw .usage(
                header.hasBase
                    ? "the tensor was compressed against a base, which is not given"
                    : "a base is given, but the tensor was compressed without one")
        }
        try validate(base, type, header.count)
        let target = UnsafeMutableRawBufferPointer.allocate(byteCount: count * type.byteCount, alignment: 64)
        let result = ByteRegion(UnsafeRawBufferPointer(target), keptAliveBy: Allocation(target))
        // Each part of the segments has working memory of its own.
        let parts = min(segments.count, 4 * pool.threadCount)
        _ = try pool.map(parts, sharing: target) { (part, target) throws(PithError) in
            try withUnsafeTemporaryAllocation(of: UInt8.self, capacity: FloatsSegment.scratchSize(type)) {
                (scratch) throws(PithError) in
                for index in part * segments.count / parts..<(part + 1) * segments.count / parts {
                    let elements = FloatsSegment.range(index, of: count)
                    let offset = elements.lowerBound * type.byteCount
                    try FloatsSegment.decode(
                        UnsafeRawBufferPointer(rebasing: region.bytes[segments[index]]), type,
                        base.map { $0.region.bytes.baseAddress! + offset }, count: elements.count,
                        scratch: scratch.baseAddress!, into: target.baseAddress! + offset)
                }
            }
        }
        withExtendedLifetime((region, base)) {}
        return StoredTensor(type: type, shape: [count], region: result)
    }

    /// The bytes that each segment of what `compress` made takes, in order.
    package static func segmentSizes(_ region: ByteRegion) throws(PithError) -> [Int] {
        try region.withBytes { (bytes) throws(PithError) in try Header(bytes, isCut: false).segments.map(\.count) }
    }

    /// Elements of a segment; the last one has fewer.
    package static var segmentLength: Int { FloatsSegment.length }

    /// What stands before the segments, and where they lie.
    private struct Header {
        let type: ElementType
        let count: Int
        let hasBase: Bool
        private(set) var segments: [Range<Int>] = []
        /// Whether all segments are there.
        private(set) var isWhole = false

        init(_ bytes: UnsafeRawBufferPointer, isCut: Bool) throws(PithError) {
            guard bytes.count >= headerSize, bytes.prefix(4).elementsEqual(magic) else {
                throw .data("no compressed floats", remedy: "they begin with 'PLF' and the version 1")
            }
            guard Int(bytes[4]) < types.count, bytes[5] <= 1 else {
                throw .invalidStream("the header names no element type")
            }
            (type, hasBase) = (types[Int(bytes[4])], bytes[5] == 1)
            // Each segment takes some bytes, so that no small file can ask for much memory.
            let claimed = bytes.word(at: 6)
            let largest = (bytes.count - headerSize) / FloatsSegment.smallestSize * FloatsSegment.length
            guard claimed <= UInt64(isCut ? 1 << 48 : largest) else { throw .truncated(at: bytes.count) }
            count = Int(claimed)
            let number = (count + FloatsSegment.length - 1) / FloatsSegment.length
            var offset = headerSize + 4 * number
            for index in 0..<number {
                guard offset <= bytes.count else { break }
                let size = Int(UInt32(truncatingIfNeeded: bytes.word(at: headerSize + 4 * index)))
                guard size <= bytes.count - offset else { break }
                segments.append(offset..<offset + size)
                offset += size
            }
            isWhole = segments.count == number
            guard isCut || isWhole else { throw .truncated(at: bytes.count) }
            guard isCut || offset == bytes.count else {
                throw .invalidStream("bytes are left behind the last segment")
            }
        }
    }

    private static func validate(_ base: StoredTensor?, _ type: ElementType, _ count: Int) throws(PithError) {
        guard let base, base.type != type || base.count != count else { return }
        throw .data(
            "the base has \(base.count) elements of type \(base.type.rawValue)",
            remedy: "the tensor has \(count) of type \(type.rawValue)")
    }
}

/// Memory that is freed with its owner.
private final class Allocation {
    private let memory: UnsafeMutableRawBufferPointer
    init(_ memory: UnsafeMutableRawBufferPointer) { self.memory = memory }
    deinit { memory.deallocate() }
}
