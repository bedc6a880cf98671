import Synchronization

/// A request to stop that may come from a signal handler or another thread.
public final class StopRequest: Sendable {
    private let flag = Atomic<Bool>(false)
    /// No request yet.
    public init() {}
    /// Asks to stop after the step at work.
    public func raise() { flag.store(true, ordering: .releasing) }
    /// Whether someone asked.
    public var isRaised: Bool { flag.load(ordering: .acquiring) }
}
