#if canImport(Darwin)
    import Darwin
#else
    import Glibc
#endif

/// Numbers of the calling thread that its loops take along to the threads they run on, and that threads inherit from
/// the one that starts them.
package enum ThreadContext {
    private static let valueKey = makeKey()
    private static let loopKey = makeKey()

    private static func makeKey() -> pthread_key_t {
        var key = pthread_key_t()
        precondition(pthread_key_create(&key, nil) == 0, "the system has no key left for a value of each thread")
        return key
    }

    /// What was chosen for one piece of work and for no other that runs beside it; 0 where nothing was.
    package static var value: Int {
        get { Int(bitPattern: pthread_getspecific(valueKey)) }
        set { pthread_setspecific(valueKey, UnsafeRawPointer(bitPattern: newValue)) }
    }

    /// The pool whose loop waits for what this thread does, as a number of its own; 0 where there is none.
    static var loop: Int {
        get { Int(bitPattern: pthread_getspecific(loopKey)) }
        set { pthread_setspecific(loopKey, UnsafeRawPointer(bitPattern: newValue)) }
    }
}
