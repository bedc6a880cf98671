import PithCore

/// Owns the tables of an engine: zeros, so that tables which are never touched cost nothing.
final class Arena {
    private var blocks: [ZeroedMemory] = []
    private var next: UnsafeMutableRawPointer
    private var left: Int

    /// Blocks that are added when the first is full.
    private static let furtherBlock = 64 << 20

    /// An arena for about `byteCount` bytes; throws if there is no room for so many.
    init(expecting byteCount: Int) throws(PithError) {
        let block = try ZeroedMemory(byteCount: byteCount)
        (blocks, next, left) = ([block], block.start, byteCount)
    }

    /// Zeros for `count` values, at the beginning of a cache line.
    func allocate<Element: BitwiseCopyable>(_ count: Int, of type: Element.Type = Element.self)
        -> UnsafeMutablePointer<Element>
    {
        let bytes = (max(1, count) * MemoryLayout<Element>.stride + 63) & ~63
        let isLarge = bytes >= 4 * ZeroedMemory.largePage
        func gap() -> Int { isLarge ? -Int(bitPattern: next) & (ZeroedMemory.largePage - 1) : 0 }
        if gap() + bytes > left {
            let size = max(Self.furtherBlock, bytes + ZeroedMemory.largePage)
            // What goes beyond the estimate is little.
            guard let block = try? ZeroedMemory(byteCount: size) else {
                preconditionFailure("no memory for \(size) bytes")
            }
            blocks.append(block)
            (next, left) = (block.start, size)
        }
        let start = next + gap()
        (next, left) = (start + bytes, left - gap() - bytes)
        if isLarge { ZeroedMemory.preferLargePages(start, bytes) }
        return start.bindMemory(to: Element.self, capacity: count)
    }

    /// A copy of an array.
    func copy<Element: BitwiseCopyable>(_ values: [Element]) -> UnsafeMutablePointer<Element> {
        let result = allocate(values.count, of: Element.self)
        for (index, value) in values.enumerated() { result[index] = value }
        return result
    }
}
