import PithCoding

/// −log2 of shares of 2²⁴ in whole numbers, from a table: bits with 16 of them behind the point.
package enum BitCost {
    /// A bit.
    package static let bit = 1 << FixedPoint.fractionBits

    /// log2 of 1 + i / 4096.
    private static let mantissas: [Int32] = (4096..<8192).map { Int32(FixedPoint.log2(UInt64($0)) - 12 * bit) }

    /// The bits of information in what had the share `share` > 0 of 2^`ByteContextModel.totalBits`.
    package static func of(_ share: UInt32) -> Int {
        let shift = share.leadingZeroBitCount
        let mantissa = Int((share << UInt32(shift)) >> 19) & 4095
        return (Int(ByteContextModel.totalBits) - 31 + shift) << FixedPoint.fractionBits - Int(mantissas[mantissa])
    }

    /// Σ p · −log2 p of 256 shares.
    package static func entropy(_ shares: [UInt32]) -> Int {
        shares.reduce(0) { $0 + Int($1) * of($1) } >> Int(ByteContextModel.totalBits)
    }
}
