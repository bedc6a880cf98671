import CPithKernels
import PithCore
import PithFormats
import PithTensor

/// How the plain cache keeps the elements of keys and values.
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

/// All keys and values, as floats of 32 or 16 bits.
public struct PlainCache: CacheMethod {
    static let keys = MethodOption.choice("keys", CacheType.float16, "how keys are kept")
    static let values = MethodOption.choice("values", CacheType.float16, "how values are kept")

    /// What the catalogue says.
    public static let entry = MethodEntry(
        identifier: "plain", paper: nil,
        summary: "all keys and values as floats; --cache f32, f16 or bf16 is short for both of that type",
        options: [keys, values])

    private let keyType: CacheType
    private let valueType: CacheType

    /// Takes the options.
    public init(_ options: OptionValues) { (keyType, valueType) = (options[Self.keys], options[Self.values]) }

    /// Keys and values of one type.
    public init(_ type: CacheType) { (keyType, valueType) = (type, type) }

    /// An empty cache.
    public func makeCache(_ shape: CacheShape) -> any KeyValueCache {
        PlainKeyValueCache(shape: shape, keys: keyType, values: valueType)
    }

    /// The elements.
    public func bitsPerPosition(_ shape: CacheShape) -> Int {
        8 * shape.headCount
            * (shape.keySize * keyType.elementType.byteCount + shape.valueSize * valueType.elementType.byteCount)
    }
}

/// All keys and values that are seen, as floats of 32 or 16 bits.
///
/// They are kept in segments of a fixed number of positions. Copies of a cache share the segments that neither has
/// changed since, so that many sequences can go on from one beginning.
public struct PlainKeyValueCache: KeyValueCache {
    /// Heads, the elements of their keys and values, and the window.
    public let shape: CacheShape
    /// How keys are kept.
    public let keyType: CacheType
    /// How values are kept.
    public let valueType: CacheType
    /// Positions appended, those included that no window shows any more. Each entry stands at its position.
    public private(set) var count = 0
    private var segments: [KeyValueSegment] = []
    /// Segments in front that no window shows any more.
    private var forgotten = 0

    private static let segmentLength = Int(PITH_SEGMENT)

    /// An empty cache.
    public init(shape: CacheShape, keys: CacheType = .float16, values: CacheType = .float16) {
        (self.shape, keyType, valueType) = (shape, keys, values)
    }

    /// The first position that is held.
    private var start: Int { forgotten * Self.segmentLength }

    /// 16 or 32 bits for each element that is held, and 64 for where they begin if that is not at the beginning.
    public var storedBits: Int {
        let rowBytes = headBytes(keyType, shape.keySize) + headBytes(valueType, shape.valueSize)
        return (count - start) * shape.headCount * rowBytes * 8 + (start > 0 ? 64 : 0)
    }

    private func headBytes(_ type: CacheType, _ size: Int) -> Int { size * type.elementType.byteCount }

    /// Appends the rows, whose first position follows the last that was read.
    public mutating func append(_ rows: KeyValueRows) {
        precondition(rows.positions.lowerBound == count, "positions follow each other")
        let (kernels, keyWidth, valueWidth) = (
            kernels, shape.headCount * shape.keySize, shape.headCount * shape.valueSize
        )
        forgetWhatIsUnseen()
        var row = 0
        while row < rows.positions.count {
            let (index, position) = (count / Self.segmentLength - forgotten, count % Self.segmentLength)
            if index == segments.count {
                segments.append(KeyValueSegment(shape, keys: keyType, values: valueType))
            } else if !isKnownUniquelyReferenced(&segments[index]) {
                segments[index] = segments[index].copy(position)
            }
            let part = min(rows.positions.count - row, Self.segmentLength - position)
            for head in 0..<shape.headCount {
                var target = segments[index].head(head)
                kernels.cache_keys(
                    rows.keys + row * keyWidth + head * shape.keySize, Int64(keyWidth), Int64(part), Int64(position),
                    &target)
                kernels.cache_values(
                    rows.values + row * valueWidth + head * shape.valueSize, Int64(valueWidth), Int64(part),
                    Int64(position), &target)
            }
            row += part
            count += part
        }
    }

    /// Gives back the segments that lie before the window of the next position.
    private mutating func forgetWhatIsUnseen() {
        guard let window = shape.window else { return }
        let unseen = max(0, count + 1 - window) / Self.segmentLength
        guard unseen > forgotten else { return }
        segments.removeFirst(min(segments.count, unseen - forgotten))
        forgotten = unseen
    }

    /// Whether the window of the next position would be held whole.
    public func canTruncate(to count: Int) -> Bool {
        count <= 0 || start == 0 || count >= self.count || count + 1 - (shape.window ?? 0) >= start
    }

    /// Forgets all but the first `count` positions.
    public mutating func truncate(to count: Int) {
        self.count = min(max(0, count), self.count)
        precondition(self.count == 0 || self.count >= start, "positions behind the window are gone")
        if self.count == 0 { (segments, forgotten) = ([], 0) }
        let kept = (self.count + Self.segmentLength - 1) / Self.segmentLength - forgotten
        segments.removeLast(segments.count - kept)
    }

    /// The keys of all positions that are held, [positions, headCount, keySize], as bytes of their type.
    private func heldKeys() -> [UInt8] {
        let (size, bytes) = (shape.keySize, keyType.elementType.byteCount)
        return held(size * bytes) { head, place, target in
            for i in 0..<size {
                let key = (place / 16 * size + i) * 16 + place % 16
                (target + i * bytes).copyMemory(from: head.keys + key * bytes, byteCount: bytes)
            }
        }
    }

    /// The same of values.
    private func heldValues() -> [UInt8] {
        let bytes = headBytes(valueType, shape.valueSize)
        return held(bytes) { head, place, target in
            target.copyMemory(from: head.values + place * bytes, byteCount: bytes)
        }
    }

    /// What `copy` takes from each head at each place of a segment, `headBytes` bytes.
    private func held(
        _ headBytes: Int, _ copy: (_ head: pith_cached_head, _ place: Int, _ target: UnsafeMutableRawPointer) -> Void
    ) -> [UInt8] {
        var result = [UInt8](repeating: 0, count: (count - start) * shape.headCount * headBytes)
        result.withUnsafeMutableBytes { bytes in
            guard var target = bytes.baseAddress else { return }
            for position in start..<count {
                let segment = segments[position / Self.segmentLength - forgotten]
                for head in 0..<shape.headCount {
                    copy(segment.head(head), position % Self.segmentLength, target)
                    target += headBytes
                }
            }
        }
        return result
    }

    /// `keys` and `values`, [positions, headCount, size], in the types in which they are kept, and the position at which
    /// they `start` if it is not the first.
    public var stored: [String: StoredTensor] {
        func tensor(_ bytes: [UInt8], _ type: CacheType, _ size: Int) -> StoredTensor {
            StoredTensor(
                type: type.elementType, shape: [count - start, shape.headCount, size],
                region: ByteRegion(copying: bytes))
        }
        var tensors = [
            "keys": tensor(heldKeys(), keyType, shape.keySize),
            "values": tensor(heldValues(), valueType, shape.valueSize),
        ]
        if start > 0 { tensors["start"] = StoredTensor(integer: start) }
        return tensors
    }

    /// Takes up `keys` and `values`, of any type of floats, from position `start` on.
    public mutating func restore(_ tensors: [String: StoredTensor], position: Int) throws(PithError) {
        let (heads, keySize, valueSize) = (shape.headCount, shape.keySize, shape.valueSize)
        guard let keys = tensors["keys"], let values = tensors["values"], let rows = keys.shape.first,
            keys.shape == [rows, heads, keySize], values.shape == [rows, heads, valueSize]
        else {
            throw .data("saved keys and values do not fit \(heads) heads of \(keySize) and \(valueSize) elements")
        }
        let start = try tensors["start"]?.integer(in: 0...ModelConfiguration.sizeLimit) ?? 0
        guard start % Self.segmentLength == 0, start == 0 || shape.window != nil else {
            throw .data("saved keys and values begin at position \(start)")
        }
        guard start + rows == position else {
            throw .data("saved keys and values end at position \(start + rows), the text at \(position)")
        }
        let (decodedKeys, decodedValues) = (try keys.decoded().values, try values.decoded().values)
        truncate(to: 0)
        (forgotten, count) = (start / Self.segmentLength, start)
        guard rows > 0 else { return }
        decodedKeys.withUnsafeBufferPointer { keys in
            decodedValues.withUnsafeBufferPointer { values in
                guard let keys = keys.baseAddress, let values = values.baseAddress else { return }
                append(KeyValueRows(keys: keys, values: values, positions: start..<position))
            }
        }
    }
}

// MARK: Attention

extension PlainKeyValueCache {
    /// Queries that read each block of keys together.
    private static let queriesTogether = 48
    /// From here on it is worth while to widen a block of keys once for all queries.
    private static let queriesToWiden = 12
    /// Products that are done sooner than other threads are called.
    private static let smallWork = 1 << 15

    /// By blocks of keys and of queries, as `attention.h` says; the result of a row does not depend on others.
    public func attend(_ request: AttentionRequest, pool: ThreadPool) {
        let (rows, heads) = (request.positions.count, request.options.headCount)
        let group = heads / shape.headCount
        let block = max(1, Self.queriesTogether / group)
        let problem = AttentionProblem(
            cache: self, request: request, rows: rows, group: group,
            stride: Int(pith_partial_stride(Int64(shape.valueSize))), kernels: kernels)
        let seen = min(count, (request.options.cacheShape.window ?? count) + rows)
        let isSmall = rows * heads * seen * max(shape.keySize, shape.valueSize) < Self.smallWork
        if rows <= block, problem.segments(0..<rows).count > 1, !isSmall {
            problem.bySegments(pool)
        } else {
            // Later rows see more: they go first, so that threads end together.
            let blocks = (rows + block - 1) / block
            let (heads, tasks) = (shape.headCount, shape.headCount * blocks)
            pool.forEachBlock(of: tasks, grain: isSmall ? tasks : 1, sharing: problem) { tasks, problem in
                for task in tasks {
                    let start = (blocks - 1 - task / heads) * block
                    problem.attend(head: task % heads, rows: start..<min(rows, start + block))
                }
            }
        }
        if request.weights != nil { problem.giveWeights() }
    }

    /// One call of `attend`.
    private struct AttentionProblem {
        let cache: PlainKeyValueCache
        let request: AttentionRequest
        let rows: Int
        let group: Int
        let stride: Int
        let kernels: pith_kernels

        private var shape: CacheShape { cache.shape }
        private var window: Int? { request.options.cacheShape.window }
        private var outputWidth: Int { shape.headCount * group * shape.valueSize }

        private func queries(_ head: Int, _ rows: Range<Int>) -> pith_queries {
            let (width, options) = (shape.headCount * group * shape.keySize, request.options)
            return pith_queries(
                values: request.queries + rows.lowerBound * width + head * group * shape.keySize,
                rows: Int64(rows.count), heads: Int64(group), stride: Int64(width), scale: options.scale,
                softcap: options.softcap ?? 0, window: Int64(window ?? 0),
                bidirectional: options.isCausal ? 0 : 1)
        }

        /// Positions that row `row` sees in all.
        private func visible(_ row: Int) -> Int {
            request.options.isCausal ? cache.count - rows + row + 1 : cache.count
        }

        /// The segments of which the rows see anything.
        func segments(_ rows: Range<Int>) -> Range<Int> {
            let length = PlainKeyValueCache.segmentLength
            let first = window.map { max(0, visible(rows.lowerBound) - $0) / length } ?? 0
            return first..<max(first + 1, (visible(rows.upperBound - 1) + length - 1) / length)
        }

        private func attendSegment(
            _ segment: Int, head: Int, rows: Range<Int>, widened: UnsafeMutablePointer<Float>?,
            into partials: UnsafeMutablePointer<Float>
        ) {
            var (queries, cached) = (queries(head, rows), cache.segments[segment - cache.forgotten].head(head))
            let seen = visible(rows.lowerBound) - segment * PlainKeyValueCache.segmentLength
            kernels.attend_segment(&queries, &cached, Int64(seen), widened, partials)
        }

        private func finish(_ partials: UnsafePointer<Float>, head: Int, rows: Range<Int>) {
            var queries = queries(head, rows)
            kernels.finish_attention(
                partials, &queries, Int64(shape.valueSize),
                request.output + rows.lowerBound * outputWidth + head * group * shape.valueSize, Int64(outputWidth))
        }

        /// All segments, one after the other.
        func attend(head: Int, rows: Range<Int>) {
            let count = rows.count * group
            let isNarrow = cache.keyType != .float32 || cache.valueType != .float32
            let widens = count >= PlainKeyValueCache.queriesToWiden && isNarrow
            let scratch = widens ? 64 * (shape.keySize + shape.valueSize) + 16 : 0
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
                    kernels.merge_partials(partials, others, Int64(count), Int64(shape.valueSize))
                }
                finish(partials, head: head, rows: rows)
            }
        }

        /// All segments at once, for few rows: then they are merged in order.
        func bySegments(_ pool: ThreadPool) {
            let (size, segments) = (rows * group * stride, segments(0..<rows))
            withUnsafeTemporaryAllocation(
                byteCount: shape.headCount * segments.count * size * 4, alignment: 64
            ) { memory in
                let partials = memory.baseAddress!.assumingMemoryBound(to: Float.self)
                pool.forEachBlock(
                    of: shape.headCount * segments.count, grain: 1, sharing: self, partials
                ) { tasks, problem, partials in
                    for task in tasks {
                        problem.attendSegment(
                            segments.lowerBound + task % segments.count, head: task / segments.count,
                            rows: 0..<problem.rows, widened: nil, into: partials + task * size)
                    }
                }
                for head in 0..<shape.headCount {
                    let first = partials + head * segments.count * size
                    for segment in 1..<segments.count {
                        kernels.merge_partials(
                            first, first + segment * size, Int64(rows * group), Int64(shape.valueSize))
                    }
                    finish(first, head: head, rows: 0..<rows)
                }
            }
        }

        /// The weights of each query over all entries, one query after the other.
        func giveWeights() {
            let (options, size) = (request.options, shape.keySize)
            let keys = cache.heldKeys()
            var floats = [Float](repeating: 0, count: (cache.count - cache.start) * shape.headCount * size)
            kernels.widen(keys, cache.keyType.kernelType, Int64(floats.count), &floats)
            var weights = [Float](repeating: 0, count: cache.count - cache.start)
            for row in 0..<rows {
                let seen = max(cache.start, window.map { visible(row) - $0 } ?? 0)..<visible(row)
                for head in 0..<shape.headCount * group {
                    let query = request.queries + (row * shape.headCount * group + head) * size
                    weights.withUnsafeMutableBufferPointer { $0.update(repeating: 0) }
                    for position in seen {
                        let key = ((position - cache.start) * shape.headCount + head / group) * size
                        weights[position - cache.start] = floats.withUnsafeBufferPointer {
                            kernels.dot(query, $0.baseAddress! + key, PITH_F32, Int64(size)) * options.scale
                        }
                    }
                    weights.withUnsafeMutableBufferPointer { all in
                        let part = all.baseAddress! + (seen.lowerBound - cache.start)
                        if let cap = options.softcap { kernels.softcap(part, cap, Int64(seen.count)) }
                        let sum = kernels.exp_sum(
                            part, kernels.maximum(part, Int64(seen.count)), Int64(seen.count), part)
                        for i in 0..<seen.count { part[i] /= sum }
                        request.weights?(row, head, UnsafeBufferPointer(all))
                    }
                }
            }
        }
    }
}

/// The keys and values of all heads at some positions that follow each other. Only a cache that has it for itself
/// writes to it.
private final class KeyValueSegment: @unchecked Sendable {
    private let memory: UnsafeMutableRawPointer
    private let shape: CacheShape
    private let keyType: CacheType
    private let valueType: CacheType
    private let headBytes: Int

    init(_ shape: CacheShape, keys: CacheType, values: CacheType) {
        (self.shape, keyType, valueType) = (shape, keys, values)
        // Behind the values there is room for 16 elements, where kernels read but heed nothing.
        let bytes =
            Int(PITH_SEGMENT) * shape.keySize * keys.elementType.byteCount
            + (Int(PITH_SEGMENT) * shape.valueSize + 16) * values.elementType.byteCount
        headBytes = (bytes + 63) / 64 * 64
        memory = .allocate(byteCount: shape.headCount * headBytes, alignment: 64)
    }

    deinit { memory.deallocate() }

    func head(_ head: Int) -> pith_cached_head {
        let keys = memory + head * headBytes
        return pith_cached_head(
            keys: keys, values: keys + Int(PITH_SEGMENT) * shape.keySize * keyType.elementType.byteCount,
            key_type: keyType.kernelType, value_type: valueType.kernelType, key_size: Int64(shape.keySize),
            value_size: Int64(shape.valueSize))
    }

    /// A segment of its own with the same first `count` positions.
    func copy(_ count: Int) -> KeyValueSegment {
        let result = KeyValueSegment(shape, keys: keyType, values: valueType)
        for index in 0..<shape.headCount {
            let (source, target) = (head(index), result.head(index))
            target.keys.copyMemory(
                from: source.keys, byteCount: (count + 15) / 16 * 16 * shape.keySize * keyType.elementType.byteCount)
            target.values.copyMemory(
                from: source.values, byteCount: count * shape.valueSize * valueType.elementType.byteCount)
        }
        return result
    }
}
