import Foundation
import Pith

/// How much of the machine other programs took while something was measured: figures of a busy machine say little.
struct OtherPrograms {
    private let start = ContinuousClock.now
    private let othersAtStart = Self.secondsOfOthers()

    /// The share of all cores since this was created; nil where the system does not tell.
    var share: Double? {
        guard let othersAtStart, let others = Self.secondsOfOthers() else { return nil }
        let wall = (ContinuousClock.now - start).seconds * Double(ThreadPool.coreCount)
        return max(0, others - othersAtStart) / wall
    }

    /// Core seconds since the system began that went neither to this process and its children nor to idleness; what
    /// a host took away is among them.
    private static func secondsOfOthers() -> Double? {
        #if os(Linux)
            // user, nice, system, idle, waiting, two kinds of interrupts, stolen
            guard let all = fields("/proc/stat")?.dropFirst().prefix(8).compactMap({ Double($0) }), all.count == 8,
                let own = fields("/proc/self/stat"), own.count > 16
            else { return nil }
            let busy = all.reduce(0, +) - all[3] - all[4]
            return (busy - own[13...16].reduce(0) { $0 + (Double($1) ?? 0) }) / Double(sysconf(Int32(_SC_CLK_TCK)))
        #else
            return nil
        #endif
    }

    /// The words of the first line of a file.
    private static func fields(_ path: String) -> [Substring]? {
        let text = try? String(contentsOfFile: path, encoding: .utf8)
        return text?.prefix { $0 != "\n" }.split(separator: " ")
    }
}

/// Waits for other programs, and measures again what they disturbed, for a limited time in all.
final class Patience {
    // Seconds that may still be lost.
    private var left: Double
    private static let quiet = 0.03

    /// As much patience as some minutes.
    init(minutes: Double) { left = minutes * 60 }

    /// What `measure` gives on a quiet machine, or when patience has run out, and the share that others took.
    func whileQuiet<Value>(
        _ measure: () throws(PithError) -> Value
    ) throws(PithError) -> (value: Value, otherPrograms: Double?) {
        while true {
            waitForQuiet()
            let (start, others) = (ContinuousClock.now, OtherPrograms())
            let value = try measure()
            let share = others.share
            if left <= 0 || (share ?? 0) < Self.quiet { return (value, share) }
            left -= (ContinuousClock.now - start).seconds
        }
    }

    private func waitForQuiet() {
        while left > 0 {
            let others = OtherPrograms()
            Thread.sleep(forTimeInterval: 1)
            guard let share = others.share, share >= Self.quiet else { return }
            left -= 1
        }
    }
}
