import Pith
import Synchronization

/// Progress that several threads report.
final class ProgressMeter: Sendable {
    private struct State: ~Copyable {
        var progress: PithCore.Progress?
        var done = 0
        var total = 0
        /// Nil where the steps are no bytes.
        var start: ContinuousClock.Instant?
    }
    private let state = Mutex(State())

    /// Begins work of `total` steps; what was done before does not count.
    func begin(_ title: String, total: Int, quiet: Bool) {
        state.withLock { $0 = State(progress: PithCore.Progress(title, total: total, quiet: quiet), total: total) }
    }

    /// Begins work on `total` bytes, whose number and rate are told, too.
    func begin(_ title: String, bytes total: Int, quiet: Bool) {
        begin(title, total: total, quiet: quiet)
        state.withLock { $0.start = .now }
    }

    /// Says that `count` more steps are done.
    func advance(_ count: Int) {
        state.withLock { state in
            state.done = min(state.done + count, max(state.total, state.done))
            let (done, total, start) = (state.done, state.total, state.start)
            state.progress?.update(done, detail: start.map { Self.bytes(done, total, since: $0) } ?? "")
        }
    }

    private static func bytes(_ done: Int, _ total: Int, since start: ContinuousClock.Instant) -> String {
        let rate = Double(done) / max(0.001, (ContinuousClock.now - start).seconds)
        return "\(ByteCount(done)) of \(ByteCount(total)), \(ByteCount(Int(rate)))/s"
    }

    /// Writes a line without disturbing the one that shows how far the work is.
    func note(_ text: String) {
        state.withLock { state in
            state.progress?.end()
            PithCore.Progress.write("pith: \(text.printable)\n")
        }
    }

    /// Ends the line on a terminal.
    func finish() { state.withLock { $0.progress?.end() } }
}
