import PithCore
import PithFormats
import PithTensor
import Synchronization

/// The buffers of a forward pass, used again by all layers and by the passes that follow.
///
/// Whoever generates keeps one: then a step allocates little. It may serve one pass at a time, of any model.
public final class ForwardWorkspace {
    /// Rows of each sequence.
    private(set) var counts: [Int] = []
    /// What the linear operators read.
    private(set) var input = ActivationBlock()
    private(set) var normalized: UnsafeMutablePointer<Float>  // [rows, hidden]
    private(set) var queries: UnsafeMutablePointer<Float>  // [rows, heads · headSize]
    private(set) var keys: UnsafeMutablePointer<Float>  // [rows, kvHeads · headSize]
    private(set) var values: UnsafeMutablePointer<Float>  // [rows, kvHeads · headSize]
    private(set) var attended: UnsafeMutablePointer<Float>  // [rows, heads · headSize]
    private(set) var gate: UnsafeMutablePointer<Float>  // [rows, intermediate]
    private(set) var up: UnsafeMutablePointer<Float>  // [rows, intermediate]
    private(set) var update: UnsafeMutablePointer<Float>  // [rows, hidden]
    private(set) var cosines: UnsafeMutablePointer<Float>  // [rows, headSize / 2]
    private(set) var sines: UnsafeMutablePointer<Float>  // [rows, headSize / 2]
    private let memory = ScratchMemory()
    private let hasNonFinite = Atomic(false)

    /// Whether all values that were seen since `prepare` are finite numbers. What comes after one that is not is
    /// worthless, though it may look well: narrower forms hide it.
    public var isFinite: Bool { !hasNonFinite.load(ordering: .relaxed) }

    /// Looks at values for `isFinite`; any thread may.
    func see(_ values: UnsafePointer<Float>, count: Int) {
        if !areFinite(values, count: count) { hasNonFinite.store(true, ordering: .relaxed) }
    }

    /// No buffers yet.
    public init() {
        let base = memory.reserve(0).assumingMemoryBound(to: Float.self)
        (normalized, queries, keys, values, attended) = (base, base, base, base, base)
        (gate, up, update, cosines, sines) = (base, base, base, base, base)
    }

    /// The block that linear operators read, for inputs of some precision.
    func block(_ precision: ActivationPrecision) -> ActivationBlock {
        if input.precision != precision { input = ActivationBlock(precision: precision) }
        return input
    }

    /// Makes room for `counts[s]` rows that follow what `states[s]` holds, and looks up their angles.
    public func prepare(_ model: LanguageModel, _ counts: [Int], _ states: [SequenceState]) {
        self.counts = counts
        hasNonFinite.store(false, ordering: .relaxed)
        _ = block(model.precision)
        let c = model.configuration
        let rows = counts.reduce(0, +)
        let (queryWidth, keyWidth) = (c.headCount * c.headSize, c.keyValueHeadCount * c.headSize)
        // Each buffer begins on a boundary of 64 bytes.
        let widths = [
            c.hiddenSize, queryWidth, keyWidth, keyWidth, queryWidth, c.intermediateSize, c.intermediateSize,
            c.hiddenSize, c.headSize / 2, c.headSize / 2,
        ]
        let rooms = widths.map { (rows * $0 + 15) / 16 * 16 }
        var next = memory.reserve(rooms.reduce(0, +) * 4).assumingMemoryBound(to: Float.self)
        let starts = rooms.map { room in
            defer { next += room }
            return next
        }
        (normalized, queries, keys, values, attended) = (starts[0], starts[1], starts[2], starts[3], starts[4])
        (gate, up, update, cosines, sines) = (starts[5], starts[6], starts[7], starts[8], starts[9])
        var row = 0
        for (count, state) in zip(counts, states) {
            let offset = row * c.headSize / 2
            model.rotation.copy(
                state.position..<state.position + count, cosines: cosines + offset, sines: sines + offset)
            row += count
        }
    }
}
