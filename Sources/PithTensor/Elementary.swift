// Elementary functions in additions, multiplications and divisions of Double alone, each rounded once and in the order
// written. C libraries differ in their last bits, and what a decoder computes must not.
//
// Errors are below 10⁻¹⁵ of the value, and of 1 for sine and cosine.

/// The cosine of an angle of at most about 10⁸.
public func cosine(_ x: Double) -> Double {
    let (rest, quarter) = reduced(x)
    switch quarter {
    case 0: return cosineSeries(rest)
    case 1: return -sineSeries(rest)
    case 2: return -cosineSeries(rest)
    default: return sineSeries(rest)
    }
}

/// The sine of an angle of at most about 10⁸.
public func sine(_ x: Double) -> Double {
    let (rest, quarter) = reduced(x)
    switch quarter {
    case 0: return sineSeries(rest)
    case 1: return cosineSeries(rest)
    case 2: return -sineSeries(rest)
    default: return -cosineSeries(rest)
    }
}

/// e to the power of x.
public func exponential(_ x: Float) -> Float { Float(exponential(Double(x))) }

/// e to the power of x.
public func exponential(_ x: Double) -> Double {
    guard x > -746 else { return x.isNaN ? x : 0 }
    guard x < 710 else { return x.isNaN ? x : .infinity }
    let doublings = (x * 0x1.71547652b82fep+0).rounded(.toNearestOrEven)
    // The product with the first part of ln 2, of 32 bits, is exact.
    let rest = (x - doublings * 0x1.62e42feep-1) - doublings * 0x1.a39ef35793c76p-33
    var sum = 0.0
    for n in (0...14).reversed() { sum = sum * rest + inverseFactorials[n] }
    // In two steps: 2 to the power of `doublings` itself may be out of range where the result is not.
    let first = Int(doublings) / 2
    return sum * Double(sign: .plus, exponent: first, significand: 1)
        * Double(sign: .plus, exponent: Int(doublings) - first, significand: 1)
}

/// The natural logarithm.
public func naturalLogarithm(_ x: Double) -> Double {
    guard x > 0, x < .infinity else { return x == 0 ? -.infinity : x > 0 ? x : .nan }
    let isLarge = x.significand > 1.4142135623730951
    let (fraction, exponent) = (isLarge ? x.significand / 2 : x.significand, Double(x.exponent) + (isLarge ? 1 : 0))
    // ln f = 2 artanh(s) = 2 (s + s³/3 + s⁵/5 + …) with s = (f − 1) / (f + 1), at most 0.172.
    let s = (fraction - 1) / (fraction + 1)
    let square = s * s
    var sum = 0.0
    for odd in stride(from: 25.0, through: 3, by: -2) { sum = (sum + 1 / odd) * square }
    return exponent * 0x1.62e42feep-1 + (exponent * 0x1.a39ef35793c76p-33 + 2 * (s + s * sum))
}

/// `base`, which is positive, to the power of `exponent`.
public func power(_ base: Double, _ exponent: Double) -> Double { exponential(exponent * naturalLogarithm(base)) }

/// x less a multiple of π/2, within ±π/4, and the multiple modulo 4.
private func reduced(_ x: Double) -> (rest: Double, quarter: Int) {
    guard x.magnitude < 0x1p27 else { return (x - x, 0) }
    let turns = (x * 0x1.45f306dc9c883p-1).rounded(.toNearestOrEven)
    // π/2 in three parts; the products with the first two, of 27 bits, are exact.
    let rest = ((x - turns * 0x1.921fb54p+0) - turns * 0x1.10b461p-30) - turns * 0x1.a62633145c06ep-58
    return (rest, Int(turns) & 3)
}

/// x − x³/3! + x⁵/5! − …
private func sineSeries(_ x: Double) -> Double {
    let square = x * x
    var sum = 0.0
    for n in stride(from: 17, through: 3, by: -2) { sum = inverseFactorials[n] - square * sum }
    return x - x * square * sum
}

/// 1 − x²/2! + x⁴/4! − …
private func cosineSeries(_ x: Double) -> Double {
    let square = x * x
    var sum = 0.0
    for n in stride(from: 18, through: 0, by: -2) { sum = inverseFactorials[n] - square * sum }
    return sum
}

/// 1 / n!; n! itself is exact up to 18.
private let inverseFactorials: [Double] = (0...18).map { n in 1 / (1..<n + 1).reduce(1.0) { $0 * Double($1) } }
