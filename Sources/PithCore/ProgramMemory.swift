import CPithCore
import Foundation

/// The memory of this program.
public enum ProgramMemory {
    /// Sees to it that a limit can be kept: what is given back goes to the system at once from now on. Says what the
    /// program takes as it stands, with room for its parts that were not touched yet.
    public static func beginLimit() -> ByteCount {
        pith_return_memory()
        // The second number is that of pages in memory; without it, what has been measured.
        let pages = (try? Files.text("/proc/self/statm"))?.split(separator: " ").dropFirst().first.flatMap { Int($0) }
        let resident = (pages ?? 0) * Int(sysconf(Int32(_SC_PAGESIZE)))
        return ByteCount(max(resident, 24 << 20) + (8 << 20))
    }
}
