import Foundation

/// Memory that large buffers need: arrays end the program where there is none, so it is asked for before.
public enum Memory {
    /// Throws if `byteCount` bytes cannot be had at once; `purpose` says what they are for.
    ///
    /// What can be had now may be gone later, and systems promise more than they have; but what a limit of the process
    /// or the size of the machine rules out is said here, instead of by a trap.
    public static func require(_ byteCount: Int, for purpose: String) throws(PithError) {
        // Not by malloc, whose calls compilers leave out where nothing is done with the memory.
        let (protection, kind) = (PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS)
        guard byteCount >= 0, let memory = mmap(nil, max(1, byteCount), protection, kind, -1, 0), memory != MAP_FAILED
        else {
            throw .fault(
                "there is no memory for \(purpose): \(ByteCount(byteCount)) were asked for",
                remedy: "free some, raise the limit of the process, or take a smaller model")
        }
        munmap(memory, max(1, byteCount))
    }
}
