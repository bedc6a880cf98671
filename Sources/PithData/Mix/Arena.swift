import CPithKernels

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#elseif canImport(Darwin)
    import Darwin
#endif

/// Owns the tables of an engine: plain memory, zero at first, so that tables which are never touched cost nothing.
final class Arena {
    private var blocks: [UnsafeMutableRawPointer] = []

    /// Zeros for `count` values, at the beginning of a cache line.
    func allocate<Element: BitwiseCopyable>(_ count: Int, of type: Element.Type = Element.self)
        -> UnsafeMutablePointer<Element>
    {
        let bytes = max(1, count) * MemoryLayout<Element>.stride
        let line = 64
        let isLarge = bytes >= 4 * Self.pageSize
        let alignment = isLarge ? Self.pageSize : line
        guard let block = calloc(bytes + alignment, 1) else { fatalError("no memory for \(bytes) bytes") }
        blocks.append(block)
        let start = UnsafeMutableRawPointer(bitPattern: (Int(bitPattern: block) + alignment - 1) & -alignment)!
        #if os(Linux)
            // Hashed tables are read all over: small pages would cost a walk of the page table for each read.
            if isLarge { madvise(start, bytes, 14) }  // MADV_HUGEPAGE
        #endif
        return start.bindMemory(to: Element.self, capacity: count)
    }

    /// A copy of an array.
    func copy<Element: BitwiseCopyable>(_ values: [Element]) -> UnsafeMutablePointer<Element> {
        let result = allocate(values.count, of: Element.self)
        for (index, value) in values.enumerated() { result[index] = value }
        return result
    }

    deinit { for block in blocks { free(block) } }

    // Of the large pages of x86-64.
    private static let pageSize = 1 << 21
}
