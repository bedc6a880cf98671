#if canImport(Darwin)
    import Darwin
#else
    import Glibc
#endif

/// The time that templates are told.
public struct JinjaClock: Sendable {
    /// Seconds since the beginning of 1970; nil for the time at which it is asked.
    public var seconds: Int?

    /// The clock of the machine, or one that stands still.
    public init(seconds: Int? = nil) { self.seconds = seconds }

    /// The local time as `strftime` writes it.
    func formatted(_ format: String) -> String {
        var instant = seconds ?? time(nil)
        var parts = tm()
        localtime_r(&instant, &parts)
        // What needs no character cannot be told from what does not fit: one more is asked for.
        var buffer = [CChar](repeating: 0, count: 1024 + 32 * format.utf8.count)
        let count = strftime(&buffer, buffer.count, format + " ", &parts)
        return String(decoding: buffer.prefix(max(0, count - 1)).map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }
}
