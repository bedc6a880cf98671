/// The logistic domain in whole numbers: ln(p / (1 − p)) of probabilities of 2¹⁶, with 8 bits behind the point.
///
/// Both tables come from `FixedPoint`: the same on every machine.
public enum Logistic {
    /// The largest stretched value: about 256 · ln(65535).
    public static let limit: Int32 = 2839

    /// 2¹⁶ / (1 + e^(−x / 256)), in 1..<2¹⁶, by x + `limit`.
    private static let squashed: [UInt16] = (-limit...limit).map { x in
        // e^(−|x| / 256) = 2^(−|x| / 256 · log2 e), and log2 e · 65536 = 94548.2.
        let power = FixedPoint.powerOfTwo(-Int(abs(x)) * 94548 / 256)
        let one = UInt64(1) << 32
        let large = ((one << 16) + (one + power) / 2) / (one + power)
        return UInt16(min(max(x >= 0 ? large : (1 << 16) - large, 1), (1 << 16) - 1))
    }

    /// By probability: in steps of 16, and for the lowest 4096 one by one, where the curve is steep.
    private static let stretched: (coarse: [Int16], fine: [Int16]) = {
        func value(_ p: Int) -> Int16 {
            // (log2 p − log2(2¹⁶ − p)) · ln 2 · 256, with ln 2 · 2¹⁶ = 45426.
            let difference = FixedPoint.log2(UInt64(p)) - FixedPoint.log2(UInt64(65536 - p))
            return Int16((difference * 45426 + 1 << 23) >> 24)
        }
        return ((0..<4096).map { value(16 * $0 + 8) }, (0..<4096).map { value(max(1, $0)) })
    }()

    /// The probability, in 1..<2¹⁶, of a stretched value; values beyond ±`limit` are cut.
    @inline(__always)
    public static func squash(_ x: Int32) -> UInt32 { UInt32(squashed[Int(min(max(x, -limit), limit) + limit)]) }

    /// The stretched value of a probability in 1..<2¹⁶.
    @inline(__always)
    public static func stretch(_ probability: UInt32) -> Int32 {
        assert((1..<1 << 16).contains(probability), "\(probability) of 2^16")
        if probability < 4096 { return Int32(stretched.fine[Int(probability)]) }
        if probability > 65536 - 4096 { return -Int32(stretched.fine[Int(65536 - probability)]) }
        return Int32(stretched.coarse[Int(probability >> 4)])
    }
}
