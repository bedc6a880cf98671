import PithCore
import PithFormats
import PithTensor

/// The keys and values that one attention keeps of a sequence, however it keeps them.
///
/// Positions are not places: a cache may leave entries out, merge or move them, as long as each row sees only what
/// stands at its own position or before it. How far the sequence was read is told by `SequenceState`, not by a cache.
///
/// A way of keeping them is one file with a `CacheMethod` and its cache, and one line in `CacheCatalogue.all`.
public protocol KeyValueCache: Sendable {
    /// Exactly how many bits all that is held occupies.
    var storedBits: Int { get }
    /// Whether `append` is to be given keys as they were before rotation, too.
    var wantsUnrotatedKeys: Bool { get }

    /// Takes in the keys and values of positions that follow those read before.
    mutating func append(_ rows: KeyValueRows)

    /// Attends for the positions that were appended last.
    mutating func attend(_ request: AttentionRequest, pool: ThreadPool)

    /// Told behind each `attend`: where in the text it ended, with the queries still at hand. Here a cache may drop,
    /// merge or round what it holds.
    mutating func finish(_ stage: ReadingStage, _ request: AttentionRequest)

    /// Whether all that the position behind the first `count` sees would still be held.
    func canTruncate(to count: Int) -> Bool

    /// Forgets all but the first `count` positions read.
    mutating func truncate(to count: Int)

    /// All that is held as tensors, to be saved.
    var stored: [String: StoredTensor] { get }

    /// Takes up what `stored` gave behind `position` positions read; replaces what is held. Throws unless it fits.
    mutating func restore(_ tensors: [String: StoredTensor], position: Int) throws(PithError)
}

extension KeyValueCache {
    /// Most caches keep keys as they are multiplied.
    public var wantsUnrotatedKeys: Bool { false }
    /// Most caches hold all that was read.
    public func canTruncate(to count: Int) -> Bool { true }
    /// Most caches have nothing to do then.
    public mutating func finish(_ stage: ReadingStage, _ request: AttentionRequest) {}
}

/// Keys and values of consecutive positions.
public struct KeyValueRows {
    /// Rotated keys, [positions, headCount · keySize].
    public var keys: UnsafePointer<Float>
    /// Keys before rotation, of the same shape; nil unless the cache wants them, or where nothing is rotated.
    public var unrotatedKeys: UnsafePointer<Float>?
    /// Values, [positions, headCount · valueSize].
    public var values: UnsafePointer<Float>
    /// Where they stand in the text.
    public var positions: Range<Int>

    /// Rows.
    public init(
        keys: UnsafePointer<Float>, unrotatedKeys: UnsafePointer<Float>? = nil, values: UnsafePointer<Float>,
        positions: Range<Int>
    ) {
        (self.keys, self.unrotatedKeys, self.values) = (keys, unrotatedKeys, values)
        self.positions = positions
    }
}

/// What is asked of a cache for the queries of some positions.
public struct AttentionRequest {
    /// Called with the weights that a query gives to all entries that the cache holds, in their order.
    public typealias WeightReader = (_ row: Int, _ head: Int, _ weights: UnsafeBufferPointer<Float>) -> Void

    /// Rotated queries, [positions, heads · keySize]; query head h reads key-value head h / (heads / headCount).
    public var queries: UnsafePointer<Float>
    /// Where they stand in the text.
    public var positions: Range<Int>
    /// Heads, scale, window and the rest.
    public var options: AttentionOptions
    /// Where the result goes, [positions, heads · valueSize].
    public var output: UnsafeMutablePointer<Float>
    /// Is given the weights of all queries if it is not nil, which costs about as much again.
    public var weights: WeightReader?

    /// A request.
    public init(
        queries: UnsafePointer<Float>, positions: Range<Int>, _ options: AttentionOptions,
        into output: UnsafeMutablePointer<Float>, weights: WeightReader? = nil
    ) {
        (self.queries, self.positions, self.options) = (queries, positions, options)
        (self.output, self.weights) = (output, weights)
    }
}

/// Where in a text a piece that was read ends.
public enum ReadingStage: Sendable {
    /// More of the prompt follows.
    case promptPart
    /// The prompt is read.
    case promptEnd
    /// It is a token that was written, or nobody said where the prompt ends.
    case continuation
}

/// A way of keeping keys and values: what a spec of the cache plane names.
public protocol CacheMethod: RegisteredMethod {
    /// An empty cache for one attention.
    func makeCache(_ shape: CacheShape) -> any KeyValueCache

    /// About how many bits a cache takes for each position that it holds: what there is no memory for is refused.
    func bitsPerPosition(_ shape: CacheShape) -> Int
}

/// All ways of keeping keys and values.
public enum CacheCatalogue {
    /// One line for each, the usual one first.
    public static let all: [any CacheMethod.Type] = [PlainCache.self]

    /// The plane.
    public static let plane = Plane(name: "cache", use: "--cache", methods: all)

    /// The method of a spec: one stage; none is the usual; and the name of a type of elements is the plain cache of
    /// that type.
    public static func method(for spec: Spec) throws(PithError) -> any CacheMethod {
        if spec.stages.isEmpty { return PlainCache(.float16) }
        let stage = try spec.onlyStage(example: "plain:keys=bf16")
        if stage.options.isEmpty, let type = CacheType(rawValue: stage.name) { return PlainCache(type) }
        let (index, options) = try stage.resolve(among: all.map { $0.entry })
        return try all[index].init(options)
    }
}
