import Foundation
import PithCore

/// A block of zeros at the beginning of a cache line, given back with its owner. Pages are taken from the system as they
/// are touched, so that what is never touched costs nothing.
package final class ZeroedMemory {
    /// Where the block begins: at a page where it is large.
    package let start: UnsafeMutableRawPointer
    /// Its bytes.
    package let byteCount: Int
    private let block: UnsafeMutableRawPointer
    private let isMapped: Bool

    /// The large pages of x86-64.
    static let largePage = 2 << 20

    /// A block of `byteCount` bytes; throws if the system has no room for it.
    package init(byteCount: Int) throws(PithError) {
        self.byteCount = byteCount
        // Small blocks come from the allocator: asking the system for pages takes longer than filling them.
        isMapped = byteCount >= Self.largePage
        let found: UnsafeMutableRawPointer?
        if isMapped {
            let map = mmap(nil, byteCount, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANON, -1, 0)
            found = map == MAP_FAILED ? nil : map
        } else {
            found = calloc(byteCount + 64, 1)
        }
        guard let found else {
            throw .fault(
                "there is no memory for \(ByteCount(byteCount))",
                remedy: "allow less with --memory-limit, or choose a faster level")
        }
        block = found
        start = UnsafeMutableRawPointer(bitPattern: (Int(bitPattern: found) + 63) & -64)!
    }

    deinit { if isMapped { munmap(block, byteCount) } else { free(block) } }

    /// Asks for large pages: tables are read at random, and with pages of 4 KB most reads would wait for the address to
    /// be translated too.
    static func preferLargePages(_ start: UnsafeMutableRawPointer, _ byteCount: Int) {
        #if os(Linux)
            madvise(start, byteCount, MADV_HUGEPAGE)
        #endif
    }
}
