import PithCore

/// Shortens a sequence of tokens without loss: a run of tokens that comes again becomes one fresh token, whose
/// definition stands before the sequence (meta-tokens, in the manner of LZ77).
///
/// A shortened sequence is `meta tokens… meta tokens… end body…`: each definition is a meta-token and the run that it
/// stands for, made of plain tokens alone, so that the next meta-token ends it. A sequence without definitions is
/// itself. Meta-tokens are numbered in the order in which the body first uses them.
public struct MetaTokens: Sendable {
    /// Plain tokens are below this; it is the token that ends the definitions, and meta-tokens come behind it.
    public let vocabularySize: Int
    /// The most definitions of a sequence.
    public let metaTokenCount: Int
    /// The most tokens of a run.
    public let longestRun: Int

    /// A way to shorten sequences of tokens below `vocabularySize`.
    public init(vocabularySize: Int, metaTokenCount: Int = 256, longestRun: Int = 32) throws(PithError) {
        guard (1...1 << 24).contains(vocabularySize), (1...1 << 16).contains(metaTokenCount),
            (2...1024).contains(longestRun)
        else {
            throw .usage(
                "\(metaTokenCount) meta-tokens of up to \(longestRun) tokens over a vocabulary of \(vocabularySize)",
                remedy: "there should be 1…65536 of 2…1024 tokens, over 1…16777216")
        }
        (self.vocabularySize, self.metaTokenCount, self.longestRun) = (vocabularySize, metaTokenCount, longestRun)
    }

    /// One more than the highest token of a shortened sequence.
    public var extendedVocabularySize: Int { vocabularySize + 1 + metaTokenCount }

    private var end: Int32 { Int32(vocabularySize) }

    /// The shortened sequence, never longer than `tokens`.
    public func compress(_ tokens: [Int32]) throws(PithError) -> [Int32] {
        if let wrong = tokens.first(where: { !(0..<Int32(vocabularySize)).contains($0) }) {
            throw .usage("token \(wrong) is outside the vocabulary of \(vocabularySize)")
        }
        var body = Body(tokens, firstMeta: end + 1, limit: metaTokenCount)
        // Longer runs first: what they leave is offered to the shorter ones.
        for length in stride(from: min(longestRun, tokens.count / 2), to: 1, by: -1) { body.replaceRuns(of: length) }
        // The end of the definitions takes a token too.
        guard body.saving > 1 else { return tokens }
        return body.sequence(end: end)
    }

    /// The sequence that was shortened.
    public func expand(_ sequence: [Int32]) throws(PithError) -> [Int32] {
        guard let first = sequence.first, isMeta(first) else { return try plain(sequence[...]) }
        guard let bodyStart = sequence.firstIndex(of: end) else {
            throw .data("the definitions have no end", remedy: "token \(end) should stand behind them")
        }
        var runs: [Int32: ArraySlice<Int32>] = [:]
        var rest = sequence[..<bodyStart]
        while let meta = rest.popFirst() {
            let run = rest.prefix { !isMeta($0) }
            guard isMeta(meta), runs[meta] == nil, (2...longestRun).contains(run.count) else {
                throw .data(
                    "the definition of token \(meta) is wrong", remedy: "it should be new, of 2…\(longestRun) tokens")
            }
            runs[meta] = try plain(run)[...]
            rest = rest[(run.endIndex)...]
        }
        var tokens: [Int32] = []
        for token in sequence[(bodyStart + 1)...] {
            if let run = runs[token] { tokens += run } else { tokens += try plain([token]) }
        }
        return tokens
    }

    private func isMeta(_ token: Int32) -> Bool { token > end && token < extendedVocabularySize }

    private func plain(_ tokens: ArraySlice<Int32>) throws(PithError) -> [Int32] {
        if let wrong = tokens.first(where: { !(0..<end).contains($0) }) {
            throw .data("token \(wrong) is neither plain nor defined")
        }
        return Array(tokens)
    }
}

/// A sequence while runs of it are replaced.
private struct Body {
    private var tokens: [Int32]
    private let firstMeta: Int32
    private let limit: Int
    private var runs: [[Int32]] = []
    /// Tokens that the definitions and replacements save so far.
    private(set) var saving = 0

    init(_ tokens: [Int32], firstMeta: Int32, limit: Int) {
        (self.tokens, self.firstMeta, self.limit) = (tokens, firstMeta, limit)
    }

    /// Tokens saved when a run occurs `count` times: its definition takes the run and its meta-token.
    private static func saving(_ length: Int, count: Int) -> Int { count * (length - 1) - (length + 1) }

    /// Replaces runs of one length where that saves tokens, the one that saves the most first.
    mutating func replaceRuns(of length: Int) {
        guard runs.count < limit, tokens.count >= 2 * length else { return }
        let order = repeatedRuns(of: length).sorted { $0.count != $1.count ? $0.count > $1.count : $0[0] < $1[0] }
        // The token that a replaced run becomes stands at its beginning, -1 at its other places.
        for places in order where runs.count < limit {
            let free = places.filter { place in
                (place..<place + length).allSatisfy { (0..<firstMeta).contains(tokens[$0]) }
            }
            guard Self.saving(length, count: free.count) > 0 else { continue }
            saving += Self.saving(length, count: free.count)
            let run = Array(tokens[free[0]..<free[0] + length])
            for place in free {
                tokens[place] = firstMeta + Int32(runs.count)
                for inner in place + 1..<place + length { tokens[inner] = -1 }
            }
            runs.append(run)
        }
        tokens.removeAll { $0 < 0 }
    }

    /// The places of each run of plain tokens that is worth a definition, none overlapping another of the same run.
    private func repeatedRuns(of length: Int) -> [[Int]] {
        let starts = hashedStarts(of: length).sorted()
        var (found, first) = ([[Int]](), 0)
        while first < starts.count {
            var (places, next) = ([starts[first].place], first + 1)
            let run = tokens[places[0]..<places[0] + length]
            while next < starts.count, starts[next].hash == starts[first].hash {
                let place = starts[next].place
                // Other runs may have the same hash; they are left alone.
                if place >= places[places.count - 1] + length, tokens[place..<place + length] == run {
                    places.append(place)
                }
                next += 1
            }
            if Self.saving(length, count: places.count) > 0 { found.append(places) }
            first = next
        }
        return found
    }

    private struct HashedStart: Comparable {
        var hash: UInt64
        var place: Int
        static func < (a: Self, b: Self) -> Bool { a.hash != b.hash ? a.hash < b.hash : a.place < b.place }
    }

    /// Where runs of plain tokens begin, with a hash of each that is rolled along.
    private func hashedStarts(of length: Int) -> [HashedStart] {
        let factor: UInt64 = 0x9E37_79B9_7F4A_7C15
        let leaving = (0..<length).reduce(UInt64(1)) { power, _ in power &* factor }
        var (starts, hash, plain) = ([HashedStart](), UInt64(0), 0)
        for end in tokens.indices {
            plain = tokens[end] < firstMeta ? plain + 1 : 0
            hash = hash &* factor &+ UInt64(tokens[end] + 1)
            if end >= length { hash &-= UInt64(tokens[end - length] + 1) &* leaving }
            if plain >= length { starts.append(HashedStart(hash: hash, place: end + 1 - length)) }
        }
        return starts
    }

    /// The definitions and the body, meta-tokens renumbered in the order of their first use.
    func sequence(end: Int32) -> [Int32] {
        var (numbers, definitions, body) = ([Int32: Int32](), [Int32](), [Int32]())
        for token in tokens {
            guard token >= firstMeta else {
                body.append(token)
                continue
            }
            let number = numbers[token] ?? firstMeta + Int32(numbers.count)
            if numbers.updateValue(number, forKey: token) == nil {
                definitions += [number] + runs[Int(token - firstMeta)]
            }
            body.append(number)
        }
        return definitions + [end] + body
    }
}
