/// Powers and logarithms in whole numbers alone: the same bits on every machine, whatever its C library.
public enum FixedPoint {
    /// A half in numbers with 16 bits behind the point is 32768.
    public static let fractionBits = 16

    /// 2^(2^−i) for i = 1…16, with 62 bits behind the point.
    private static let roots: [UInt64] = {
        var (result, value) = ([UInt64](), UInt64(1) << 63)
        for _ in 0..<16 {
            value = squareRoot(UInt128(value) << 62)
            result.append(value)
        }
        return result
    }()

    /// 2^(i / 256) and 2^(i / 65536) for i = 0…255, with 62 bits behind the point.
    private static let powers: (coarse: [UInt64], fine: [UInt64]) = {
        func table(_ roots: [UInt64]) -> [UInt64] {
            var result = [UInt64(1) << 62]
            // The lowest bit of an index stands for the last root; each root doubles the table.
            for root in roots.reversed() {
                result += result.map { UInt64((UInt128($0) * UInt128(root)) >> 62) }
            }
            return result
        }
        return (table(Array(roots[..<8])), table(Array(roots[8...])))
    }()

    /// 2^(x / 65536) for x ≤ 0, with 32 bits behind the point; exact to 2⁻³².
    @inline(__always)
    public static func powerOfTwo(_ x: Int) -> UInt64 {
        assert(x <= 0, "2 to the power of \(x)")
        let whole = -(x >> 16)
        guard whole <= 33 else { return 0 }
        let (coarse, fine) = (powers.coarse[x >> 8 & 255], powers.fine[x & 255])
        let product = coarse.multipliedFullWidth(by: fine).high  // 60 bits behind the point
        return (product >> UInt64(27 + whole) + 1) >> 1
    }

    /// log2(x) · 65536 for x > 0, rounded down.
    public static func log2(_ x: UInt64) -> Int {
        assert(x > 0, "the logarithm of 0")
        let whole = 63 - x.leadingZeroBitCount
        var (mantissa, result) = (UInt128(x) << UInt128(63 - whole), whole)  // in [2⁶³, 2⁶⁴)
        for _ in 0..<16 {
            mantissa = (mantissa * mantissa) >> 63
            result <<= 1
            if mantissa >= 1 << 64 {
                mantissa >>= 1
                result |= 1
            }
        }
        return result
    }

    /// The bits that something of probability `share` / 2^`totalBits`, which is not 0, ideally takes. For figures alone.
    public static func idealBits(of share: UInt64, totalBits: Int = 16) -> Double {
        Double(totalBits) - Double(log2(share)) / Double(1 << fractionBits)
    }

    /// The largest whole number whose square is not above `x`.
    private static func squareRoot(_ x: UInt128) -> UInt64 {
        var result: UInt128 = 0
        for bit in (0..<64).reversed() {
            let candidate = result | 1 << UInt128(bit)
            if candidate * candidate <= x { result = candidate }
        }
        return UInt64(result)
    }
}
