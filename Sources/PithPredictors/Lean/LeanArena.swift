import PithCore

/// The memory of one coder: a single block of zeros, handed out piece by piece.
final class LeanArena {
    private let memory: ZeroedMemory
    private var used = 0

    /// An arena of `byteCount` bytes; throws if there is no room for them.
    init(byteCount: Int) throws(PithError) {
        guard byteCount >= ZeroedMemory.largePage else {
            memory = try ZeroedMemory(byteCount: byteCount)
            return
        }
        let page = ZeroedMemory.largePage
        memory = try ZeroedMemory(byteCount: (byteCount + 2 * page - 1) / page * page)
        ZeroedMemory.preferLargePages(memory.start, memory.byteCount)
    }

    /// Room for `count` values, all zero, aligned to 64 bytes.
    func take<Value: BitwiseCopyable>(_ type: Value.Type, _ count: Int) -> UnsafeMutablePointer<Value> {
        let place = memory.start + used
        used += Self.size(type, count)
        precondition(used <= memory.byteCount, "the arena of \(memory.byteCount) bytes is too small")
        return place.bindMemory(to: type, capacity: count)
    }

    /// The bytes that `take` needs.
    static func size<Value: BitwiseCopyable>(_ type: Value.Type, _ count: Int) -> Int {
        (count * MemoryLayout<Value>.stride + 63) & ~63
    }
}
