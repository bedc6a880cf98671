import CPithCore
import Synchronization

#if canImport(Darwin)
    import Darwin
#else
    import Glibc
#endif

/// A fixed set of threads that share loops.
///
/// A loop is cut into blocks by its grain alone, so that which numbers are computed together, and with it every
/// result, is the same at any thread count. Each thread begins with a share of its own, the same in every loop of the
/// same length, so that what it read last time is still in its cache; then it takes over what others have left.
/// Idle workers spin for some tens of microseconds, then sleep.
public final class ThreadPool: Sendable {
    /// Threads that a loop is shared among, the calling one included.
    public let threadCount: Int
    /// Those of them that the system did not start. The pool works all the same: the others take their shares.
    public let missingThreadCount: Int

    private let state: SharedState

    /// How many threads a pool can have.
    public static let threadRange = 1...1024

    /// Creates a pool of `threads` threads, no fewer and no more than `threadRange` allows; by default one for each
    /// core.
    public init(threads: Int = ThreadPool.coreCount) {
        threadCount = min(max(threads, Self.threadRange.lowerBound), Self.threadRange.upperBound)
        state = SharedState(threads: threadCount)
        var missing = 0
        for worker in 1..<threadCount where !Self.startThread({ [state] in state.work(worker) }) { missing += 1 }
        missingThreadCount = missing
    }

    deinit { state.stop() }

    /// The number of cores of this machine.
    public static var coreCount: Int { max(1, Int(sysconf(Int32(_SC_NPROCESSORS_ONLN)))) }

    /// Calls `body` on consecutive ranges of at most `grain` indices until all of `0..<count` are done.
    ///
    /// Blocks run in any order and at the same time. What `body` takes along is `Sendable`; what it writes comes from
    /// one of the other forms of this loop.
    ///
    /// One loop has the pool at a time. A loop inside `body` runs on the thread that calls it; that of another thread
    /// waits for its turn, in the order of their coming, and `contention` counts it.
    public func forEachBlock(of count: Int, grain: Int, _ body: @Sendable (Range<Int>) -> Void) {
        let grain = max(1, grain)
        let blocks = (count + grain - 1) / grain
        guard blocks > 1, threadCount > 1, state.enter() else {
            for block in 0..<max(0, blocks) { body(block * grain..<min(count, (block + 1) * grain)) }
            return
        }
        withoutActuallyEscaping(body) { escapable in
            state.runLoop(
                Loop(body: escapable, count: count, grain: grain, blocks: blocks, context: ThreadContext.value))
        }
        state.leave()
    }

    /// How often loops found the pool busy.
    public struct Contention: Sendable, Equatable {
        /// Loops that waited until those of other threads before them were done.
        public var waits = 0
        /// How long they waited, all in all.
        public var waited = Duration.zero
        /// Loops inside loops of other pools, which never wait and so ran on their caller alone.
        public var alone = 0

        /// In a sentence; nil where no loop found the pool busy.
        public var summary: String? {
            guard waits + alone > 0 else { return nil }
            let milliseconds = (1000 * waited.seconds).formatted(decimals: 1)
            return "\(waits) loops waited \(milliseconds) ms for those of other threads, \(alone) ran on one thread"
        }
    }

    /// How often loops found the pool busy so far.
    public var contention: Contention { state.contention }

    /// What a thread is started with.
    private final class Work {
        let run: () -> Void

        init(_ run: @escaping () -> Void) { self.run = run }
    }

    /// Starts a thread that runs `work` and ends; false if there can be none.
    static func startThread(_ work: @escaping @Sendable () -> Void) -> Bool {
        let (context, loop) = (ThreadContext.value, ThreadContext.loop)
        let inheriting = Work {
            (ThreadContext.value, ThreadContext.loop) = (context, loop)
            work()
        }
        let retained = Unmanaged.passRetained(inheriting).toOpaque()
        #if canImport(Darwin)
            var thread: pthread_t?
            let status = pthread_create(
                &thread, nil,
                { argument in
                    Unmanaged<Work>.fromOpaque(argument).takeRetainedValue().run()
                    return nil
                }, retained)
            if status == 0, let thread { pthread_detach(thread) }
        #else
            var thread = pthread_t()
            let status = pthread_create(
                &thread, nil,
                { argument in
                    Unmanaged<Work>.fromOpaque(argument!).takeRetainedValue().run()
                    return nil
                }, retained)
            if status == 0 { pthread_detach(thread) }
        #endif
        if status != 0 { Unmanaged<Work>.fromOpaque(retained).release() }
        return status == 0
    }
}

/// What is done for all blocks of `0..<count`.
private struct Loop: Sendable {
    var body: @Sendable (Range<Int>) -> Void
    var count: Int
    var grain: Int
    var blocks: Int
    /// The caller's `ThreadContext`.
    var context: Int
}

/// What the threads of one pool share. Loops have numbers: the turn is odd while one is open, and moves on when it is
/// opened and when it is closed.
private final class SharedState: @unchecked Sendable {
    // Written by the caller while no loop is open and no worker inside, read by workers inside an open loop. A worker
    // says that it is inside before it looks whether the loop is still open, and the caller closes the loop before it
    // looks who is inside: one of them sees the other.
    private var loop = Loop(body: { _ in }, count: 0, grain: 1, blocks: 0, context: 0)
    // The loop that the owner of the pool runs this one in.
    private var outerLoop = 0
    private let turn = Atomic<Int>(0)
    private let stopping = Atomic<Bool>(false)
    private let someoneSleeps = Atomic<Bool>(false)
    private let queue = LoopQueue()
    private let threads: Int
    // For each thread the next block of its share, and whether it is inside; on cache lines of their own.
    private let counters: UnsafeMutablePointer<Atomic<Int>>
    private static let line = 16
    private let mutex = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)
    private let condition = UnsafeMutablePointer<pthread_cond_t>.allocate(capacity: 1)

    /// Pauses of a worker before it sleeps: some tens of microseconds.
    private static let pauses = 2000

    init(threads: Int) {
        self.threads = threads
        let size = 2 * Self.line * threads
        counters = UnsafeMutableRawPointer.allocate(byteCount: size * MemoryLayout<Int>.stride, alignment: 128)
            .bindMemory(to: Atomic<Int>.self, capacity: size)
        for i in 0..<size { (counters + i).initialize(to: Atomic(0)) }
        pthread_mutex_init(mutex, nil)
        pthread_cond_init(condition, nil)
    }

    deinit {
        counters.deallocate()
        pthread_mutex_destroy(mutex)
        pthread_cond_destroy(condition)
        mutex.deallocate()
        condition.deallocate()
    }

    /// Takes the pool for a loop of this thread, when its turn has come; false if the thread is to run it alone.
    func enter() -> Bool {
        let loop = ThreadContext.loop
        if loop == identity { return false }
        guard queue.enter(mayWait: loop == 0) else { return false }
        outerLoop = loop
        ThreadContext.loop = identity
        return true
    }

    /// Gives the pool to the next loop.
    func leave() {
        ThreadContext.loop = outerLoop
        queue.leave()
    }

    var contention: ThreadPool.Contention { queue.contention }

    /// What `ThreadContext.loop` is in the loops of this pool.
    private var identity: Int { Int(bitPattern: ObjectIdentifier(self)) }

    private func next(_ thread: Int) -> UnsafeMutablePointer<Atomic<Int>> { counters + 2 * Self.line * thread }
    private func inside(_ thread: Int) -> UnsafeMutablePointer<Atomic<Int>> { next(thread) + Self.line }
    /// The first block of a thread's share.
    private func start(_ thread: Int, _ blocks: Int) -> Int { blocks * thread / threads }

    func runLoop(_ loop: Loop) {
        self.loop = loop
        for thread in 0..<threads {
            next(thread).pointee.store(start(thread, loop.blocks), ordering: .relaxed)
        }
        turn.add(1, ordering: .sequentiallyConsistent)
        wakeSleepers()
        takeBlocks(of: loop, thread: 0)
        turn.add(1, ordering: .sequentiallyConsistent)
        for thread in 1..<threads {
            // The others may be far from done, or off their cores: then spinning would keep them from the caller's.
            var pauses = 0
            while inside(thread).pointee.load(ordering: .sequentiallyConsistent) != 0 {
                pith_pause()
                pauses += 1
                if pauses > Self.pauses { sched_yield() }
            }
        }
        self.loop.body = { _ in }
    }

    func stop() {
        stopping.store(true, ordering: .sequentiallyConsistent)
        turn.add(1, ordering: .sequentiallyConsistent)
        wakeSleepers()
    }

    func work(_ thread: Int) {
        var seen = 0
        ThreadContext.loop = identity
        while true {
            seen = waitForTurn(after: seen)
            if stopping.load(ordering: .sequentiallyConsistent) { return }
            inside(thread).pointee.store(1, ordering: .sequentiallyConsistent)
            let now = turn.load(ordering: .sequentiallyConsistent)
            if now % 2 == 1 {
                seen = now
                ThreadContext.value = loop.context
                takeBlocks(of: loop, thread: thread)
            }
            inside(thread).pointee.store(0, ordering: .releasing)
        }
    }

    /// Its own share first, then those of the threads behind it.
    private func takeBlocks(of loop: Loop, thread: Int) {
        let body = loop.body
        for turn in 0..<threads {
            let owner = (thread + turn) % threads
            let end = start(owner + 1, loop.blocks)
            let counter = next(owner)
            while counter.pointee.load(ordering: .relaxed) < end {
                let block = counter.pointee.add(1, ordering: .relaxed).oldValue
                if block >= end { break }
                body(block * loop.grain..<min(loop.count, (block + 1) * loop.grain))
            }
        }
    }

    /// Waits for an open loop that comes after `seen`, or for the end.
    private func waitForTurn(after seen: Int) -> Int {
        func isNew(_ turn: Int) -> Bool { turn != seen && turn % 2 == 1 }
        for _ in 0..<Self.pauses {
            let now = turn.load(ordering: .acquiring)
            if isNew(now) { return now }
            pith_pause()
        }
        pthread_mutex_lock(mutex)
        defer { pthread_mutex_unlock(mutex) }
        while true {
            someoneSleeps.store(true, ordering: .sequentiallyConsistent)
            let now = turn.load(ordering: .sequentiallyConsistent)
            if isNew(now) { return now }
            pthread_cond_wait(condition, mutex)
        }
    }

    private func wakeSleepers() {
        guard someoneSleeps.load(ordering: .sequentiallyConsistent),
            someoneSleeps.exchange(false, ordering: .sequentiallyConsistent)
        else { return }
        pthread_mutex_lock(mutex)
        pthread_cond_broadcast(condition)
        pthread_mutex_unlock(mutex)
    }
}
