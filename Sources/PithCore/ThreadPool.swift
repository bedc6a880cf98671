import Synchronization

#if canImport(Darwin)
    import Darwin
#else
    import Glibc
#endif

/// A fixed set of threads that share loops.
///
/// A loop is cut into blocks by its grain alone, so that which numbers are computed together, and with it every
/// result, is the same at any thread count. Idle workers spin for some microseconds, then sleep.
public final class ThreadPool: Sendable {
    /// Threads that work, the calling one included.
    public let threadCount: Int

    private let state: SharedState

    /// Creates a pool of `threads` threads; by default one for each core.
    public init(threads: Int = ThreadPool.coreCount) {
        threadCount = max(1, threads)
        state = SharedState()
        for _ in 1..<threadCount { Self.startWorker(state) }
    }

    deinit { state.stop() }

    /// The number of cores of this machine.
    public static var coreCount: Int { max(1, Int(sysconf(Int32(_SC_NPROCESSORS_ONLN)))) }

    /// Calls `body` on consecutive ranges of at most `grain` indices until all of `0..<count` are done.
    ///
    /// Blocks run in any order and at the same time; `body` must write only what belongs to its range.
    /// Loops do not nest: a loop inside `body` runs on the thread that calls it.
    public func forEachBlock(of count: Int, grain: Int, _ body: (Range<Int>) -> Void) {
        let grain = max(1, grain)
        let blocks = (count + grain - 1) / grain
        func run(_ block: Int) { body(block * grain..<min(count, (block + 1) * grain)) }
        guard blocks > 1, threadCount > 1, state.claim() else {
            for block in 0..<blocks { run(block) }
            return
        }
        withoutActuallyEscaping(run) { escapable in
            state.runLoop(blocks: blocks, escapable)
        }
        state.release()
    }

    private static func startWorker(_ state: SharedState) {
        let retained = Unmanaged.passRetained(state).toOpaque()
        #if canImport(Darwin)
            var thread: pthread_t?
            let status = pthread_create(
                &thread, nil,
                { argument in
                    Unmanaged<SharedState>.fromOpaque(argument).takeRetainedValue().work()
                    return nil
                }, retained)
            if status == 0, let thread { pthread_detach(thread) }
        #else
            var thread = pthread_t()
            let status = pthread_create(
                &thread, nil,
                { argument in
                    Unmanaged<SharedState>.fromOpaque(argument!).takeRetainedValue().work()
                    return nil
                }, retained)
            if status == 0 { pthread_detach(thread) }
        #endif
        // Without the thread the pool still works: the caller takes all blocks.
        if status != 0 { Unmanaged<SharedState>.fromOpaque(retained).release() }
    }
}

/// What the threads of one pool share. A loop is published by a new generation number.
private final class SharedState: @unchecked Sendable {
    // `body` and `blocks` are written by the caller before `generation` moves and read after it did;
    // `entered` counts the workers inside a loop, which the caller waits for before it takes them back.
    private var body: (Int) -> Void = { _ in }
    private let blocks = Atomic<Int>(0)
    private let next = Atomic<Int>(0)
    private let generation = Atomic<Int>(0)
    private let entered = Atomic<Int>(0)
    private let open = Atomic<Bool>(false)
    private let busy = Atomic<Bool>(false)
    private let stopping = Atomic<Bool>(false)
    private let sleepers = Atomic<Int>(0)
    private let mutex = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)
    private let condition = UnsafeMutablePointer<pthread_cond_t>.allocate(capacity: 1)

    /// Turns of the idle loop before a worker sleeps: some tens of microseconds.
    private static let spins = 40_000

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

    func claim() -> Bool { !busy.exchange(true, ordering: .acquiring) }
    func release() { busy.store(false, ordering: .releasing) }

    func runLoop(blocks count: Int, _ loop: @escaping (Int) -> Void) {
        body = loop
        blocks.store(count, ordering: .relaxed)
        next.store(0, ordering: .relaxed)
        open.store(true, ordering: .sequentiallyConsistent)
        generation.add(1, ordering: .sequentiallyConsistent)
        if sleepers.load(ordering: .sequentiallyConsistent) > 0 { wake() }
        takeBlocks()
        open.store(false, ordering: .sequentiallyConsistent)
        // The others may be far from done, or off their cores: then spinning would keep them from the caller's.
        var turns = 0
        while entered.load(ordering: .sequentiallyConsistent) > 0 {
            turns += 1
            if turns > Self.spins { sched_yield() }
        }
        body = { _ in }
    }

    func stop() {
        stopping.store(true, ordering: .sequentiallyConsistent)
        generation.add(1, ordering: .sequentiallyConsistent)
        wake()
    }

    func work() {
        var seen = 0
        while true {
            seen = waitForWork(after: seen)
            if stopping.load(ordering: .sequentiallyConsistent) { return }
            entered.add(1, ordering: .sequentiallyConsistent)
            // A worker that comes late finds the loop closed and must not touch `body`.
            if open.load(ordering: .sequentiallyConsistent) { takeBlocks() }
            entered.subtract(1, ordering: .sequentiallyConsistent)
        }
    }

    private func takeBlocks() {
        let count = blocks.load(ordering: .relaxed)
        while true {
            let block = next.add(1, ordering: .relaxed).oldValue
            if block >= count { return }
            body(block)
        }
    }

    private func waitForWork(after seen: Int) -> Int {
        for _ in 0..<Self.spins {
            let now = generation.load(ordering: .sequentiallyConsistent)
            if now != seen { return now }
        }
        pthread_mutex_lock(mutex)
        sleepers.add(1, ordering: .sequentiallyConsistent)
        while generation.load(ordering: .sequentiallyConsistent) == seen { pthread_cond_wait(condition, mutex) }
        sleepers.subtract(1, ordering: .sequentiallyConsistent)
        pthread_mutex_unlock(mutex)
        return generation.load(ordering: .sequentiallyConsistent)
    }

    private func wake() {
        pthread_mutex_lock(mutex)
        pthread_cond_broadcast(condition)
        pthread_mutex_unlock(mutex)
    }
}
