import Pith
import Synchronization

/// Progress that several threads report.
final class ProgressMeter: Sendable {
    private struct State: ~Copyable {
        var progress: PithCore.Progress?
        var done = 0
    }
    private let state = Mutex(State())

    /// Begins work of `total` steps; what was done before does not count.
    func begin(_ title: String, total: Int, quiet: Bool) {
        state.withLock { $0 = State(progress: PithCore.Progress(title, total: total, quiet: quiet)) }
    }

    /// Says that `count` more steps are done.
    func advance(_ count: Int) {
        state.withLock { state in
            state.done += count
            state.progress?.update(state.done)
        }
    }

    /// Ends the line on a terminal.
    func finish() { state.withLock { $0.progress?.end() } }
}
