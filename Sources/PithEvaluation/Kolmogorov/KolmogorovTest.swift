import PithCore
import PithTensor

/// A sequence, and the program that made it where that is known.
public struct KolmogorovCase: Sendable {
    /// The sequence.
    public var sequence: [UInt8]
    /// The program that made it.
    public var program: SequenceProgram?

    /// A sequence of unknown origin.
    public init(_ sequence: [UInt8], program: SequenceProgram? = nil) {
        self.sequence = sequence
        self.program = program
    }

    /// Sequences of random programs, drawn from the prior: those whose length is in `lengths` and which are not made
    /// of bytes alone.
    public static func random(_ count: Int, lengths: ClosedRange<Int>, seed: UInt64) -> [KolmogorovCase] {
        var generator = SeededGenerator(seed: seed)
        var result: [KolmogorovCase] = []
        // Few programs make more than some hundred bytes, so there is an end to trying.
        for _ in 0..<count * 20_000 where result.count < count {
            guard let program = SequenceProgram.random(from: &generator), program.operation != .bytes,
                let output = try? program.run(.init(length: lengths.upperBound)), lengths.contains(output.count)
            else { continue }
            result.append(KolmogorovCase(output, program: program))
        }
        return result
    }

    /// Pieces of `length` bytes from the beginning of a text, evenly spaced, at most `count` of them.
    public static func pieces(of bytes: [UInt8], length: Int, count: Int) -> [KolmogorovCase] {
        let whole = bytes.count / max(1, length)
        let step = max(1, whole / max(1, count))
        return stride(from: 0, to: whole, by: step).prefix(count).map {
            KolmogorovCase(Array(bytes[$0 * length..<($0 + 1) * length]))
        }
    }
}

/// Scores programs as codes: what they take beside what compressors make of the same sequences.
public struct KolmogorovTest: Sendable {
    /// Mean sizes in bits for each byte of the sequences.
    public struct Row: Sendable {
        /// What the sequences are.
        public var name: String
        /// Sequences.
        public var count: Int
        /// Bytes of all sequences.
        public var bytes: Int
        /// −log2 of the prior of the programs that made them; nil where those are not known.
        public var priorBits: Double?
        /// The same programs as the range coder writes them.
        public var programBits: Double?
        /// Programs found by the search, each with a bit that says whether it is one, or else the bytes as they are.
        public var foundBits: Double
        /// The share of sequences for which a program shorter than the bytes was found.
        public var foundShare: Double
        /// Each compressor's.
        public var compressedBits: [Double]
    }

    /// What sequences are compressed with beside.
    public var compressors: [any Compressor]

    /// A test beside some compressors.
    public init(compressors: [any Compressor] = []) { self.compressors = compressors }

    /// Bits of a program that was verified to make `sequence`; nil where it does not.
    public static func score(_ program: SequenceProgram, for sequence: [UInt8]) throws(PithError) -> Int? {
        guard let output = try? program.run(.init(length: max(1 << 16, sequence.count))), output == sequence else {
            return nil
        }
        return 8 * (try program.encoded().count)
    }

    /// The shortest program that the search finds for `sequence`, verified; nil where it is no shorter than the bytes.
    public static func findProgram(for sequence: [UInt8]) throws(PithError) -> SequenceProgram? {
        var search = ProgramSearch()
        let found = try search.program(for: sequence).program
        guard let bits = try score(found, for: sequence), bits < 8 * sequence.count else { return nil }
        return found
    }

    /// Scores all of `cases`.
    public func run(_ name: String, _ cases: [KolmogorovCase], quiet: Bool = true) throws(PithError) -> Row {
        guard !cases.isEmpty else {
            throw .data("holds no whole sequence", at: name, remedy: "give a shorter --length")
        }
        var (prior, program, found, shorter) = (0.0, 0, 0, 0)
        var compressed = [Int](repeating: 0, count: compressors.count)
        var progress = Progress("programs for \(name)", total: cases.count, quiet: quiet)
        for (index, item) in cases.enumerated() {
            if let made = item.program {
                guard let bits = try Self.score(made, for: item.sequence) else {
                    throw .fault("a program does not make its sequence again", at: made.description)
                }
                prior += try made.priorBits()
                program += bits
            }
            let better = try Self.findProgram(for: item.sequence)
            let size = if let better { try better.encoded().count } else { item.sequence.count }
            found += 1 + 8 * size
            shorter += better == nil ? 0 : 1
            for (index, compressor) in compressors.enumerated() {
                compressed[index] += 8 * (try compressor.compressedSize(item.sequence).value)
            }
            progress.update(index + 1)
        }
        progress.finish()
        let bytes = cases.reduce(0) { $0 + $1.sequence.count }
        let isKnown = cases.allSatisfy { $0.program != nil }
        func rate(_ bits: Double) -> Double { bits / Double(max(1, bytes)) }
        return Row(
            name: name, count: cases.count, bytes: bytes, priorBits: isKnown ? rate(prior) : nil,
            programBits: isKnown ? rate(Double(program)) : nil, foundBits: rate(Double(found)),
            foundShare: Double(shorter) / Double(cases.count), compressedBits: compressed.map { rate(Double($0)) })
    }
}
