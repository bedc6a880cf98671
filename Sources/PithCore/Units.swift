/// A number of bytes, on disk or in memory.
public struct ByteCount: Hashable, Comparable, Sendable, Codable, CustomStringConvertible {
    /// Bytes.
    public var value: Int

    /// Creates a count from bytes.
    public init(_ value: Int) { self.value = value }

    /// Reads `750000`, `512 MB` (powers of 1000) or `2GiB` (powers of 1024); nil for anything else.
    public init?(parsing text: String) {
        let units = [
            "": 1.0, "B": 1, "kB": 1e3, "MB": 1e6, "GB": 1e9, "TB": 1e12, "KiB": 0x1p10, "MiB": 0x1p20, "GiB": 0x1p30,
            "TiB": 0x1p40,
        ]
        let number = text.prefix { $0.isNumber || $0 == "." }
        let unit = text.dropFirst(number.count).drop { $0 == " " }
        guard let value = Double(number), let scale = units[String(unit)], value * scale < 0x1p62 else { return nil }
        self.value = Int(value * scale)
    }

    /// Orders by size.
    public static func < (left: ByteCount, right: ByteCount) -> Bool { left.value < right.value }
    /// Adds two counts.
    public static func + (left: ByteCount, right: ByteCount) -> ByteCount { ByteCount(left.value + right.value) }

    /// For people: `987 B`, `12.3 kB`, `4.56 MB` (powers of 1000).
    public var description: String {
        if value < 1000 { return "\(value) B" }
        var scaled = Double(value)
        for unit in ["kB", "MB", "GB", "TB"] {
            scaled /= 1000
            if scaled < 999.5 || unit == "TB" { return "\(scaled.formatted(significant: 3)) \(unit)" }
        }
        return "\(value) B"
    }

    /// As a plain number in JSON.
    public init(from decoder: any Decoder) throws { value = try decoder.singleValueContainer().decode(Int.self) }
    /// As a plain number in JSON.
    public func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(value)
    }
}

/// Stored bits divided by the number of weights that they stand for.
public struct BitsPerWeight: Hashable, Comparable, Sendable, CustomStringConvertible {
    /// Bits.
    public var value: Double

    /// Creates a rate from bits.
    public init(_ value: Double) { self.value = value }
    /// The rate of a file of `bytes` that holds `weights` weights.
    public init(bytes: ByteCount, weights: Int) { value = Double(bytes.value) * 8 / Double(max(weights, 1)) }

    /// Orders by rate.
    public static func < (left: BitsPerWeight, right: BitsPerWeight) -> Bool { left.value < right.value }
    /// Three digits.
    public var description: String { value.formatted(significant: 3) }
}

extension Double {
    /// Decimal notation with so many significant digits, without an exponent: `0.00123`, `45.6`, `7890`.
    public func formatted(significant digits: Int) -> String {
        guard isFinite else { return isNaN ? "nan" : (self < 0 ? "-inf" : "inf") }
        guard self != 0 else { return "0" }
        // What rounds up to the next power of ten has that many digits before the point.
        let roundingUp = 1 + 5 * _power10(-Double(digits) - 1)
        let magnitude = Int(_log10(abs(self) * roundingUp).rounded(.down))
        return formatted(decimals: min(max(0, digits - 1 - magnitude), 15))
    }

    /// So many significant digits; below a thousandth with an exponent: `0.0123`, `5.81e-4`.
    public func compact(significant digits: Int) -> String {
        guard isFinite, self != 0, abs(self) < 0.001 else { return formatted(significant: digits) }
        let exponent = Int(_log10(abs(self)).rounded(.down))
        return (self * _power10(Double(-exponent))).formatted(significant: digits) + "e\(exponent)"
    }

    /// Decimal notation with so many digits after the point.
    public func formatted(decimals: Int) -> String {
        guard isFinite else { return isNaN ? "nan" : (self < 0 ? "-inf" : "inf") }
        return _format(self, decimals: decimals)
    }
}
