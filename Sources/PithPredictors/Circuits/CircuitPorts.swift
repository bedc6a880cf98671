import PithCoding
import PithCore

/// A probability as a share of 2¹⁶ that leaves both sides something.
@inline(__always)
private func share(_ probability: Float) -> UInt32 {
    // A number that is none becomes the least share: only parameters that were broken lead there.
    guard probability > 0 else { return 1 }
    return UInt32(min(max(probability * 65536, 1), 65535))
}

/// Writes the decisions of a record.
struct EncodingPort: DecisionPort {
    typealias Failure = Never

    private var known: KnownRecord
    private(set) var encoder: RangeEncoder
    /// −log2 of the probabilities of all decisions so far, if asked for; nothing depends on it.
    private(set) var tally: InformationTally?

    init(_ record: UnsafePointer<UInt8>, _ values: ValueTree, _ encoder: RangeEncoder, _ tally: InformationTally?) {
        known = KnownRecord(record, values)
        self.encoder = encoder
        self.tally = tally
    }

    @inline(__always)
    mutating func begin(_ variable: Int) { known.begin(variable) }

    @inline(__always)
    mutating func decide(_ probability: Float) -> Bool {
        let bit = known.decide(probability)
        encoder.encode(bit, probability: share(probability))
        tally?.add(bit ? probability : 1 - probability)
        return bit
    }

    func end(_ value: Int) {}
}

/// Reads the decisions of a record.
struct DecodingPort: DecisionPort {
    typealias Failure = PithError

    private let record: UnsafeMutablePointer<UInt8>
    private var variable = 0
    private(set) var decoder: RangeDecoder

    init(_ record: UnsafeMutablePointer<UInt8>, _ decoder: consuming RangeDecoder) {
        self.record = record
        self.decoder = decoder
    }

    @inline(__always)
    mutating func begin(_ variable: Int) { self.variable = variable }

    @inline(__always)
    mutating func decide(_ probability: Float) throws(PithError) -> Bool {
        try decoder.decode(probability: share(probability))
    }

    @inline(__always)
    mutating func end(_ value: Int) { record[variable] = UInt8(truncatingIfNeeded: value) }
}

/// Adds up the information of events, −log2 of their probabilities, without taking a logarithm for each.
struct InformationTally: Sendable {
    private var product = 1.0
    private var exponent = 0

    /// An event of this probability took place.
    @inline(__always)
    mutating func add(_ probability: Float) {
        product *= Double(probability)
        if product < 0x1p-500 {
            product *= 0x1p500
            exponent += 500
        }
    }

    /// The information in bits.
    var bits: Double {
        guard product > 0 else { return .infinity }
        let fraction = product.significand * 0x1p40
        return Double(exponent) - Double(product.exponent) - (Double(FixedPoint.log2(UInt64(fraction))) / 65536 - 40)
    }
}
