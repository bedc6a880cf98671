import PithCore

/// Records of a fixed number of bytes made smaller without losing a bit: the bytes at one place of all records lie
/// together, and places whose bytes are alike share a code.
///
/// The result is segments, one behind the other, each of which can be decoded alone: its size (4 bytes,
/// little-endian); the number of classes of places minus 1; the class of each place (a byte each); for each class its
/// coding, and the size of its block where it is not fixed (4 bytes); then the blocks, each with the bytes of the first
/// place of its class, then of the next.
public struct RecordPlanes: Sendable {
    /// Bytes of a record.
    public let width: Int

    /// The permitted widths.
    public static let widths = 1...4096
    /// Bytes of a segment: what one core works on in its own cache.
    private static let segmentBytes = 1 << 19
    /// Wide records come in numbers that are worth the tables of their places.
    private static let leastRecords = 1 << 12

    /// Records of `width` bytes.
    public init(width: Int) {
        precondition(Self.widths.contains(width), "records of \(width) bytes")
        self.width = width
    }

    /// Records of a segment; the last one has fewer.
    private var segmentLength: Int { max(Self.segmentBytes / width, Self.leastRecords) }

    /// The records of segment `index` of `count` records.
    private func range(_ index: Int, of count: Int) -> Range<Int> {
        index * segmentLength..<min(count, (index + 1) * segmentLength)
    }

    private func segmentCount(_ records: Int) -> Int { (records + segmentLength - 1) / segmentLength }

    /// About how many bytes of memory `encode` and `decode` need for `count` bytes of records.
    public func memory(for count: Int) -> Int { 3 * count + 1 << 20 }
}

// MARK: Encoding

/// Places of records whose bytes are coded together.
private struct PlaceClass {
    var places: [Int]
    private(set) var counts: [Int]
    /// The bits of the bytes by their entropy, and of their table.
    private let cost: Int

    init(_ places: [Int], _ counts: [Int]) {
        self.places = places
        self.counts = counts
        let total = counts.reduce(0, +)
        var (cost, symbols) = (total > 0 ? total * Self.log2(total) : 0, 0)
        for count in counts where count > 0 {
            cost -= count * Self.log2(count)
            symbols += 1
        }
        // Half a byte for each symbol's length, and some for the block.
        self.cost = cost >> FixedPoint.fractionBits + 4 * symbols + 8 * 24
    }

    /// log2(x) · 65536 of the small numbers.
    private static let logarithms = [0] + (1..<4096).map { FixedPoint.log2(UInt64($0)) }

    /// log2(x) · 65536 for x > 0, short by 50 at most.
    @inline(__always)
    private static func log2(_ x: Int) -> Int {
        let shift = max(0, 52 - x.leadingZeroBitCount)
        return logarithms[x >> shift] + shift << FixedPoint.fractionBits
    }

    /// Both classes as one, and the bits that this saves.
    private func joined(with other: PlaceClass) -> (both: PlaceClass, gain: Int) {
        var counts = counts
        for symbol in 0..<256 { counts[symbol] += other.counts[symbol] }
        let both = PlaceClass(places + other.places, counts)
        return (both, cost + other.cost - both.cost)
    }

    /// Adds a place to the class where that saves most, or as a class of its own while there are fewer than `limit`.
    static func add(_ place: PlaceClass, to classes: inout [PlaceClass], limit: Int) {
        let candidates = classes.map { $0.joined(with: place) }
        let best = candidates.indices.max { candidates[$0].gain < candidates[$1].gain }
        if let best, candidates[best].gain >= 0 || classes.count >= limit {
            classes[best] = candidates[best].both
        } else {
            classes.append(place)
        }
    }
}

extension RecordPlanes {
    /// Codes whole records and passes the segments on in order, each with its bytes among the records.
    /// The result does not depend on the threads.
    public func encode(
        _ records: UnsafeRawBufferPointer, pool: ThreadPool, _ body: (_ bytes: Range<Int>, _ coded: [UInt8]) -> Void
    ) {
        precondition(records.count % width == 0, "whole records")
        let count = records.count / width
        // Some segments at a time are made side by side.
        let wave = 2 * pool.threadCount
        for first in stride(from: 0, to: segmentCount(count), by: wave) {
            let segments = pool.map(min(wave, segmentCount(count) - first), sharing: records) { i, records in
                let range = range(first + i, of: count)
                return encode(
                    segment: UnsafeRawBufferPointer(
                        rebasing: records[range.lowerBound * width..<range.upperBound * width]))
            }
            for (i, segment) in segments.enumerated() {
                let range = range(first + i, of: count)
                body(range.lowerBound * width..<range.upperBound * width, segment)
            }
        }
    }

    /// More kinds of bytes than any known record has.
    private static let largestClassCount = 16

    private func encode(segment: UnsafeRawBufferPointer) -> [UInt8] {
        let count = segment.count / width
        return withUnsafeTemporaryAllocation(of: UInt8.self, capacity: 2 * segment.count) { scratch in
            let (planes, block) = (scratch.baseAddress!, scratch.baseAddress! + segment.count)
            split(segment, count, into: planes)
            let classes = classes(planes, count)
            // The size comes first, when it is known.
            var (head, blocks) = ([UInt8](repeating: 0, count: 4 + 1 + width), [UInt8]())
            head[4] = UInt8(classes.count - 1)
            for (index, members) in classes.enumerated() {
                for (i, place) in members.places.enumerated() {
                    head[5 + place] = UInt8(index)
                    (block + i * count).update(from: planes + place * count, count: count)
                }
                let coding = PlaneCoding(counts: members.counts)
                let coded = coding.encode(UnsafeBufferPointer(start: block, count: members.places.count * count))
                head += coding.serialized
                if coding.fixedSize(1) == nil {
                    withUnsafeBytes(of: UInt32(coded.count).littleEndian) { head += $0 }
                }
                blocks += coded
            }
            let size = UInt32(head.count - 4 + blocks.count)
            withUnsafeBytes(of: size.littleEndian) { head.replaceSubrange(..<4, with: $0) }
            return head + blocks
        }
    }

    /// The places of records in classes that are worth a table each.
    private func classes(_ planes: UnsafePointer<UInt8>, _ count: Int) -> [PlaceClass] {
        var classes: [PlaceClass] = []
        for place in 0..<width {
            var counts = ByteCounts()
            counts.add(UnsafeBufferPointer(start: planes + place * count, count: count))
            PlaceClass.add(PlaceClass([place], counts.counts), to: &classes, limit: Self.largestClassCount)
        }
        return classes
    }

    /// Bytes of records that stay in the first cache while they are taken apart or put together.
    private static let tileBytes = 1 << 14

    /// Lays `count` records out by place, [width, count].
    private func split(_ records: UnsafeRawBufferPointer, _ count: Int, into planes: UnsafeMutablePointer<UInt8>) {
        guard let source = records.baseAddress?.assumingMemoryBound(to: UInt8.self) else { return }
        let (width, tile) = (width, max(16, Self.tileBytes / width))
        for first in stride(from: 0, to: count, by: tile) {
            for place in 0..<width {
                let plane = planes + place * count
                var next = source + (first &* width &+ place)
                for i in first..<min(count, first + tile) {
                    plane[i] = next.pointee
                    next += width
                }
            }
        }
    }
}

// MARK: Decoding

extension RecordPlanes {
    /// Decodes `count` records from the front of `bytes` and appends them to `output`; returns the bytes read.
    ///
    /// The segments before a damaged or missing one are appended before an error is thrown. Memory follows what is
    /// there, not `count`. `advance` is told of the bytes done.
    public func decode(
        _ bytes: UnsafeRawBufferPointer, count: Int, into output: inout [UInt8], pool: ThreadPool,
        advance: (Int) -> Void = { _ in }
    ) throws(PithError) -> Int {
        var (offset, index) = (0, 0)
        let wave = 2 * pool.threadCount
        while index < segmentCount(count) {
            var segments: [Range<Int>] = []
            while segments.count < wave, index + segments.count < segmentCount(count) {
                guard let segment = segment(bytes, at: offset) else { break }
                segments.append(segment)
                offset = segment.upperBound
            }
            guard !segments.isEmpty else { throw .truncated(at: bytes.count) }
            let records = range(index, of: count).lowerBound..<range(index + segments.count - 1, of: count).upperBound
            try decode(bytes, segments, from: index, count, into: &output, pool)
            advance(records.count * width)
            index += segments.count
        }
        return offset
    }

    /// Where the segment lies whose size stands at `offset`; nil if the bytes end before it does.
    private func segment(_ bytes: UnsafeRawBufferPointer, at offset: Int) -> Range<Int>? {
        guard bytes.count - offset >= 4 else { return nil }
        let size = Int(UInt32(truncatingIfNeeded: bytes.word(at: offset)))
        return size <= bytes.count - offset - 4 ? offset + 4..<offset + 4 + size : nil
    }

    /// Decodes neighbouring segments, the first of which is segment `index` of `count` records.
    private func decode(
        _ bytes: UnsafeRawBufferPointer, _ segments: [Range<Int>], from index: Int, _ count: Int,
        into output: inout [UInt8], _ pool: ThreadPool
    ) throws(PithError) {
        let begin = range(index, of: count).lowerBound
        let records = range(index + segments.count - 1, of: count).upperBound - begin
        var failures: [PithError?] = []
        let decoded = [UInt8](unsafeUninitializedCapacity: records * width) { target, written in
            failures = pool.map(segments.count, sharing: bytes, target) { i, bytes, target in
                let range = range(index + i, of: count)
                do throws(PithError) {
                    try decode(
                        UnsafeRawBufferPointer(rebasing: bytes[segments[i]]), range.count,
                        into: target.baseAddress! + (range.lowerBound - begin) * width)
                    return nil
                } catch { return error }
            }
            let whole = failures.firstIndex { $0 != nil } ?? segments.count
            written = whole == segments.count ? records * width : whole * segmentLength * width
        }
        output += decoded
        if let failure = failures.lazy.compactMap({ $0 }).first { throw failure }
    }

    private func decode(
        _ segment: UnsafeRawBufferPointer, _ count: Int, into records: UnsafeMutablePointer<UInt8>
    ) throws(PithError) {
        guard segment.count > 1 + width else { throw .truncated(at: segment.count) }
        // The places of each class.
        var places = [[Int]](repeating: [], count: Int(segment[0]) + 1)
        for place in 0..<width {
            guard segment[1 + place] < places.count else { throw .invalidStream("a place is of no class") }
            places[Int(segment[1 + place])].append(place)
        }
        var (offset, blocks) = (1 + width, [(coding: PlaneCoding, size: Int)]())
        for members in places {
            let coding = try PlaneCoding(serialized: segment, at: &offset)
            if let size = coding.fixedSize(members.count * count) {
                blocks.append((coding, size))
            } else {
                guard segment.count - offset >= 4 else { throw .truncated(at: offset) }
                blocks.append((coding, Int(UInt32(truncatingIfNeeded: segment.word(at: offset)))))
                offset += 4
            }
        }
        guard blocks.reduce(offset, { $0 + $1.size }) == segment.count else {
            throw .invalidStream("the sizes of blocks do not add up to their segment's")
        }
        try withUnsafeTemporaryAllocation(of: UInt8.self, capacity: count * width) { (scratch) throws(PithError) in
            var (planes, next) = ([UnsafePointer<UInt8>](repeating: scratch.baseAddress!, count: width), 0)
            for (members, block) in zip(places, blocks) {
                let bytes = UnsafeRawBufferPointer(rebasing: segment[offset..<offset + block.size])
                let decoded = try block.coding.decode(
                    bytes, count: members.count * count, scratch: scratch.baseAddress! + next)
                for (i, place) in members.enumerated() { planes[place] = decoded + i * count }
                offset += block.size
                next += members.count * count
            }
            merge(planes, count, into: records)
        }
    }

    /// Puts `count` records together from their places, [width], each [count].
    private func merge(_ places: [UnsafePointer<UInt8>], _ count: Int, into records: UnsafeMutablePointer<UInt8>) {
        let (width, tile) = (width, max(16, Self.tileBytes / width))
        for first in stride(from: 0, to: count, by: tile) {
            for place in 0..<width {
                let plane = places[place]
                var next = records + (first &* width &+ place)
                for i in first..<min(count, first + tile) {
                    next.pointee = plane[i]
                    next += width
                }
            }
        }
    }
}
