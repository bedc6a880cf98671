import Foundation
import Synchronization

/// What happens when a signal asks the program to end: what is half-written goes first, then the program, by the same
/// signal.
public enum Interruption {
    /// What is done on Ctrl-C, and whether that goes for one time only.
    private static let onInterrupt = Mutex<(body: @Sendable () -> Void, isOnce: Bool)?>(nil)
    // Where the signal handler writes, which may do next to nothing else.
    nonisolated(unsafe) private static var pipeEnd: Int32 = -1

    /// Signals that end a program. `SIGXFSZ` is left out: without it writing too much is an error like others.
    private static let signals = [SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGXCPU, SIGPIPE, SIGBUS]

    /// From now on signals that end the program leave nothing half-written. To be called once, before there are threads.
    public static func install() {
        // The user's mask can be asked for by setting it only, which other threads would notice.
        _ = FileAttributes.new
        var ends = [Int32](repeating: 0, count: 2)
        guard pipe(&ends) == 0 else { return }
        for end in ends { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
        pipeEnd = ends[1]
        let readEnd = ends[0]
        guard ThreadPool.startThread({ watch(readEnd) }) else { return }
        signal(SIGXFSZ, SIG_IGN)
        // Programs may be started by threads that block signals, and inherit that.
        var all = sigset_t()
        sigemptyset(&all)
        for number in signals { sigaddset(&all, number) }
        pthread_sigmask(SIG_UNBLOCK, &all, nil)
        for number in signals {
            // What was told to be ignored stays so, for example by nohup.
            var action = sigaction()
            sigaction(number, nil, &action)
            if !isIgnoring(action) { signal(number, handler) }
        }
    }

    /// Does `body` on the first Ctrl-C while `work` runs, instead of ending the program; the second one ends it, unless
    /// `body` is to be done every time.
    public static func handling<Result>(
        by body: @escaping @Sendable () -> Void, everyTime: Bool = false, _ work: () throws -> Result
    ) rethrows -> Result {
        onInterrupt.withLock { $0 = (body, !everyTime) }
        defer { onInterrupt.withLock { $0 = nil } }
        return try work()
    }

    private static func isIgnoring(_ action: sigaction) -> Bool {
        #if canImport(Darwin)
            let handler = action.__sigaction_u.__sa_handler
        #else
            let handler = action.__sigaction_handler.sa_handler
        #endif
        return unsafeBitCast(handler, to: Int.self) == unsafeBitCast(SIG_IGN, to: Int.self)
    }

    private static let handler: @convention(c) (Int32) -> Void = { number in
        let before = errno
        var byte = UInt8(truncatingIfNeeded: number)
        _ = write(pipeEnd, &byte, 1)
        // Returning would touch the same memory again; the watching thread ends the program.
        while number == SIGBUS { pause() }
        errno = before
    }

    private static func takeBody() -> (@Sendable () -> Void)? {
        onInterrupt.withLock { handler in
            let body = handler?.body
            if handler?.isOnce == true { handler = nil }
            return body
        }
    }

    private static func watch(_ readEnd: Int32) {
        var byte: UInt8 = 0
        while true {
            let count = read(readEnd, &byte, 1)
            if count < 0 && errno == EINTR { continue }
            guard count == 1 else { return }
            let number = Int32(byte)
            if number == SIGINT, let body = takeBody() {
                body()
                continue
            }
            UnfinishedFiles.removeAll()
            if number == SIGBUS {
                Progress.write("pith: a file became shorter while it was read, or its disk failed\n")
                _exit(PithError.Kind.fault.rawValue)
            }
            signal(number, SIG_DFL)
            kill(getpid(), number)
        }
    }
}
