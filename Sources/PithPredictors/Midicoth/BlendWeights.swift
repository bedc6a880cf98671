/// How far to trust a model over what stands below it: p ← λ · q + (1 − λ) · p, with a λ for each class of evidence.
///
/// Each λ is the mean share that the model had in the bytes that came, λ · q / (λ · q + (1 − λ) · p) for each: the
/// on-line form of expectation maximisation. Nothing but counting, and whole numbers alone.
package struct BlendWeights {
    // λ with 22 bits, and how many bytes moved it with 10.
    private var cells: [UInt32]
    private static let countLimit: UInt32 = 400
    private static let bound: Int64 = 1 << 8

    /// Weights that begin at `initial` of 2¹⁶.
    package init(initial: [UInt32]) { cells = initial.map { min(max($0, 64), 65472) << 16 | 6 } }

    /// The λ of a class, of 2¹⁶; below 2¹⁶.
    @inline(__always)
    package subscript(cell: Int) -> UInt64 { UInt64(cells[cell] &>> 16) }

    /// Learns from a byte that had the share `upper` of 2³² in the model and `lower` in what stands below. Gives what
    /// it had in the blend.
    @inline(__always)
    package mutating func learn(_ cell: Int, upper: UInt64, lower: UInt64) -> UInt64 {
        let (state, weight) = (cells[cell], self[cell])
        let above = weight &* upper
        let blended = max(1, (above &+ (65536 &- weight) &* lower) &>> 16)
        let share = Int64(truncatingIfNeeded: (above &>> 16) &* (1 << 22 - 1) / blended)
        let (count, estimate) = (state & 1023, Int64(state &>> 10))
        let moved = estimate &+ (share &- estimate) / Int64(count &+ 2)
        let bounded = min(max(moved, Self.bound), 1 << 22 - Self.bound)
        cells[cell] = UInt32(truncatingIfNeeded: bounded) &<< 10 | min(count &+ 1, Self.countLimit)
        return blended
    }
}
