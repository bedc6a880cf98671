import CPithKernels
import PithCore
import PithFormats
import PithTensor

/// The keys and values of one layer, however they are kept.
public protocol KeyValueStore: Sendable {
    /// Positions appended, those included that no window shows any more.
    var count: Int { get }
    /// Exactly how many bits the held positions occupy.
    var storedBits: Int { get }

    /// Appends `rows` positions; keys (already rotated) and values are [rows, headCount · headSize].
    mutating func append(keys: UnsafePointer<Float>, values: UnsafePointer<Float>, rows: Int)

    /// Attends for the last `rows` positions: queries and output are [rows, heads · headSize].
    ///
    /// Row r sees the first `count - rows + r + 1` positions (all, unless attention is causal), or of these the last
    /// `window`; query head h reads
    /// key-value head h / (query heads / key-value heads).
    func attend(
        _ queries: UnsafePointer<Float>, rows: Int, _ options: AttentionOptions,
        into output: UnsafeMutablePointer<Float>, pool: ThreadPool)

    /// Forgets all but the first `count` positions; with a window at most as many as were appended last.
    mutating func truncate(to count: Int)

    /// The held positions as tensors, to be saved.
    var stored: [String: StoredTensor] { get }

    /// Takes up what `stored` gave; replaces what is held.
    mutating func restore(_ tensors: [String: StoredTensor]) throws(PithError)
}

/// How the plain store keeps the elements of keys and values.
public enum CacheType: String, CaseIterable, Sendable {
    /// 32 bits: what the forward pass computed.
    case float32 = "f32"
    /// IEEE half precision; larger elements become ±65504.
    case float16 = "f16"
    /// bfloat16.
    case bfloat16 = "bf16"

    /// The type of stored tensors.
    public var elementType: ElementType {
        switch self {
        case .float32: .float32
        case .float16: .float16
        case .bfloat16: .bfloat16
        }
    }

    var kernelType: pith_element {
        switch self {
        case .float32: PITH_F32
        case .float16: PITH_F16
        case .bfloat16: PITH_BF16
        }
    }
}

/// The plain filler: all keys and values that are seen, as floats of 32 or 16 bits.
///
/// They are kept in segments of a fixed number of positions. Copies of a store share the segments that neither has
/// changed since, so that many sequences can go on from one beginning.
public struct PlainKeyValueStore: KeyValueStore {
    /// Key-value heads.
    public let headCount: Int
    /// Elements of a head's vector.
    public let headSize: Int
    /// How elements are kept.
    public let type: CacheType
    /// Positions that are seen at a time; nil for all.
    public let window: Int?
    /// Positions appended.
    public private(set) var count = 0
    private var segments: [KeyValueSegment] = []
    /// Segments in front that no window shows any more.
    private var forgotten = 0

    private static let segmentLength = Int(PITH_SEGMENT)

    /// An empty store.
    public init(shape: CacheShape, type: CacheType = .float16) {
        (headCount, headSize, window) = (shape.headCount, shape.headSize, shape.window)
        self.type = type
    }

    /// The first position that is held.
    private var start: Int { forgotten * Self.segmentLength }

    /// 16 or 32 bits for each element that is held, and 64 for where they begin if that is not at the beginning.
    public var storedBits: Int {
        2 * (count - start) * headCount * headSize * type.elementType.byteCount * 8 + (start > 0 ? 64 : 0)
    }

    /// Appends [rows, headCount · headSize] of each.
    public mutating func append(keys: UnsafePointer<Float>, values: UnsafePointer<Float>, rows: Int) {
        let (kernels, width) = (kernels, headCount * headSize)
        forgetWhatIsUnseen()
        var row = 0
        while row < rows {
            let (index, position) = (count / Self.segmentLength - forgotten, count % Self.segmentLength)
            if index == segments.count {
                segments.append(KeyValueSegment(headCount: headCount, headSize: headSize, type: type))
            } else if !isKnownUniquelyReferenced(&segments[index]) {
                segments[index] = segments[index].copy(position)
            }
            let part = min(rows - row, Self.segmentLength - position)
            for head in 0..<headCount {
                let offset = row * width + head * headSize
                var target = segments[index].head(head)
                kernels.cache_rows(
                    keys + offset, values + offset, Int64(width), Int64(part), Int64(position), &target)
            }
            row += part
            count += part
        }
    }

    /// Gives back the segments that lie before the window of the next position.
    private mutating func forgetWhatIsUnseen() {
        guard let window else { return }
        let unseen = max(0, count + 1 - window) / Self.segmentLength
        guard unseen > forgotten else { return }
        segments.removeFirst(min(segments.count, unseen - forgotten))
        forgotten = unseen
    }

    /// Forgets all but the first `count` positions; with a window at most as many as were appended last.
    public mutating func truncate(to count: Int) {
        self.count = min(max(0, count), self.count)
        precondition(self.count == 0 || self.count >= start, "positions behind the window are gone")
        if self.count == 0 { (segments, forgotten) = ([], 0) }
        let kept = (self.count + Self.segmentLength - 1) / Self.segmentLength - forgotten
        segments.removeLast(segments.count - kept)
    }

    /// One position of keys and values, [headCount · headSize] each, as bytes of the store's type.
    private func copyPosition(
        _ position: Int, keys: UnsafeMutableRawPointer, values: UnsafeMutableRawPointer
    ) {
        let (segment, place) = (
            segments[position / Self.segmentLength - forgotten], position % Self.segmentLength
        )
        let bytes = type.elementType.byteCount
        for head in 0..<headCount {
            let cached = segment.head(head)
            for i in 0..<headSize {
                let key = (place / 16 * headSize + i) * 16 + place % 16
                (keys + (head * headSize + i) * bytes).copyMemory(from: cached.keys + key * bytes, byteCount: bytes)
            }
            (values + head * headSize * bytes).copyMemory(
                from: cached.values + place * headSize * bytes, byteCount: headSize * bytes)
        }
    }

    /// `keys` and `values`, [positions, headCount, headSize], in the type in which they are kept, and the position at which
    /// they `start` if it is not the first.
    public var stored: [String: StoredTensor] {
        let rowBytes = headCount * headSize * type.elementType.byteCount
        let size = (count - start) * rowBytes
        var (keys, values) = ([UInt8](repeating: 0, count: size), [UInt8](repeating: 0, count: size))
        keys.withUnsafeMutableBytes { keys in
            values.withUnsafeMutableBytes { values in
                for (row, position) in (start..<count).enumerated() {
                    copyPosition(
                        position, keys: keys.baseAddress! + row * rowBytes,
                        values: values.baseAddress! + row * rowBytes)
                }
            }
        }
        func tensor(_ bytes: [UInt8]) -> StoredTensor {
            StoredTensor(
                type: type.elementType, shape: [count - start, headCount, headSize],
                region: ByteRegion(copying: bytes))
        }
        var tensors = ["keys": tensor(keys), "values": tensor(values)]
        if start > 0 { tensors["start"] = StoredTensor(integer: start) }
        return tensors
    }

    /// Takes up `keys` and `values`, of any type of floats, from position `start` on.
    public mutating func restore(_ tensors: [String: StoredTensor]) throws(PithError) {
        guard let keys = tensors["keys"], let values = tensors["values"], keys.shape == values.shape,
            keys.shape.count == 3, Array(keys.shape[1...]) == [headCount, headSize]
        else { throw .data("saved keys and values do not fit [positions, \(headCount), \(headSize)]") }
        let start = try tensors["start"]?.integer(in: 0...ModelConfiguration.sizeLimit) ?? 0
        guard start % Self.segmentLength == 0, start == 0 || window != nil else {
            throw .data("saved keys and values begin at position \(start)")
        }
        let (decodedKeys, decodedValues) = (try keys.decoded().values, try values.decoded().values)
        truncate(to: 0)
        (forgotten, count) = (start / Self.segmentLength, start)
        if keys.shape[0] > 0 { append(keys: decodedKeys, values: decodedValues, rows: keys.shape[0]) }
    }
}

// MARK: Attention

extension PlainKeyValueStore {
    /// Queries that read each block of keys together.
    private static let queriesTogether = 48
    /// From here on it is worth while to widen a block of keys once for all queries.
    private static let queriesToWiden = 12
    /// Products that are done sooner than other threads are called.
    private static let smallWork = 1 << 15

    /// By blocks of keys and of queries, as `attention.h` says; the result of a row does not depend on others.
    public func attend(
        _ queries: UnsafePointer<Float>, rows: Int, _ options: AttentionOptions,
        into output: UnsafeMutablePointer<Float>, pool: ThreadPool
    ) {
        let group = options.headCount / headCount
        let block = max(1, Self.queriesTogether / group)
        let problem = AttentionProblem(
            store: self, queries: queries, output: output, rows: rows, group: group,
            stride: Int(pith_partial_stride(Int64(headSize))), options: options, kernels: kernels)
        let seen = min(count, (options.cacheShape.window ?? count) + rows)
        let isSmall = rows * options.headCount * seen * headSize < Self.smallWork
        if rows <= block, problem.segments(0..<rows).count > 1, !isSmall {
            problem.bySegments(pool)
        } else {
            // Later rows see more: they go first, so that threads end together.
            let blocks = (rows + block - 1) / block
            pool.forEachBlock(of: headCount * blocks, grain: isSmall ? headCount * blocks : 1) { tasks in
                for task in tasks {
                    let start = (blocks - 1 - task / headCount) * block
                    problem.attend(head: task % headCount, rows: start..<min(rows, start + block))
                }
            }
        }
    }

    /// One call of `attend`.
    private struct AttentionProblem {
        let store: PlainKeyValueStore
        let queries: UnsafePointer<Float>
        let output: UnsafeMutablePointer<Float>
        let rows: Int
        let group: Int
        let stride: Int
        let options: AttentionOptions
        let kernels: pith_kernels

        private var width: Int { store.headCount * group * store.headSize }

        private func place(_ head: Int, _ row: Int) -> Int { row * width + head * group * store.headSize }

        private func queries(_ head: Int, _ rows: Range<Int>) -> pith_queries {
            pith_queries(
                values: queries + place(head, rows.lowerBound), rows: Int64(rows.count), heads: Int64(group),
                stride: Int64(width), scale: options.scale, softcap: options.softcap ?? 0,
                window: Int64(options.cacheShape.window ?? 0), bidirectional: options.isCausal ? 0 : 1)
        }

        /// Positions that row `row` sees in all.
        private func visible(_ row: Int) -> Int { options.isCausal ? store.count - rows + row + 1 : store.count }

        /// The segments of which the rows see anything.
        func segments(_ rows: Range<Int>) -> Range<Int> {
            let length = PlainKeyValueStore.segmentLength
            let first = options.cacheShape.window.map { max(0, visible(rows.lowerBound) - $0) / length } ?? 0
            return first..<max(first + 1, (visible(rows.upperBound - 1) + length - 1) / length)
        }

        private func attendSegment(
            _ segment: Int, head: Int, rows: Range<Int>, widened: UnsafeMutablePointer<Float>?,
            into partials: UnsafeMutablePointer<Float>
        ) {
            var (queries, cached) = (queries(head, rows), store.segments[segment - store.forgotten].head(head))
            let seen = visible(rows.lowerBound) - segment * PlainKeyValueStore.segmentLength
            kernels.attend_segment(&queries, &cached, Int64(seen), widened, partials)
        }

        private func finish(_ partials: UnsafePointer<Float>, head: Int, rows: Range<Int>) {
            var queries = queries(head, rows)
            kernels.finish_attention(
                partials, &queries, Int64(store.headSize), output + place(head, rows.lowerBound))
        }

        /// All segments, one after the other.
        func attend(head: Int, rows: Range<Int>) {
            let count = rows.count * group
            let widens = count >= PlainKeyValueStore.queriesToWiden && store.type != .float32
            let scratch = widens ? 2 * 64 * store.headSize + 16 : 0
            withUnsafeTemporaryAllocation(
                byteCount: (2 * count * stride + scratch) * 4, alignment: 64
            ) { memory in
                let partials = memory.baseAddress!.assumingMemoryBound(to: Float.self)
                let others = partials + count * stride
                let widened = widens ? others + count * stride : nil
                let segments = segments(rows)
                attendSegment(segments.lowerBound, head: head, rows: rows, widened: widened, into: partials)
                for segment in segments.dropFirst() {
                    attendSegment(segment, head: head, rows: rows, widened: widened, into: others)
                    kernels.merge_partials(partials, others, Int64(count), Int64(store.headSize))
                }
                finish(partials, head: head, rows: rows)
            }
        }

        /// All segments at once, for few rows: then they are merged in order.
        func bySegments(_ pool: ThreadPool) {
            let (size, segments) = (rows * group * stride, segments(0..<rows))
            withUnsafeTemporaryAllocation(
                byteCount: store.headCount * segments.count * size * 4, alignment: 64
            ) { memory in
                let partials = memory.baseAddress!.assumingMemoryBound(to: Float.self)
                pool.forEachBlock(of: store.headCount * segments.count, grain: 1) { tasks in
                    for task in tasks {
                        attendSegment(
                            segments.lowerBound + task % segments.count, head: task / segments.count, rows: 0..<rows,
                            widened: nil, into: partials + task * size)
                    }
                }
                for head in 0..<store.headCount {
                    let first = partials + head * segments.count * size
                    for segment in 1..<segments.count {
                        kernels.merge_partials(
                            first, first + segment * size, Int64(rows * group), Int64(store.headSize))
                    }
                    finish(first, head: head, rows: 0..<rows)
                }
            }
        }
    }
}

/// The keys and values of all heads at some positions that follow each other. Only a store that has it for itself
/// writes to it.
private final class KeyValueSegment: @unchecked Sendable {
    private let memory: UnsafeMutableRawPointer
    private let headCount: Int
    private let headSize: Int
    private let type: CacheType
    private let headBytes: Int

    init(headCount: Int, headSize: Int, type: CacheType) {
        self.headCount = headCount
        self.headSize = headSize
        self.type = type
        // Behind the values there is room for 16 elements, where kernels read but heed nothing.
        let elements = 2 * Int(PITH_SEGMENT) * headSize + 16
        headBytes = (elements * type.elementType.byteCount + 63) / 64 * 64
        memory = .allocate(byteCount: headCount * headBytes, alignment: 64)
    }

    deinit { memory.deallocate() }

    private var elementBytes: Int { type.elementType.byteCount }

    func head(_ head: Int) -> pith_cached_head {
        let keys = memory + head * headBytes
        return pith_cached_head(
            keys: keys, values: keys + Int(PITH_SEGMENT) * headSize * elementBytes, type: type.kernelType,
            size: Int64(headSize))
    }

    /// A segment of its own with the same first `count` positions.
    func copy(_ count: Int) -> KeyValueSegment {
        let result = KeyValueSegment(headCount: headCount, headSize: headSize, type: type)
        for index in 0..<headCount {
            let (source, target) = (head(index), result.head(index))
            let rowBytes = headSize * elementBytes
            target.keys.copyMemory(from: source.keys, byteCount: (count + 15) / 16 * 16 * rowBytes)
            target.values.copyMemory(from: source.values, byteCount: count * rowBytes)
        }
        return result
    }
}
