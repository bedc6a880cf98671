/// Secondary estimation: corrects a prediction by what came of predictions like it in the same context.
///
/// For each context, 33 points along the stretched axis learn the probability found there; between points the map is
/// linear.
public struct AdaptiveProbabilityMap: Sendable {
    private static let points = 33
    // [contexts, points], probabilities of 2¹⁶.
    private var map: [UInt16]
    private var place = 0
    private let rate: UInt16

    /// A map of `contexts` contexts that begins by changing nothing; each bit moves a point by 2^−`rate` of its error.
    public init(contexts: Int, rate: UInt16 = 6) {
        precondition(contexts > 0 && (1...15).contains(rate), "\(contexts) contexts, rate \(rate)")
        let row = (0..<Self.points).map { point in
            UInt16(Logistic.squash(Int32(point - Self.points / 2) * 2 * Logistic.limit / Int32(Self.points - 1)))
        }
        map = (0..<contexts).flatMap { _ in row }
        self.rate = rate
    }

    /// The probability of 2¹⁶, in 1..<2¹⁶, found for a stretched prediction in a context.
    @inline(__always)
    public mutating func refine(stretched: Int32, context: Int) -> UInt32 {
        let span = 2 * Logistic.limit + 1
        let scaled = (min(max(stretched, -Logistic.limit), Logistic.limit) + Logistic.limit) * Int32(Self.points - 1)
        let (point, fraction) = (scaled / span, UInt32(scaled % span))
        let base = context * Self.points + Int(point)
        let (low, high) = (UInt32(map[base]), UInt32(map[base + 1]))
        place = 2 * fraction < UInt32(span) ? base : base + 1
        return max(1, (low * (UInt32(span) - fraction) + high * fraction) / UInt32(span))
    }

    /// Learns the bit that was predicted: the nearer of the two points moves.
    @inline(__always)
    public mutating func update(_ bit: Bool) {
        if bit { map[place] += (.max - map[place]) >> rate } else { map[place] -= map[place] >> rate }
    }
}
