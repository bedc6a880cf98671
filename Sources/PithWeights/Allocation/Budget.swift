import PithCore

/// How large a compressed model may be, all of its files and side information counted.
public enum Budget: Hashable, Sendable, CustomStringConvertible {
    /// Bytes of the folder.
    case bytes(ByteCount)
    /// Bits of weight files and manifest for each weight of the model.
    case rate(BitsPerWeight)
    /// So many times smaller than the original's files.
    case ratio(Double)

    /// Reads `400MB`, `3.2bpw` or `2.5x`; nil for anything else.
    public init?(parsing text: String) {
        func number(before unit: String) -> Double? {
            guard text.hasSuffix(unit), let value = Double(text.dropLast(unit.count)), value > 0, value.isFinite else {
                return nil
            }
            return value
        }
        if let value = number(before: "bpw") {
            self = .rate(BitsPerWeight(value))
        } else if let value = number(before: "x") {
            self = .ratio(value)
        } else if let count = ByteCount(parsing: text), count.value > 0 {
            self = .bytes(count)
        } else {
            return nil
        }
    }

    /// The text; parsing it gives the budget back, but for rounding.
    public var description: String {
        switch self {
        case .bytes(let count): "\(count.value)B"
        case .rate(let rate): "\(rate.value)bpw"
        case .ratio(let ratio): "\(ratio)x"
        }
    }

    /// Bytes of the folder that this comes to, for a model of so many weights whose files have `original` bytes, and of
    /// which `companions` bytes are no weights.
    package func bytes(weights: Int, original: ByteCount, companions: ByteCount) -> Int {
        switch self {
        case .bytes(let count): count.value
        case .rate(let rate): Int(min(1e18, rate.value * Double(weights) / 8)) + companions.value
        case .ratio(let ratio): Int(min(1e18, Double(original.value) / ratio))
        }
    }
}
