import CPithKernels

/// The last step: what came of predictions like this one in the same context.
///
/// For each context, 32 points along the stretched axis learn the probability found there.
struct LeanRefiner {
    private let points: UnsafeMutablePointer<UInt16>  // [contexts, 32], probabilities of 2¹⁶
    private let mask: Int
    private var row = 0
    private var place = 0

    private static let pointCount = 32

    static func byteCount(bits: Int) -> Int { LeanArena.size(UInt16.self, pointCount << bits) }

    /// A refiner with 2^`bits` contexts that begins by changing nothing.
    init(bits: Int, tables: LeanTablePointers, arena: LeanArena) {
        points = arena.take(UInt16.self, Self.pointCount << bits)
        mask = 1 << bits - 1
        for point in 0..<Self.pointCount {
            points[point] = UInt16(tables.squash(Int32(point * 4096 / (Self.pointCount - 1)) - 2048))
        }
        for context in 1..<(1 << bits) {
            (points + context * Self.pointCount).update(from: points, count: Self.pointCount)
        }
    }

    /// Sets the context of the next prediction, modulo the number of contexts, and asks for its points.
    @inline(__always)
    mutating func choose(_ context: Int) {
        row = (context & mask) &* Self.pointCount
        pith_prefetch(points + row, 1)
    }

    /// The probability of 2¹⁶ found for a stretched prediction.
    @inline(__always)
    mutating func refine(_ stretched: Int32) -> UInt32 {
        let scaled = (min(max(stretched, -LeanTables.limit), LeanTables.limit) &+ 2048) &* Int32(Self.pointCount - 1)
        let (point, fraction) = (Int(scaled &>> 12), UInt32(truncatingIfNeeded: scaled &>> 5) & 127)
        let base = row &+ point
        place = base &+ Int(fraction &>> 6)
        return (UInt32(points[base]) &* (128 &- fraction) &+ UInt32(points[base &+ 1]) &* fraction) &>> 7
    }

    /// Learns the bit that was predicted: the nearer of the two points moves.
    @inline(__always)
    func update(_ bit: Int) {
        let old = Int32(points[place])
        points[place] = UInt16(truncatingIfNeeded: old &+ ((bit == 1 ? 65535 : 0) &- old) &>> 6)
    }
}
