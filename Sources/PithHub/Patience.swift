import PithCore

/// What is left of the patience with one request.
struct Patience {
    private let settings: TransferSettings
    private var failures = 0
    private var waited = Duration.zero

    init(_ settings: TransferSettings) { self.settings = settings }

    /// Notes that the last attempt brought something.
    mutating func noteProgress() { failures = 0 }

    /// Waits before the next attempt, as long as the hub asks or longer each time. Throws `error` where patience ends.
    mutating func wait(
        after error: PithError, asked: Duration? = nil, _ report: (HubEvent) -> Void
    ) throws(PithError) {
        failures += 1
        let pause = asked ?? settings.firstPause * (1 << min(failures - 1, 5))
        guard failures < settings.attempts else { throw given(up: error, "\(failures) attempts") }
        guard waited + pause <= settings.patience else {
            throw given(up: error, "waiting \(Progress.time(waited.seconds))")
        }
        waited += pause
        let reason = "\(error.place.map { $0 + ": " } ?? "")\(error.message)"
        report(.notice("\(reason); trying again in \(Progress.time(pause.seconds))"))
        settings.sleep(pause)
    }

    private func given(up error: PithError, _ effort: String) -> PithError {
        var error = error
        error.message += ", given up after \(effort)"
        return error
    }
}
