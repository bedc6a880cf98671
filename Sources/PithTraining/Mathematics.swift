// The few C library calls that training needs.
#if canImport(Darwin)
    import Darwin
#else
    import Glibc
#endif

func power(_ base: Double, _ exponent: Double) -> Double { pow(base, exponent) }
func sine(_ angle: Double) -> Double { sin(angle) }
func cosine(_ angle: Double) -> Double { cos(angle) }
func logarithm(_ x: Double) -> Double { log(x) }

/// The derivative of cap · tanh(x / cap) by x, where that is `value`.
func softcapSlope(_ value: Float, _ cap: Float) -> Float { 1 - (value / cap) * (value / cap) }
