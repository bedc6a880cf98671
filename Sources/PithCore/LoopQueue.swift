import CPithCore
import Synchronization

#if canImport(Darwin)
    import Darwin
#else
    import Glibc
#endif

/// Whose turn it is to have a pool: loops get it in the order of their coming.
///
/// No circle of loops can wait for each other: a thread that a loop depends on (one that runs its blocks, the one that
/// called it, and what they start) never waits here, whichever pool its loop is of, but runs its loop alone where the
/// pool is taken. So whoever has a pool goes on, comes to its end, and gives the pool to one that waits; and those that
/// wait have none. (Bodies must not wait for other threads' loops in ways of their own, by locks for example that are
/// held around loops.)
final class LoopQueue: @unchecked Sendable {
    // Tickets that were given out, and the ticket whose turn it is: nobody has the pool where they are the same.
    private let given = Atomic<Int>(0)
    private let served = Atomic<Int>(0)
    private let sleepers = Atomic<Int>(0)
    private let waits = Atomic<Int>(0)
    private let nanoseconds = Atomic<Int>(0)
    private let alone = Atomic<Int>(0)
    private let mutex = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)
    private let condition = UnsafeMutablePointer<pthread_cond_t>.allocate(capacity: 1)

    /// Pauses before a thread that waits goes to sleep: some tens of microseconds.
    private static let pauses = 2000

    init() {
        pthread_mutex_init(mutex, nil)
        pthread_cond_init(condition, nil)
    }

    deinit {
        pthread_mutex_destroy(mutex)
        pthread_cond_destroy(condition)
        mutex.deallocate()
        condition.deallocate()
    }

    /// Takes the pool, now or when its turn has come; false where it is taken and the caller must not wait.
    func enter(mayWait: Bool) -> Bool {
        let turn = served.load(ordering: .acquiring)
        if given.compareExchange(expected: turn, desired: turn + 1, ordering: .acquiring).exchanged { return true }
        guard mayWait else {
            alone.add(1, ordering: .relaxed)
            return false
        }
        let ticket = given.add(1, ordering: .relaxed).oldValue
        if served.load(ordering: .acquiring) != ticket { wait(for: ticket) }
        return true
    }

    /// Gives the pool to the next in the queue.
    func leave() {
        served.add(1, ordering: .sequentiallyConsistent)
        guard sleepers.load(ordering: .sequentiallyConsistent) > 0 else { return }
        pthread_mutex_lock(mutex)
        pthread_cond_broadcast(condition)
        pthread_mutex_unlock(mutex)
    }

    var contention: ThreadPool.Contention {
        ThreadPool.Contention(
            waits: waits.load(ordering: .relaxed), waited: .nanoseconds(nanoseconds.load(ordering: .relaxed)),
            alone: alone.load(ordering: .relaxed))
    }

    private func wait(for ticket: Int) {
        // Before the wait, so that others see that there is one.
        waits.add(1, ordering: .sequentiallyConsistent)
        let start = ContinuousClock.now
        defer {
            let time = (ContinuousClock.now - start).components
            nanoseconds.add(
                Int(time.seconds) * 1_000_000_000 + Int(time.attoseconds / 1_000_000_000), ordering: .relaxed)
        }
        for _ in 0..<Self.pauses {
            if served.load(ordering: .acquiring) == ticket { return }
            pith_pause()
        }
        // It counts itself before it looks again, and `leave` moves on before it looks who sleeps: one sees the other.
        pthread_mutex_lock(mutex)
        sleepers.add(1, ordering: .sequentiallyConsistent)
        while served.load(ordering: .sequentiallyConsistent) != ticket { pthread_cond_wait(condition, mutex) }
        sleepers.subtract(1, ordering: .relaxed)
        pthread_mutex_unlock(mutex)
    }
}
