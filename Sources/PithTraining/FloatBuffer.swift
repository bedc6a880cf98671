/// Floats of its own, aligned to 64 bytes, zero at first.
final class FloatBuffer {
    let count: Int
    let pointer: UnsafeMutablePointer<Float>

    init(count: Int) {
        self.count = count
        pointer = allocateFloats(count)
        pointer.initialize(repeating: 0, count: count)
    }

    deinit { UnsafeMutableRawPointer(pointer).deallocate() }

    var bytes: UnsafeMutableRawBufferPointer {
        UnsafeMutableRawBufferPointer(start: pointer, count: count * MemoryLayout<Float>.stride)
    }
}

/// Lends uninitialised buffers and takes them back, so that a training step allocates nothing after the first.
final class BufferPool {
    private var free: [Int: [UnsafeMutablePointer<Float>]] = [:]
    private var lent: [UnsafeMutablePointer<Float>: Int] = [:]

    /// A buffer of `count` floats with any content.
    func take(_ count: Int) -> UnsafeMutablePointer<Float> {
        let pointer = free[count]?.popLast() ?? allocateFloats(count)
        lent[pointer] = count
        return pointer
    }

    /// Takes one buffer back.
    func giveBack(_ pointer: UnsafeMutablePointer<Float>) {
        guard let count = lent.removeValue(forKey: pointer) else { return }
        free[count, default: []].append(pointer)
    }

    /// Takes all buffers back.
    func takeAllBack() {
        for (pointer, count) in lent { free[count, default: []].append(pointer) }
        lent.removeAll(keepingCapacity: true)
    }

    deinit {
        takeAllBack()
        for pointers in free.values { for pointer in pointers { UnsafeMutableRawPointer(pointer).deallocate() } }
    }
}

private func allocateFloats(_ count: Int) -> UnsafeMutablePointer<Float> {
    UnsafeMutableRawPointer.allocate(byteCount: max(count, 1) * MemoryLayout<Float>.stride, alignment: 64)
        .bindMemory(to: Float.self, capacity: max(count, 1))
}
