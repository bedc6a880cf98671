#if canImport(Darwin)
    import Darwin
#else
    import Glibc
#endif

/// A number of the calling thread that its loops take along to the threads they run on, and that threads inherit from
/// the one that starts them: what was chosen for one piece of work and for no other that runs beside it.
package enum ThreadContext {
    private static let key: pthread_key_t = {
        var key = pthread_key_t()
        precondition(pthread_key_create(&key, nil) == 0, "the system has no key left for a value of each thread")
        return key
    }()

    /// The number; 0 where nothing was chosen.
    package static var value: Int {
        get { Int(bitPattern: pthread_getspecific(key)) }
        set { pthread_setspecific(key, UnsafeRawPointer(bitPattern: newValue)) }
    }
}
