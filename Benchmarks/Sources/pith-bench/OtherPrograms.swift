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
