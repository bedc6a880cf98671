import Foundation

/// Tells a person how far long work is, on standard error, and nothing while the work is short or no one watches.
///
/// The first line appears after two seconds; on a terminal it is rewritten in place, elsewhere written rarely.
public struct Progress: ~Copyable {
    private let title: String
    private let total: Int
    private let clock = ContinuousClock()
    private let start: ContinuousClock.Instant
    private var lastShown: ContinuousClock.Instant?
    private let isTerminal: Bool
    private let isQuiet: Bool

    /// Begins work of `total` equal steps.
    public init(_ title: String, total: Int, quiet: Bool = false) {
        self.title = title
        self.total = max(1, total)
        start = clock.now
        isTerminal = isatty(2) == 1
        isQuiet = quiet
    }

    /// Says that `done` steps are done; `detail` is put behind the figures.
    public mutating func update(_ done: Int, detail: @autoclosure () -> String = "") {
        let now = clock.now
        let elapsed = (now - start).seconds
        guard !isQuiet, elapsed >= 2 else { return }
        let pause = isTerminal ? 0.2 : 15.0
        if let lastShown, (now - lastShown).seconds < pause, done < total { return }
        lastShown = now
        let left = elapsed / Double(max(1, done)) * Double(total - done)
        let percent = 100 * done / total
        var line = "\(title): \(percent) %, \(Self.time(elapsed)) gone"
        if done > 0 && done < total { line += ", \(Self.time(left)) left" }
        let extra = detail()
        if !extra.isEmpty { line += "  \(extra)" }
        Self.write(isTerminal ? "\r\u{1B}[K\(line)" : line + "\n")
    }

    /// Ends the line on a terminal.
    public consuming func finish() { end() }

    /// Ends the line on a terminal, where the progress cannot be consumed.
    public func end() {
        if isTerminal && lastShown != nil { Self.write("\r\u{1B}[K") }
    }

    /// `12 s`, `3 min 05 s`, `2 h 07 min`.
    public static func time(_ seconds: Double) -> String {
        let whole = Int(seconds.rounded())
        func pad(_ n: Int) -> String { n < 10 ? "0\(n)" : "\(n)" }
        if whole < 60 { return "\(whole) s" }
        if whole < 3600 { return "\(whole / 60) min \(pad(whole % 60)) s" }
        return "\(whole / 3600) h \(pad(whole / 60 % 60)) min"
    }

    /// Writes to standard error.
    public static func write(_ text: String) { FileHandle.standardError.write(Data(text.utf8)) }
}

extension Duration {
    /// The duration in seconds.
    public var seconds: Double { Double(components.seconds) + Double(components.attoseconds) * 1e-18 }
}
