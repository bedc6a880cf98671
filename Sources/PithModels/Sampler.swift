import CPithKernels
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
        guard !logits.isEmpty else { return 0 }
        let logits = penalized(logits, history)
        let best = kernels.maximum(logits, Int64(logits.count))
        guard options.temperature > 0 else { return logits.firstIndex(of: best) ?? 0 }
        let candidates = likely(logits, best)
        var threshold = generator.uniform() * candidates.reduce(0) { $0 + $1.weight }
        for candidate in candidates {
            threshold -= candidate.weight
            if threshold < 0 { return candidate.token }
        }
        return candidates.last?.token ?? 0
    }

    private func penalized(_ logits: [Float], _ history: some Sequence<Int>) -> [Float] {
        guard options.repetitionPenalty != 1 else { return logits }
        var logits = logits
        var wasSeen = [Bool](repeating: false, count: logits.count)
        for token in history where logits.indices.contains(token) && !wasSeen[token] {
            wasSeen[token] = true
            let penalized =
                logits[token] < 0
                ? logits[token] * options.repetitionPenalty : logits[token] / options.repetitionPenalty
            // Small penalties may lead beyond all numbers.
            let limit = Float.greatestFiniteMagnitude
            logits[token] = min(max(penalized, -limit), limit)
        }
        return logits
    }

    private typealias Candidate = (token: Int, weight: Float)

    /// The tokens that pass all filters, with weights relative to the most likely one: by token, or most likely first
    /// where the filters ask for an order.
    private func likely(_ logits: [Float], _ best: Float) -> [Candidate] {
        if options.topK > 0 { return likelyOfTop(logits, best) }
        guard options.topP < 1 else { return candidates(logits, best, atLeast: options.minP) }
        var total: Float = 0
        withUnsafeTemporaryAllocation(of: Float.self, capacity: logits.count) { scaled in
            for i in logits.indices { scaled[i] = (logits[i] - best) / options.temperature }
            total = kernels.exp_sum(scaled.baseAddress!, 0, Int64(logits.count), scaled.baseAddress!)
        }
        // Sorting is the dear part: few tokens usually have the probability that is asked for.
        var bound: Float = 1
        while true {
            bound = bound < 1e-6 ? options.minP : max(bound / 32, options.minP)
            let found = candidates(logits, best, atLeast: bound)
            let sum = found.reduce(0) { $0 + $1.weight }
            if bound <= options.minP || sum > options.topP * total * 1.0001 {
                return mostLikely(found, of: total)
            }
        }
    }

    /// With `topK`: probabilities are shares of what the most likely tokens have together.
    private func likelyOfTop(_ logits: [Float], _ best: Float) -> [Candidate] {
        var candidates = topLogits(logits).map {
            (token: $0, weight: exponential((logits[$0] - best) / options.temperature))
        }
        sort(&candidates)
        candidates.removeLast(max(0, candidates.count - options.topK))
        let kept =
            options.topP < 1 ? mostLikely(candidates, of: candidates.reduce(0) { $0 + $1.weight }) : candidates
        return kept.filter { $0.weight >= options.minP }
    }

    /// The tokens of at least the weight `bound`, by token.
    private func candidates(_ logits: [Float], _ best: Float, atLeast bound: Float) -> [Candidate] {
        // A little below the logit that has this weight, so that rounding leaves none out.
        let lowest =
            bound > 0 ? best + options.temperature * (Float(naturalLogarithm(Double(bound))) - 1e-3) : -.infinity
        var result: [Candidate] = []
        for token in logits.indices where logits[token] >= lowest {
            let weight = exponential((logits[token] - best) / options.temperature)
            if weight >= bound { result.append((token, weight)) }
        }
        return result
    }

    /// Candidates, most likely first, up to the one that makes their share of `total` reach `topP`.
    private func mostLikely(_ candidates: [Candidate], of total: Float) -> [Candidate] {
        var candidates = candidates
        sort(&candidates)
        var (sum, kept): (Float, Int) = (0, 0)
        while kept < candidates.count, sum < options.topP * total {
            sum += candidates[kept].weight
            kept += 1
        }
        candidates.removeLast(candidates.count - min(max(kept, 1), candidates.count))
        return candidates
    }

    private func sort(_ candidates: inout [Candidate]) {
        candidates.sort { $0.weight != $1.weight ? $0.weight > $1.weight : $0.token < $1.token }
    }

    /// Tokens among which are the `topK` with the largest logits, and not many more.
    ///
    /// As many blocks of logits as are asked for have a maximum of at least the k-th largest of all maxima, so that
    /// all of the top have at least this logit.
    private func topLogits(_ logits: [Float]) -> [Int] {
        let block = 64
        let kernels = kernels
        let maxima = stride(from: 0, to: logits.count, by: block).map { start in
            logits.withUnsafeBufferPointer {
                kernels.maximum($0.baseAddress! + start, Int64(min(block, logits.count - start)))
            }
        }
        guard options.topK < maxima.count else { return Array(logits.indices) }
        let bound = maxima.sorted(by: >)[options.topK - 1]
        return logits.indices.filter { logits[$0] >= bound }
    }
}
