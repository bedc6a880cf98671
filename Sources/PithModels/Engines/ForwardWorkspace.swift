import PithCore
import PithTensor
import Synchronization

/// The memory of a forward pass, used again by all layers and by the passes that follow.
///
/// Whoever generates keeps one: then a step allocates little. It may serve one pass at a time, of any model.
public final class ForwardWorkspace {
    /// What the linear operators read.
    private(set) var input = ActivationBlock()
    /// Rows of each sequence.
    private(set) var counts: [Int] = []
    /// Rows of all sequences.
    private(set) var rows = 0
    /// The position of each row in its sequence.
    private(set) var positions: [Int] = []
    // For each kind of angles, cosines and sines of all rows, [rows, rotatedSize / 2] each.
    private var angles: [(cosines: UnsafeMutablePointer<Float>, sines: UnsafeMutablePointer<Float>)] = []
    private let angleMemory = ScratchMemory()
    private let values = ScratchMemory()
    private var valueBytes = 0
    private var usedBytes = 0
    // What did not fit, until the memory is made larger.
    private var overflow: [ScratchMemory] = []
    private let hasNonFinite = Atomic(false)

    /// No memory yet.
    public init() {}

    /// Whether all values that were seen since `prepare` are finite numbers. What comes after one that is not is
    /// worthless, though it may look well: narrower forms hide it.
    public var isFinite: Bool { !hasNonFinite.load(ordering: .relaxed) }

    /// Looks at values for `isFinite`; any thread may.
    func see(_ values: UnsafePointer<Float>, count: Int) {
        if !areFinite(values, count: count) { hasNonFinite.store(true, ordering: .relaxed) }
    }

    /// The block that linear operators read, for inputs of some precision.
    func block(_ precision: ActivationPrecision) -> ActivationBlock {
        if input.precision != precision { input = ActivationBlock(precision: precision) }
        return input
    }

    /// Room for a value of `count` floats, on a boundary of 64 bytes, until `releaseValues`.
    func takeValue(_ count: Int) -> UnsafeMutablePointer<Float> {
        let size = (count * 4 + 63) / 64 * 64
        defer { usedBytes += size }
        if usedBytes + size <= valueBytes {
            return (values.reserve(valueBytes) + usedBytes).assumingMemoryBound(to: Float.self)
        }
        let memory = ScratchMemory()
        overflow.append(memory)
        return memory.reserve(size).assumingMemoryBound(to: Float.self)
    }

    /// Ends the life of all values; then there is room for as many again.
    func releaseValues() {
        if !overflow.isEmpty {
            overflow.removeAll()
            valueBytes = max(valueBytes, usedBytes)
            _ = values.reserve(valueBytes)
        }
        usedBytes = 0
    }

    /// Gets ready for `counts[s]` rows that follow what `states[s]` holds, and looks up their angles.
    public func prepare(_ model: LanguageModel, _ counts: [Int], _ states: [SequenceState]) {
        self.counts = counts
        rows = counts.reduce(0, +)
        positions = zip(counts, states).flatMap { count, state in state.rowCount..<state.rowCount + count }
        hasNonFinite.store(false, ordering: .relaxed)
        _ = block(model.precision)
        releaseValues()
        let sizes = model.rotaries.map { (rows * $0.half + 15) / 16 * 16 }
        var next = angleMemory.reserve(8 * sizes.reduce(0, +)).assumingMemoryBound(to: Float.self)
        angles.removeAll(keepingCapacity: true)
        for (table, size) in zip(model.rotaries, sizes) {
            let (cosines, sines) = (next, next + size)
            var row = 0
            for (count, state) in zip(counts, states) {
                table.copy(
                    state.rowCount..<state.rowCount + count, cosines: cosines + row * table.half,
                    sines: sines + row * table.half)
                row += count
            }
            angles.append((cosines, sines))
            next += 2 * size
        }
    }

    /// Cosines and sines of all rows, [rows, rotatedSize / 2] each.
    func angles(
        _ rotary: RotaryID
    ) -> (cosines: UnsafeMutablePointer<Float>, sines: UnsafeMutablePointer<Float>) {
        angles[rotary.index]
    }
}
