import Foundation

/// The memory of one coder: a single block of zeros, handed out piece by piece.
///
/// Pages are taken from the system as they are touched, large ones where it has them: the tables are read at random, and
/// with pages of 4 KB most reads would wait for the address to be translated too.
final class LeanArena {
    private let start: UnsafeMutableRawPointer
    private let byteCount: Int
    private let isMapped: Bool
    private var used = 0

    private static let hugePage = 2 << 20

    /// An arena of `byteCount` bytes.
    init(byteCount: Int) {
        // Small blocks come from the allocator: asking the system for pages takes longer than filling them.
        if byteCount >= Self.hugePage {
            let padded = (byteCount + 2 * Self.hugePage - 1) / Self.hugePage * Self.hugePage
            if let block = mmap(nil, padded, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANON, -1, 0),
                block != MAP_FAILED
            {
                #if os(Linux)
                    madvise(block, padded, MADV_HUGEPAGE)
                #endif
                (start, self.byteCount, isMapped) = (block, padded, true)
                return
            }
        }
        start = .allocate(byteCount: byteCount, alignment: 64)
        start.initializeMemory(as: UInt8.self, repeating: 0, count: byteCount)
        (self.byteCount, isMapped) = (byteCount, false)
    }

    deinit { if isMapped { munmap(start, byteCount) } else { start.deallocate() } }

    /// Room for `count` values, all zero, aligned to 64 bytes.
    func take<Value: BitwiseCopyable>(_ type: Value.Type, _ count: Int) -> UnsafeMutablePointer<Value> {
        let place = start + used
        used += Self.size(type, count)
        precondition(used <= byteCount, "the arena of \(byteCount) bytes is too small")
        return place.bindMemory(to: type, capacity: count)
    }

    /// The bytes that `take` needs.
    static func size<Value: BitwiseCopyable>(_ type: Value.Type, _ count: Int) -> Int {
        (count * MemoryLayout<Value>.stride + 63) & ~63
    }
}
