#if canImport(Darwin)
    import Darwin
#else
    import Glibc
#endif

/// Elements that are made one after the other, some of them ahead of time on a thread of their own.
///
/// What they are does not depend on the thread: one call of `make` follows the other.
public final class RunAhead<Element: Sendable> {
    private let state: RunAheadState<Element>

    /// Elements of `make`, up to the first nil; at most `limit` lie ready. With a limit of 0 each is made when it is
    /// asked for. `make` may touch nothing that others touch.
    public init(limit: Int, _ make: @escaping () -> Element?) {
        state = RunAheadState(limit: limit, make)
        state.start()
    }

    deinit { state.stop() }

    /// The next element; nil behind the last.
    public func next() -> Element? { state.next() }
}

/// What the maker's thread and the asking one share.
private final class RunAheadState<Element: Sendable>: @unchecked Sendable {
    // Called by one thread alone: that which `start` starts, or where there is none the asking one.
    private let make: () -> Element?
    private let limit: Int
    private var isThreaded = false
    /// No pool has this number.
    private static var isAwaited: Int { -1 }
    // The rest is guarded by the mutex.
    private var ready: [Element] = []
    private var isDone = false
    private var isStopped = false
    private let mutex = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)
    private let changed = UnsafeMutablePointer<pthread_cond_t>.allocate(capacity: 1)

    init(limit: Int, _ make: @escaping () -> Element?) {
        (self.limit, self.make) = (limit, make)
        pthread_mutex_init(mutex, nil)
        pthread_cond_init(changed, nil)
    }

    deinit {
        pthread_mutex_destroy(mutex)
        pthread_cond_destroy(changed)
        mutex.deallocate()
        changed.deallocate()
    }

    func start() {
        guard limit > 0 else { return }
        isThreaded = ThreadPool.startThread {
            // A loop may wait for what is made here.
            ThreadContext.loop = Self.isAwaited
            self.work()
        }
    }

    func stop() {
        pthread_mutex_lock(mutex)
        isStopped = true
        pthread_cond_broadcast(changed)
        pthread_mutex_unlock(mutex)
    }

    func next() -> Element? {
        guard isThreaded else { return make() }
        pthread_mutex_lock(mutex)
        defer { pthread_mutex_unlock(mutex) }
        while ready.isEmpty, !isDone { pthread_cond_wait(changed, mutex) }
        guard !ready.isEmpty else { return nil }
        pthread_cond_broadcast(changed)
        return ready.removeFirst()
    }

    private func work() {
        while true {
            let element = make()
            pthread_mutex_lock(mutex)
            while ready.count >= limit, !isStopped { pthread_cond_wait(changed, mutex) }
            if let element { ready.append(element) } else { isDone = true }
            let isOver = isDone || isStopped
            pthread_cond_broadcast(changed)
            pthread_mutex_unlock(mutex)
            if isOver { return }
        }
    }
}
