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
            var (end, sizes) = (bodyStart, [Int](repeating: 0, count: wave))
            withUnsafeTemporaryAllocation(of: UInt8.self, capacity: max(1, wave * scratchSize)) { scratch in
                for first in stride(from: 0, to: segments, by: wave) {
                    let (number, begin) = (min(wave, segments - first), end)
                    sizes.withUnsafeMutableBufferPointer { sizes in
                        pool.forEachBlock(of: number, grain: 1) { range in
                            for i in range {
                                let elements = FloatsSegment.range(first + i, of: count)
                                let offset = elements.lowerBound * size
                                sizes[i] = segment.encode(
                                    tensor.region.bytes.baseAddress! + offset,
                                    base.map { $0.region.bytes.baseAddress! + offset }, count: elements.count,
                                    scratch: scratch.baseAddress! + i * scratchSize, into: target + begin + i * slot)
                            }
                        }
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
    /// Throws if the bytes are cut or no such file, or if the base is not the one of that type and number.
    public static func decompress(
        _ region: ByteRegion, base: StoredTensor? = nil, pool: ThreadPool
    ) throws(PithError) -> StoredTensor {
        let (type, count, hasBase, segments) = try readHeader(region.bytes)
        guard hasBase == (base != nil) else {
            throw .usage(
                hasBase
                    ? "the tensor was compressed against a base, which is not given"
                    : "a base is given, but the tensor was compressed without one")
        }
        try validate(base, type, count)
        let target = UnsafeMutableRawBufferPointer.allocate(byteCount: count * type.byteCount, alignment: 64)
        let result = ByteRegion(UnsafeRawBufferPointer(target), keptAliveBy: Allocation(target))
        // Each part of the segments has working memory of its own.
        let parts = min(segments.count, 4 * pool.threadCount)
        var failures = [PithError?](repeating: nil, count: parts)
        failures.withUnsafeMutableBufferPointer { failures in
            pool.forEachBlock(of: parts, grain: 1) { range in
                for part in range {
                    let chosen = part * segments.count / parts..<(part + 1) * segments.count / parts
                    do throws(PithError) {
                        try withUnsafeTemporaryAllocation(of: UInt8.self, capacity: FloatsSegment.scratchSize(type)) {
                            (scratch) throws(PithError) in
                            for index in chosen {
                                let elements = FloatsSegment.range(index, of: count)
                                let offset = elements.lowerBound * type.byteCount
                                try FloatsSegment.decode(
                                    UnsafeRawBufferPointer(rebasing: region.bytes[segments[index]]), type,
                                    base.map { $0.region.bytes.baseAddress! + offset }, count: elements.count,
                                    scratch: scratch.baseAddress!, into: target.baseAddress! + offset)
                            }
                        }
                    } catch { failures[part] = error }
                }
            }
        }
        withExtendedLifetime((region, base)) {}
        if let failure = failures.lazy.compactMap({ $0 }).first { throw failure }
        return StoredTensor(type: type, shape: [count], region: result)
    }

    private static func readHeader(
        _ bytes: UnsafeRawBufferPointer
    ) throws(PithError) -> (type: ElementType, count: Int, hasBase: Bool, segments: [Range<Int>]) {
        guard bytes.count >= headerSize, bytes.prefix(4).elementsEqual(magic) else {
            throw .data("no compressed floats", remedy: "they begin with 'PLF' and the version 1")
        }
        guard Int(bytes[4]) < types.count, bytes[5] <= 1 else {
            throw .invalidStream("the header names no element type")
        }
        // Each segment takes some bytes, so that no small file can ask for much memory.
        let claimed = bytes.word(at: 6)
        guard claimed <= UInt64((bytes.count - headerSize) / FloatsSegment.smallestSize * FloatsSegment.length) else {
            throw .truncated(at: bytes.count)
        }
        let number = (Int(claimed) + FloatsSegment.length - 1) / FloatsSegment.length
        var (segments, offset) = ([Range<Int>](), headerSize + 4 * number)
        for index in 0..<number {
            let size = Int(UInt32(truncatingIfNeeded: bytes.word(at: headerSize + 4 * index)))
            guard offset <= bytes.count, size <= bytes.count - offset else { throw .truncated(at: bytes.count) }
            segments.append(offset..<offset + size)
            offset += size
        }
        guard offset == bytes.count else { throw .invalidStream("bytes are left behind the last segment") }
        return (types[Int(bytes[4])], Int(claimed), bytes[5] == 1, segments)
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
