import PithCoding

/// Secondary estimation: corrects a prediction by what came of predictions like it in the same context.
///
/// As `AdaptiveProbabilityMap`, over tables that begin as zeros, since most contexts of a large table are never seen.
struct Refinement {
    private static let points = 33
    // [contexts, points]: what is added to the curve that changes nothing.
    private let corrections: UnsafeMutablePointer<Int16>
    private let curve: UnsafeMutablePointer<Int32>
    private let rate: Int32
    private var place = 0
    private var upperShare: Int32 = 0
    private let contexts: Int

    /// A map for `contexts` contexts; each bit moves its two points by up to 2^−`rate` of their error.
    init(contexts: Int, rate: Int32, _ arena: Arena) {
        self.contexts = contexts
        self.rate = rate
        corrections = arena.allocate(contexts * Self.points)
        curve = arena.copy(
            (0..<Self.points).map { Int32(Logistic.squash((Int32($0) - 16) * 2 * Logistic.limit / 32)) })
    }

    /// The probability of 2¹⁶ found for a stretched prediction in a context.
    @inline(__always)
    mutating func refine(_ stretched: Int32, _ context: Int) -> Int32 {
        let span = 2 * Logistic.limit + 1
        let scaled = (min(max(stretched, -Logistic.limit), Logistic.limit) &+ Logistic.limit) &* 32
        let point = Int(scaled / span)
        upperShare = (scaled % span) &* 256 / span
        place = context &* Self.points &+ point
        let low = curve[point] &+ Int32(corrections[place])
        let high = curve[point &+ 1] &+ Int32(corrections[place &+ 1])
        return (low &* (256 &- upperShare) &+ high &* upperShare) &>> 8
    }

    /// Learns the bit that was predicted.
    @inline(__always)
    mutating func update(_ bit: UInt32) {
        let point = place % Self.points
        learn(place, point, bit, upperShare < 128 ? rate : rate &+ 1)
        learn(place &+ 1, point &+ 1, bit, upperShare < 128 ? rate &+ 1 : rate)
    }

    @inline(__always)
    private func learn(_ place: Int, _ point: Int, _ bit: UInt32, _ rate: Int32) {
        let value = curve[point] &+ Int32(corrections[place])
        let target: Int32 = bit == 1 ? 65535 : 0
        let moved = value &+ (target &- value &+ (1 &<< (rate &- 1))) &>> rate
        corrections[place] = Int16(truncatingIfNeeded: min(max(moved &- curve[point], -32767), 32767))
    }
}
