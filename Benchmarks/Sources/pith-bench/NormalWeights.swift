import Pith

/// Normal random numbers of the scale of trained weights, many and quickly: drawn from a table of 65536 of them.
struct NormalWeights {
    private static let deviation: Float = 0.02
    private let type: ElementType
    // The table in the bits of `type`.
    private let bits: [UInt16]

    /// Numbers in F16 or BF16.
    init(_ type: ElementType) {
        precondition(type.byteCount == 2, "a type of two bytes")
        var generator = SeededGenerator(seed: 0)
        let table = StoredTensor(generator.normalTensor([1 << 16], scale: Self.deviation), as: type)
        self.type = type
        bits = table.region.withBytes { Array($0.bindMemory(to: UInt16.self)) }
    }

    /// A tensor that follows from the seed.
    func tensor(_ shape: [Int], seed: UInt64) -> StoredTensor {
        let count = shape.reduce(1, *)
        var generator = SeededGenerator(seed: seed)
        let numbers = [UInt16](unsafeUninitializedCapacity: count + 3) { buffer, initialized in
            bits.withUnsafeBufferPointer { bits in
                for start in stride(from: 0, to: count, by: 4) {
                    let random = generator.next()
                    for i in 0..<4 { buffer[start + i] = bits[Int(random >> (16 * i) & 0xFFFF)] }
                }
            }
            initialized = count
        }
        return StoredTensor(type: type, shape: shape, region: ByteRegion(copying: numbers))
    }
}
