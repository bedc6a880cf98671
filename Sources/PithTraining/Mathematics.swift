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
