#if canImport(Darwin)
    import Darwin
#else
    import Glibc
#endif

// The C library's functions under full names, so that the rooms above need not know which C library there is.

/// The cosine of an angle.
public func cosine(_ x: Double) -> Double { cos(x) }
/// The sine of an angle.
public func sine(_ x: Double) -> Double { sin(x) }
/// e to the power of x.
public func exponential(_ x: Float) -> Float { exp(x) }
/// e to the power of x.
public func exponential(_ x: Double) -> Double { exp(x) }
/// The natural logarithm.
public func naturalLogarithm(_ x: Double) -> Double { log(x) }
