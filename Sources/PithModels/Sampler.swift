import PithCore
import PithTensor

/// How the next token is chosen from logits.
public struct SamplingOptions: Sendable {
    /// Logits are divided by this; 0 always takes the most likely token.
    public var temperature: Float
    /// Only so many of the most likely tokens are considered; 0 for all.
    public var topK: Int
    /// Only the most likely tokens that together have this probability; 1 for all.
    public var topP: Float
    /// Only tokens at least this share as likely as the most likely one; 0 for all.
    public var minP: Float
    /// Logits of tokens seen before are divided by this if positive, multiplied if negative; 1 for no penalty.
    public var repetitionPenalty: Float
    /// The seed of all choices.
    public var seed: UInt64

    /// Creates options, checking their ranges.
    public init(
        temperature: Float = 0.8, topK: Int = 0, topP: Float = 1, minP: Float = 0.05, repetitionPenalty: Float = 1,
        seed: UInt64 = 0
    ) throws(PithError) {
        func check(_ holds: Bool, _ name: String, _ range: String) throws(PithError) {
            if !holds { throw .usage("out of range", at: "option --\(name)", remedy: "it should be \(range)") }
        }
        try check(temperature >= 0 && temperature.isFinite, "temperature", "0 (greedy) or more")
        try check(topK >= 0, "top-k", "0 (all) or more")
        try check(topP > 0 && topP <= 1, "top-p", "above 0, at most 1 (all)")
        try check(minP >= 0 && minP <= 1, "min-p", "between 0 (all) and 1")
        try check(repetitionPenalty > 0 && repetitionPenalty.isFinite, "repetition-penalty", "above 0; 1 is none")
        self.temperature = temperature
        self.topK = topK
        self.topP = topP
        self.minP = minP
        self.repetitionPenalty = repetitionPenalty
        self.seed = seed
    }
}

/// Chooses tokens one after the other.
public struct Sampler: Sendable {
    /// The options.
    public let options: SamplingOptions
    private var generator: SeededGenerator

    /// A sampler at the beginning of its random sequence.
    public init(_ options: SamplingOptions) {
        self.options = options
        generator = SeededGenerator(seed: options.seed)
    }

    /// The next token, given logits, [vocabulary], and the tokens before.
    public mutating func next(_ logits: [Float], after history: some Sequence<Int>) -> Int {
        let logits = penalized(logits, history)
        guard options.temperature > 0 else { return logits.indices.max { logits[$0] < logits[$1] } ?? 0 }
        let candidates = likely(logits)
        var threshold = generator.uniform() * candidates.reduce(0) { $0 + $1.weight }
        for candidate in candidates {
            threshold -= candidate.weight
            if threshold < 0 { return candidate.token }
        }
        return candidates[candidates.count - 1].token
    }

    private func penalized(_ logits: [Float], _ history: some Sequence<Int>) -> [Float] {
        guard options.repetitionPenalty != 1 else { return logits }
        var logits = logits
        for token in Set(history) where logits.indices.contains(token) {
            logits[token] *= logits[token] < 0 ? options.repetitionPenalty : 1 / options.repetitionPenalty
        }
        return logits
    }

    /// The tokens that pass all filters, with weights relative to the most likely one.
    private func likely(_ logits: [Float]) -> [(token: Int, weight: Float)] {
        let best = logits.max() ?? 0
        var candidates = logits.enumerated().map {
            (token: $0.offset, weight: exponential(($0.element - best) / options.temperature))
        }
        // Sorting is the dear part. What min-p drops need not be sorted, unless it counts for the sum of the top k.
        var total = candidates.reduce(0) { $0 + $1.weight }
        if options.topK == 0 || options.topP == 1 { candidates.removeAll { $0.weight < options.minP } }
        guard options.topK > 0 || options.topP < 1 else { return candidates }
        candidates.sort { $0.weight != $1.weight ? $0.weight > $1.weight : $0.token < $1.token }
        if options.topK > 0 {
            candidates.removeLast(max(0, candidates.count - options.topK))
            total = candidates.reduce(0) { $0 + $1.weight }
        }
        if options.topP < 1 {
            var (sum, kept): (Float, Int) = (0, 0)
            while kept < candidates.count, sum < options.topP * total {
                sum += candidates[kept].weight
                kept += 1
            }
            candidates.removeLast(candidates.count - max(kept, 1))
        }
        candidates.removeAll { $0.weight < options.minP }
        return candidates
    }
}
