import PithCoding
import PithCore
import PithTensor

/// How likely programs are before any sequence is seen: which operation, which numbers, which parts.
///
/// One walk over a program serves all: who writes, reads, measures or draws a program decides choice by choice.
enum SequenceGrammar {
    /// Programs within programs; the innermost are `bytes` and `range`.
    static let depthLimit = 8
    /// Operations of one program.
    static let sizeLimit = 1024
    /// Shares of the operations, in their order.
    static let shares: [UInt32] = [12, 16, 8, 8, 3, 2, 2, 1, 3, 2, 3, 2, 3, 1]

    /// Walks over `program`, or where it is nil over the one that `choices` make.
    static func walk(
        _ program: SequenceProgram?, _ choices: inout some ProgramChoices
    ) throws(PithError) -> SequenceProgram {
        var size = 0
        return try walk(program, depth: 0, &size, &choices)
    }

    private static func walk(
        _ program: SequenceProgram?, depth: Int, _ size: inout Int, _ choices: inout some ProgramChoices
    ) throws(PithError) -> SequenceProgram {
        size += 1
        guard size <= sizeLimit else { throw .data("a program has more than \(sizeLimit) operations") }
        let operations = SequenceProgram.Operation.allCases
        let wanted = program.flatMap { operations.firstIndex(of: $0.operation) }
        let permitted = depth < depthLimit ? shares : Array(shares[..<2])
        if let wanted, wanted >= permitted.count {
            throw .usage("a program is nested more than \(depthLimit) deep")
        }
        let operation = operations[try choices.choose(wanted, shares: permitted)]
        var result = SequenceProgram(operation)
        let limit = SequenceProgram.countLimit
        let valueCount: Int
        if let fixed = operation.valueCount {
            valueCount = fixed
        } else {
            valueCount = try walkCount(program?.values.count, limit: limit, &choices)
        }
        for index in 0..<valueCount { result.values.append(try walkByte(program?.values[index], &choices)) }
        if operation.hasCount {
            result.count = try walkCount(program?.count, limit: limit, &choices)
        }
        for index in 0..<operation.partCount {
            result.parts.append(try walk(program?.parts[index], depth: depth + 1, &size, &choices))
        }
        return result
    }

    /// Small bytes are likely: a bit says whether 4 or 8 bits follow.
    private static func walkByte(_ byte: UInt8?, _ choices: inout some ProgramChoices) throws(PithError) -> UInt8 {
        let isLarge = try choices.choose(byte.map { $0 < 16 ? 0 : 1 }, bits: 1)
        let value = try choices.choose(byte.map { Int($0) }, bits: isLarge == 1 ? 8 : 4)
        return UInt8(value)
    }

    /// A number from 1 on: how many bits it has, each half as likely as one less, then those behind the first.
    private static func walkCount(
        _ count: Int?, limit: Int, _ choices: inout some ProgramChoices
    ) throws(PithError) -> Int {
        let lengths = Int.bitWidth - limit.leadingZeroBitCount
        let shares = (0..<lengths).map { UInt32(1) << UInt32(max(0, lengths - 2 - $0)) }  // the last two are alike
        let length = try choices.choose(
            count.map { Int.bitWidth - $0.leadingZeroBitCount - 1 }, shares: shares)
        let low = length == 0 ? 0 : try choices.choose(count.map { $0 - 1 << length }, bits: UInt32(length))
        return 1 << length + low
    }
}

/// Decides one choice after another of a program.
protocol ProgramChoices {
    /// One of `shares.count` things; `wanted` where the program is given.
    mutating func choose(_ wanted: Int?, shares: [UInt32]) throws(PithError) -> Int
    /// A number of `bits` bits, all equally likely.
    mutating func choose(_ wanted: Int?, bits: UInt32) throws(PithError) -> Int
}

extension ProgramChoices {
    /// Bit by bit.
    mutating func choose(_ wanted: Int?, bits: UInt32) throws(PithError) -> Int {
        var value = 0
        for bit in (0..<bits).reversed() {
            value = value << 1 | (try choose(wanted.map { $0 >> Int(bit) & 1 }, shares: [1, 1]))
        }
        return value
    }
}

/// Adds up −log2 of the probability of what is chosen.
struct ProgramMeter: ProgramChoices {
    private(set) var bits = 0.0

    mutating func choose(_ wanted: Int?, shares: [UInt32]) -> Int {
        guard let wanted else { preconditionFailure("only given programs have a length") }
        bits +=
            (naturalLogarithm(Double(shares.reduce(0, +))) - naturalLogarithm(Double(shares[wanted])))
            / naturalLogarithm(2)
        return wanted
    }

    mutating func choose(_ wanted: Int?, bits: UInt32) -> Int {
        guard let wanted else { preconditionFailure("only given programs have a length") }
        self.bits += Double(bits)
        return wanted
    }
}

/// Writes what is chosen.
struct ProgramWriter: ProgramChoices {
    var encoder = RangeEncoder()

    mutating func choose(_ wanted: Int?, shares: [UInt32]) -> Int {
        guard let wanted else { preconditionFailure("only given programs are written") }
        encoder.encode(
            start: shares[..<wanted].reduce(0, +), frequency: shares[wanted], total: shares.reduce(0, +))
        return wanted
    }
}

/// Chooses what was written.
struct ProgramReader: ProgramChoices {
    var decoder: RangeDecoder

    mutating func choose(_ wanted: Int?, shares: [UInt32]) throws(PithError) -> Int {
        let total = shares.reduce(0, +)
        let slot = decoder.slot(total: total)
        var (choice, start) = (0, UInt32(0))
        while choice < shares.count - 1, start + shares[choice] <= slot {
            start += shares[choice]
            choice += 1
        }
        try decoder.advance(start: start, frequency: shares[choice], total: total)
        return choice
    }
}

/// Draws from the prior.
struct ProgramSampler: ProgramChoices {
    var generator: SeededGenerator

    mutating func choose(_ wanted: Int?, shares: [UInt32]) -> Int {
        var slot = generator.index(below: Int(shares.reduce(0, +)))
        return shares.firstIndex { share in
            slot -= Int(share)
            return slot < 0
        } ?? shares.count - 1
    }
}

extension SequenceProgram {
    /// −log2 of the program's prior probability.
    public func priorBits() throws(PithError) -> Double {
        var meter = ProgramMeter()
        _ = try SequenceGrammar.walk(self, &meter)
        return meter.bits
    }

    /// The program as the range coder writes it under the prior.
    public func encoded() throws(PithError) -> [UInt8] {
        var writer = ProgramWriter()
        _ = try SequenceGrammar.walk(self, &writer)
        return writer.encoder.finish()
    }

    /// Reads what `encoded` wrote; any bytes give some program or an error.
    public init(encoded bytes: [UInt8]) throws(PithError) {
        var reader = ProgramReader(decoder: try RangeDecoder(bytes))
        self = try SequenceGrammar.walk(nil, &reader)
    }

    /// A program drawn from the prior; nil where one was drawn that is too large.
    public static func random(from generator: inout SeededGenerator) -> SequenceProgram? {
        var sampler = ProgramSampler(generator: generator)
        defer { generator = sampler.generator }
        return try? SequenceGrammar.walk(nil, &sampler)
    }
}
