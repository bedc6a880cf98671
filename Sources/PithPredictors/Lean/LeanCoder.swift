import PithCoding
import PithCore

/// Writes bits, or reads them.
protocol LeanBitCoder {
    /// Whether it writes: then all bytes are known before they are coded.
    static var isEncoder: Bool { get }
    /// Codes a bit whose probability of being 1 is `probability` of 2¹⁶, and returns it. A decoder pays no heed to `bit`.
    mutating func code(_ bit: Int, probability: UInt32) throws(PithError) -> Int
}

extension RangeEncoder: LeanBitCoder {
    static var isEncoder: Bool { true }

    @inline(__always)
    mutating func code(_ bit: Int, probability: UInt32) -> Int {
        encode(bit == 1, probability: probability)
        return bit
    }
}

extension RangeDecoder: LeanBitCoder {
    static var isEncoder: Bool { false }

    @inline(__always)
    mutating func code(_ bit: Int, probability: UInt32) throws(PithError) -> Int {
        try decode(probability: probability) ? 1 : 0
    }
}

/// A range encoder that notes where the bits go.
struct LeanTracingEncoder: LeanBitCoder {
    static var isEncoder: Bool { true }

    var encoder = RangeEncoder()
    /// Bits spent since they were last reported.
    var bits = 0.0

    /// Bits that a bit of probability p costs, by p / 16 of 2¹².
    private static let costs: [Double] = (0..<4096).map { FixedPoint.idealBits(of: 16 * $0 + 8) }

    @inline(__always)
    mutating func code(_ bit: Int, probability: UInt32) -> Int {
        bits += Self.costs[Int((bit == 1 ? probability : 65536 - probability) >> 4)]
        return encoder.code(bit, probability: probability)
    }
}

/// One loop for coding and decoding: what the predictor learns cannot differ.
struct LeanCoder<Bits: LeanBitCoder> {
    private var predictor: LeanPredictor
    /// Where bits go to or come from.
    var bits: Bits

    init(_ profile: LeanProfile, _ bits: Bits) throws(PithError) {
        predictor = try LeanPredictor(profile)
        self.bits = bits
    }

    /// Codes a byte and returns it. A decoder pays no heed to `byte`.
    @inline(__always)
    mutating func code(_ byte: UInt8) throws(PithError) -> UInt8 {
        if predictor.isInRun {
            let expected = predictor.expectedByte
            let goesOn = try bits.code(byte == expected ? 1 : 0, probability: predictor.runProbability)
            predictor.updateRun(goesOn)
            if goesOn == 1 { return expected }
        }
        predictor.beginByte()
        if Bits.isEncoder { predictor.prefetch(byte) }
        var partial = 1
        for shift in 0..<8 {
            let bit = try bits.code(Int(byte &>> UInt8(7 &- shift)) & 1, probability: predictor.probability())
            predictor.update(bit)
            partial = partial &<< 1 | bit
        }
        return UInt8(truncatingIfNeeded: partial)
    }
}
