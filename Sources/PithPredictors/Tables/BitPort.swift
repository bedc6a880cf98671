import PithCoding
import PithCore

/// Where yes-or-no symbols go or come from, so that each model of tables is written once for both directions.
protocol BitPort {
    /// Codes a bit that is true with `probability` of 2¹⁶, in 1..<2¹⁶; a reader ignores `bit` and returns what it reads.
    mutating func code(_ bit: Bool, probability: UInt32) throws(PithError) -> Bool
}

/// Writes.
struct WritingPort: BitPort {
    private(set) var encoder = RangeEncoder()

    @inline(__always)
    mutating func code(_ bit: Bool, probability: UInt32) -> Bool {
        encoder.encode(bit, probability: probability)
        return bit
    }
}

/// Reads.
struct ReadingPort: BitPort {
    private var decoder: RangeDecoder

    init(_ payload: CodedPayload) throws(PithError) {
        decoder = try RangeDecoder(payload.region, isCut: payload.isCut)
    }

    @inline(__always)
    mutating func code(_ bit: Bool, probability: UInt32) throws(PithError) -> Bool {
        try decoder.decode(probability: probability)
    }
}

/// Only counts the bits that would be written: by this the encoder chooses.
struct CountingPort: BitPort {
    private var tally = InformationTally()

    @inline(__always)
    mutating func code(_ bit: Bool, probability: UInt32) -> Bool {
        tally.add(Float(bit ? probability : 65536 - probability) * 0x1p-16)
        return bit
    }

    /// The bits so far.
    var bits: Double { tally.bits }
}

extension BitPort {
    /// Codes a bit with its adaptive model.
    @inline(__always)
    mutating func code(_ bit: Bool, _ model: inout AdaptiveBit) throws(PithError) -> Bool {
        let coded = try code(bit, probability: model.probability)
        model.update(coded)
        return coded
    }

    /// Codes the lowest `count` bits of a number, all values being equally likely.
    mutating func code(plain value: Int, count: Int) throws(PithError) -> Int {
        var result = 0
        for shift in (0..<count).reversed() {
            result = result << 1 | (try code(value >> shift & 1 == 1, probability: 1 << 15) ? 1 : 0)
        }
        return result
    }
}

/// Whole numbers from 0 to 2⁶³ − 1 by their length in bits and the bits behind the first, of which two are modelled.
struct NumberModel {
    /// [contexts, 64] and [contexts, lengths, 4].
    private var lengths: [AdaptiveBit]
    private var heads: [AdaptiveBit]

    /// A model with so many contexts.
    init(contexts: Int = 1) {
        lengths = [AdaptiveBit](repeating: AdaptiveBit(), count: contexts * 64)
        heads = [AdaptiveBit](repeating: AdaptiveBit(), count: contexts * 256)
    }

    mutating func code<Port: BitPort>(_ value: Int, context: Int = 0, _ port: inout Port) throws(PithError) -> Int {
        let known = Int.bitWidth - value.leadingZeroBitCount
        var (node, length) = (1, 0)
        for shift in (0..<6).reversed() {
            let bit = try port.code(known >> shift & 1 == 1, &lengths[context * 64 + node])
            node = node << 1 | (bit ? 1 : 0)
            length = length << 1 | (bit ? 1 : 0)
        }
        guard length > 1 else { return length }
        var (result, head) = (1, 1)
        for shift in (0..<length - 1).reversed() {
            let bit = value >> shift & 1 == 1
            let coded: Bool
            if head < 4 {
                coded = try port.code(bit, &heads[context * 256 + length * 4 + head])
                head = head << 1 | (coded ? 1 : 0)
            } else {
                coded = try port.code(bit, probability: 1 << 15)
            }
            result = result << 1 | (coded ? 1 : 0)
        }
        return result
    }
}
