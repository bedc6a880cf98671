import Pith

/// How other programs store a matrix: the types of GGUF files that are measured.
struct GGUFType: Hashable, Sendable {
    /// The name in tables.
    let name: String
    /// The number in files.
    let identifier: UInt32
    /// Weights that are stored together; rows are made of whole blocks.
    let blockSize: Int
    /// Bytes of a block.
    let blockBytes: Int
    /// Where the F16 factors of a block stand, and what they are; all other bytes are codes.
    let factors: [Int: UInt16]
    /// What products are computed in there, where the machine has the instructions.
    let arithmetic: Arithmetic

    // Factors make uniform codes as wide as weights of standard deviation 0.02; those of K types multiply six-bit
    // scales as well.
    static let f16 = GGUFType("F16", 1, blockSize: 1, bytes: 2, [:], .float32)
    static let bf16 = GGUFType("BF16", 30, blockSize: 1, bytes: 2, [:], .bfloat16)
    static let q80 = GGUFType("Q8_0", 8, blockSize: 32, bytes: 34, [0: 0.02 / 74], .int8)
    static let q40 = GGUFType("Q4_0", 2, blockSize: 32, bytes: 18, [0: 0.02 / 4.6], .int8)
    static let q4K = GGUFType("Q4_K", 12, blockSize: 256, bytes: 144, [0: 0.02 / 170, 2: 0.02 / 23], .int8)
    static let q3K = GGUFType("Q3_K", 11, blockSize: 256, bytes: 110, [108: 0.02 / 42], .int8)
    static let q2K = GGUFType("Q2_K", 10, blockSize: 256, bytes: 84, [80: 0.02 / 10, 82: 0.02 / 7], .int8)

    private init(
        _ name: String, _ identifier: UInt32, blockSize: Int, bytes: Int, _ factors: [Int: Float],
        _ arithmetic: Arithmetic
    ) {
        self.name = name
        self.identifier = identifier
        self.blockSize = blockSize
        blockBytes = bytes
        self.factors = factors.mapValues { halfBits([$0])[0] }
        self.arithmetic = arithmetic
    }

    /// Bits of a block over its weights.
    var bitsPerWeight: Double { Double(blockBytes * 8) / Double(blockSize) }

    /// Whether all rows of a model's matrices are whole blocks.
    func fits(_ configuration: ModelConfiguration) -> Bool {
        configuration.parameters.allSatisfy { $0.kind == .vector || $0.shape[1] % blockSize == 0 }
    }

    /// The bytes of a matrix of `count` random weights.
    func randomMatrix(_ count: Int, seed: UInt64) -> StoredTensor {
        switch self {
        case .f16: return NormalWeights(.float16).tensor([count], seed: seed)
        case .bf16: return NormalWeights(.bfloat16).tensor([count], seed: seed)
        default:
            return StoredTensor(
                bytes: randomBlocks(count / blockSize, seed: seed), shape: [count / blockSize * blockBytes])
        }
    }

    private func randomBlocks(_ count: Int, seed: UInt64) -> [UInt8] {
        var bytes = randomBytes(count * blockBytes, seed: seed)
        for block in 0..<count {
            for (offset, factor) in factors {
                bytes[block * blockBytes + offset] = UInt8(factor & 0xFF)
                bytes[block * blockBytes + offset + 1] = UInt8(factor >> 8)
            }
        }
        return bytes
    }
}

/// Random bytes from a seed.
private func randomBytes(_ count: Int, seed: UInt64) -> [UInt8] {
    var generator = SeededGenerator(seed: seed)
    return [UInt8](unsafeUninitializedCapacity: count + 7) { buffer, initialized in
        let raw = UnsafeMutableRawBufferPointer(buffer)
        for word in 0..<(count + 7) / 8 {
            raw.storeBytes(of: generator.next(), toByteOffset: word * 8, as: UInt64.self)
        }
        initialized = count
    }
}
