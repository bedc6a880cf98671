import PithCore
import PithModels
import PithTensor
import Testing

@Suite("Sampling")
struct SamplerTests {
    private let logits: [Float] = [1, 3, 2, -1, 2.5]

    private func draw(_ options: SamplingOptions, _ count: Int, after history: [Int] = []) -> [Int: Int] {
        var sampler = Sampler(options)
        var counts: [Int: Int] = [:]
        for _ in 0..<count { counts[sampler.next(logits, after: history), default: 0] += 1 }
        return counts
    }

    @Test func greedyTakesTheMostLikely() throws {
        #expect(draw(try SamplingOptions(temperature: 0), 10) == [1: 10])
    }

    @Test func frequenciesFollowTheDistribution() throws {
        let counts = draw(try SamplingOptions(temperature: 0.7, minP: 0, seed: 3), 20000)
        let weights = logits.map { exponential(Double($0) / 0.7) }
        for (token, weight) in weights.enumerated() {
            let share = weight / weights.reduce(0, +)
            let deviation = (share * (1 - share) / 20000).squareRoot()
            #expect(abs(Double(counts[token] ?? 0) / 20000 - share) < 5 * deviation + 1e-4)
        }
    }

    @Test func filtersKeepOnlyTheLikely() throws {
        #expect(Set(draw(try SamplingOptions(temperature: 1, topK: 2, minP: 0), 500).keys) == [1, 4])
        // The most likely token has 0.46, the next 0.28.
        #expect(Set(draw(try SamplingOptions(temperature: 1, topP: 0.5, minP: 0), 500).keys) == [1, 4])
        #expect(Set(draw(try SamplingOptions(temperature: 1, topP: 0.4, minP: 0), 500).keys) == [1])
        // e^-1 = 0.37 of the most likely one.
        #expect(Set(draw(try SamplingOptions(temperature: 1, minP: 0.3), 500).keys) == [1, 2, 4])
    }

    /// The tokens that pass the filters, by their definition: everything sorted.
    private func kept(_ logits: [Float], _ options: SamplingOptions) -> Set<Int> {
        let best = logits.max() ?? 0
        var all = logits.enumerated().map {
            (token: $0.offset, weight: exponential(Double($0.element - best) / Double(options.temperature)))
        }
        all.sort { $0.weight > $1.weight }
        if options.topK > 0 { all = Array(all.prefix(options.topK)) }
        let total = all.reduce(0) { $0 + $1.weight }
        var (sum, result) = (0.0, Set<Int>())
        for candidate in all where sum < Double(options.topP) * total || options.topP == 1 {
            sum += candidate.weight
            if candidate.weight >= Double(options.minP) { result.insert(candidate.token) }
        }
        return result
    }

    @Test func aLargeVocabularyIsNotSortedButFilteredAlike() throws {
        var generator = SeededGenerator(seed: 11)
        for (topK, topP, minP) in [
            (0, 1, 0.05), (20, 1, 0), (900, 0.9, 0), (0, 0.9, 0), (0, 0.5, 0.01), (5, 0.8, 0.3), (20000, 1, 0),
        ] as [(Int, Float, Float)] {
            for spread in [0.5, 3] as [Float] {
                let logits = (0..<20000).map { _ in generator.normal() * spread }
                let options = try SamplingOptions(temperature: 0.7, topK: topK, topP: topP, minP: minP, seed: 1)
                let allowed = kept(logits, options)
                var (sampler, drawn) = (Sampler(options), Set<Int>())
                for _ in 0..<60 { drawn.insert(sampler.next(logits, after: [])) }
                #expect(drawn.isSubset(of: allowed), "\(topK) \(topP) \(minP) \(spread)")
                #expect(drawn.count > 1 || allowed.count == 1)
                var greedy = Sampler(try SamplingOptions(temperature: 0))
                #expect(greedy.next(logits, after: []) == logits.firstIndex(of: logits.max() ?? 0))
            }
        }
    }

    @Test func repetitionIsPenalised() throws {
        let options = try SamplingOptions(temperature: 0, repetitionPenalty: 2)
        #expect(draw(options, 1, after: [1]) == [4: 1])
        #expect(draw(options, 1, after: [1, 4]) == [2: 1])
    }

    @Test func theSeedDecides() throws {
        let model = try openRandomModel("grouped-untied")
        func text(_ seed: UInt64) throws -> [Int] {
            let options = try SamplingOptions(temperature: 1, minP: 0, seed: seed)
            var tokens = try GeneratedTokens(model, after: [5], options: options, maximumCount: 20)
            return try tokens.rest()
        }
        #expect(try text(1) == text(1))
        #expect(try text(1) != text(2))
    }

    @Test func theContextEndsTheText() throws {
        let model = try openRandomModel("grouped-untied")
        let options = try SamplingOptions(temperature: 1, minP: 0, seed: 5)
        var written = try GeneratedTokens(model, after: [5], options: options)
        #expect(try written.rest().count <= model.configuration.contextLength)
    }

    @Test func optionsOutOfRangeAreWrongCalls() {
        func refused(_ make: () throws(PithError) -> SamplingOptions) {
            #expect(throws: PithError.self) { try make() }
        }
        refused { () throws(PithError) in try SamplingOptions(temperature: -1) }
        refused { () throws(PithError) in try SamplingOptions(topK: -1) }
        refused { () throws(PithError) in try SamplingOptions(topP: 0) }
        refused { () throws(PithError) in try SamplingOptions(minP: 2) }
        refused { () throws(PithError) in try SamplingOptions(repetitionPenalty: 0) }
    }
}
