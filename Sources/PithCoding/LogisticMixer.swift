/// Mixes the predictions of several models in the logistic domain, with weights that learn which of them to trust.
///
/// p = squash(Σ wᵢ · stretch(pᵢ)), and after each bit wᵢ moves by rate · (bit − p) · stretch(pᵢ). All of it is whole
/// numbers: weights have 16 bits behind the point and stay within ±8.
public struct LogisticMixer: Sendable {
    /// The number of predictions that are mixed.
    public let inputCount: Int
    // [sets, inputCount].
    private var weights: [Int32]
    private var inputs: [Int32]
    private var set = 0
    private var output: UInt32 = 1 << 15
    private let rate: Int32

    private static let weightLimit: Int32 = 8 << 16

    /// A mixer of `inputs` predictions with `sets` sets of weights, of which a context chooses one for each bit.
    /// All weights begin as `weight` of 2¹⁶, by default the mean; `rate`, 1 to 1024, says how fast they learn.
    public init(inputs: Int, sets: Int = 1, weight: Int32? = nil, rate: Int32 = 20) {
        precondition(inputs > 0 && sets > 0 && (1...1024).contains(rate), "\(inputs) inputs, \(sets) sets")
        inputCount = inputs
        self.rate = rate
        weights = [Int32](repeating: weight ?? Int32(65536 / inputs), count: inputs * sets)
        self.inputs = [Int32](repeating: 0, count: inputs)
    }

    /// Says what model `index` predicts for the next bit: a stretched value within ±`Logistic.limit`.
    @inline(__always)
    public mutating func setInput(_ index: Int, stretched value: Int32) { inputs[index] = value }

    /// The mixed prediction of a set of weights, stretched; its squashed value is kept for `update`.
    @inline(__always)
    public mutating func mix(set chosen: Int = 0) -> Int32 {
        set = chosen
        var sum: Int64 = 0
        let base = chosen * inputCount
        for i in 0..<inputCount { sum &+= Int64(inputs[i]) &* Int64(weights[base &+ i]) }
        let limit = Int64(Logistic.limit)
        let mixed = Int32(truncatingIfNeeded: min(max(sum >> 16, -limit), limit))
        output = Logistic.squash(mixed)
        return mixed
    }

    /// Learns the bit that `mix` predicted.
    @inline(__always)
    public mutating func update(_ bit: Bool) {
        // The error has 16 bits behind the point, a stretched input 8.
        let error = ((bit ? 65535 : 0) - Int32(output)) &* rate
        let base = set * inputCount
        for i in 0..<inputCount {
            let step = Int32(truncatingIfNeeded: (Int64(inputs[i]) &* Int64(error) &+ (1 << 21)) >> 22)
            weights[base &+ i] = min(max(weights[base &+ i] &+ step, -Self.weightLimit), Self.weightLimit)
        }
    }
}
