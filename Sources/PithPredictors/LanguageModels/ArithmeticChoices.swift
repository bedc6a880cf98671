import PithCoding
import PithCore
import PithTensor

/// Choices under the model's own distribution, by arithmetic coding.
struct ArithmeticChoiceEncoder: ChoiceEncoder {
    /// A share of 2^24.
    struct Code {
        var start: UInt32
        var frequency: UInt32
    }

    private static let totalBits: UInt32 = 24
    private var encoder = RangeEncoder()

    static func code(of choice: Int, _ logits: [Float]) throws(PithError) -> Code {
        let share = try CumulativeTable(choices: logits).share(of: choice)
        return Code(start: share.start, frequency: share.frequency)
    }

    static func bits(of code: Code) -> Double {
        Double(totalBits) - naturalLogarithm(Double(code.frequency)) / naturalLogarithm(2)
    }

    mutating func write(_ code: Code) {
        encoder.encode(start: code.start, frequency: code.frequency, totalBits: Self.totalBits)
    }

    mutating func write(byte: UInt8) { encoder.encode(bits: UInt32(byte), count: 8) }

    consuming func finish() -> [UInt8] { encoder.finish() }
}

/// Reads choices under the model's own distribution.
struct ArithmeticChoiceDecoder: ChoiceDecoder {
    private var decoder: RangeDecoder

    init(_ payload: CodedPayload) throws(PithError) {
        decoder = try RangeDecoder(payload.region, isCut: payload.isCut)
    }

    mutating func read(_ logits: [Float]) throws(PithError) -> Int {
        try CumulativeTable(choices: logits).decode(from: &decoder)
    }

    mutating func readByte() throws(PithError) -> UInt8 { UInt8(truncatingIfNeeded: try decoder.decode(bits: 8)) }
}

extension CumulativeTable {
    /// The softmax of some logits in shares of 2^24.
    fileprivate init(choices logits: [Float]) throws(PithError) {
        self = try logits.withUnsafeBufferPointer { (logits) throws(PithError) in try CumulativeTable(logits: logits) }
    }
}
