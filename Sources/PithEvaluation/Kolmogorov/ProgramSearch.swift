import PithCore

/// Looks for a short program that makes a given sequence, by asking of each operation what its parts would have to
/// make: deduction from the output, not enumeration of programs.
struct ProgramSearch {
    /// A program and its bits under the prior.
    struct Found {
        var program: SequenceProgram
        var bits: Double
    }

    /// Sequences that may be looked at.
    private var budget: Int
    private var known: [Key: Found] = [:]

    private struct Key: Hashable {
        var sequence: [UInt8]
        var depth: Int
    }

    init(budget: Int = 2000) { self.budget = budget }

    /// The shortest program found; `bytes` itself where nothing is better.
    mutating func program(for sequence: [UInt8], depth: Int = 4) throws(PithError) -> Found {
        let key = Key(sequence: sequence, depth: depth)
        if let found = known[key] { return found }
        var best = try leaf(sequence)
        budget -= 1
        if depth > 0, budget > 0, sequence.count > 2 {
            for candidate in try candidates(sequence, depth: depth - 1, below: best.bits) {
                let bits = try candidate.priorBits()
                if bits < best.bits { best = Found(program: candidate, bits: bits) }
            }
        }
        known[key] = best
        return best
    }

    /// A range, one with a value xored to it, or the bytes.
    private func leaf(_ s: [UInt8]) throws(PithError) -> Found {
        var candidates: [SequenceProgram] = []
        if s.count <= SequenceProgram.countLimit { candidates.append(SequenceProgram(.bytes, values: s)) }
        if s.count > 1, s.count <= SequenceProgram.countLimit {
            for mask in UInt8.min...UInt8.max {
                let (first, step) = (s[0] ^ mask, (s[1] ^ mask) &- (s[0] ^ mask))
                guard Self.progressionLength(s[...], mask: mask) == s.count else { continue }
                let range = SequenceProgram(.range, values: [first, step], count: s.count)
                candidates.append(mask == 0 ? range : SequenceProgram(.xor, values: [mask], parts: [range]))
            }
        }
        var best: Found?
        for program in candidates {
            let bits = try program.priorBits()
            if bits < best?.bits ?? .infinity { best = Found(program: program, bits: bits) }
        }
        guard let best else {
            throw .usage("\(s.count) bytes", remedy: "sequences have 1…\(SequenceProgram.countLimit) bytes")
        }
        return best
    }

    /// How many bytes from the first on are a range with a value xored to it.
    private static func progressionLength(_ s: ArraySlice<UInt8>, mask: UInt8 = 0) -> Int {
        guard s.count > 1 else { return s.count }
        let first = s.startIndex
        let step = (s[first + 1] ^ mask) &- (s[first] ^ mask)
        var end = first + 2
        while end < s.endIndex, (s[end] ^ mask) &- (s[end - 1] ^ mask) == step { end += 1 }
        return end - first
    }

    private mutating func candidates(
        _ s: [UInt8], depth: Int, below bound: Double
    ) throws(PithError) -> [SequenceProgram] {
        var result: [SequenceProgram] = []
        let (period, run) = Self.period(s)
        if run == s.count, s.count % period == 0, period < s.count, s.count / period <= SequenceProgram.countLimit {
            let once = try program(for: Array(s[..<period]), depth: depth).program
            result.append(SequenceProgram(.repeat, count: s.count / period, parts: [once]))
        }
        // Where a beginning that follows a rule ends, and where an end that follows one begins.
        let head = Self.progressionLength(s[...])
        let tail = s.count - Self.progressionLength(s.reversed()[...])
        let whole = run / period * period
        for cut in Set([head, tail, whole]) where cut > 0 && cut < s.count && (cut > 3 || s.count - cut > 3) {
            let front = try program(for: Array(s[..<cut]), depth: depth)
            let back = try program(for: Array(s[cut...]), depth: depth)
            result.append(SequenceProgram(.join, parts: [front.program, back.program]))
        }
        if s.count > 5 {
            let even = try program(for: stride(from: 0, to: s.count, by: 2).map { s[$0] }, depth: depth)
            let odd = try program(for: stride(from: 1, to: s.count, by: 2).map { s[$0] }, depth: depth)
            result.append(SequenceProgram(.interleave, parts: [even.program, odd.program]))
        }
        let differences = s.indices.map { $0 == 0 ? s[0] : s[$0] &- s[$0 - 1] }
        result.append(SequenceProgram(.sums, parts: [try program(for: differences, depth: depth).program]))
        let changes = s.indices.map { $0 == 0 ? s[0] : s[$0] ^ s[$0 - 1] }
        result.append(SequenceProgram(.crosses, parts: [try program(for: changes, depth: depth).program]))
        if depth > 1 {
            result.append(SequenceProgram(.reverse, parts: [try program(for: s.reversed(), depth: depth).program]))
        }
        return result
    }

    /// The shortest period that holds for the longest beginning, and that beginning's length.
    private static func period(_ s: [UInt8]) -> (period: Int, run: Int) {
        var best = (period: s.count, run: s.count, gain: 0)
        for period in 1...max(1, s.count / 2) {
            var end = period
            while end < s.count, s[end] == s[end - period] { end += 1 }
            let run = end == s.count ? end : end / period * period
            if run - period > best.gain { best = (period, run, run - period) }
        }
        return (best.period, best.run)
    }
}
