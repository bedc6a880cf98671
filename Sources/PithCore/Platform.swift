// The few C library calls that the ground floor needs, under one roof for Linux and macOS.
#if canImport(Darwin)
    import Darwin
#else
    import Glibc
#endif

func _log10(_ x: Double) -> Double { log10(x) }
func _power10(_ x: Double) -> Double { pow(10, x) }

func _format(_ x: Double, decimals: Int) -> String {
    var buffer = [CChar](repeating: 0, count: 400)
    let written = withVaList([Int32(decimals), x]) { vsnprintf(&buffer, buffer.count, "%.*f", $0) }
    return String(decoding: buffer.prefix(Int(written)).map { UInt8(bitPattern: $0) }, as: UTF8.self)
}

/// The C library's description of the last error.
var lastSystemError: String { String(cString: strerror(errno)) }
