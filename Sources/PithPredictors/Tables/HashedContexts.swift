import PithCoding

/// Seven contexts of the bits of a cell, hashed into one table of what was seen in each.
struct HashedContexts {
    typealias Hashes = (UInt64, UInt64, UInt64, UInt64, UInt64, UInt64, UInt64)
    typealias Places = (Int, Int, Int, Int, Int, Int, Int)
    /// How many bits each context remembers; see `AdaptiveBit`.
    typealias Limits = (UInt32, UInt32, UInt32, UInt32, UInt32, UInt32, UInt32)

    /// The number of contexts.
    static let count = 7

    /// [2^bits].
    private var slots: [AdaptiveBit]
    private let shift: UInt64
    private let limits: Limits

    init(bits: Int, limits: Limits) {
        slots = [AdaptiveBit](repeating: AdaptiveBit(), count: 1 << bits)
        shift = UInt64(64 - bits)
        self.limits = limits
    }

    /// Where the contexts keep what comes behind the bits of `node`.
    @inline(__always)
    func places(of hashes: Hashes, node: Int) -> Places {
        let mark = UInt64(node) &* 0x2545_F491_4F6C_DD1D
        @inline(__always) func place(_ hash: UInt64) -> Int {
            Int(truncatingIfNeeded: ((hash ^ mark) &* 0x9E37_79B9_7F4A_7C15) >> shift)
        }
        return (
            place(hashes.0), place(hashes.1), place(hashes.2), place(hashes.3), place(hashes.4), place(hashes.5),
            place(hashes.6)
        )
    }

    /// The first inputs of a mixer.
    @inline(__always)
    func predict(_ places: Places, into mixer: inout LogisticMixer) {
        mixer.setInput(0, stretched: Logistic.stretch(slots[places.0].probability))
        mixer.setInput(1, stretched: Logistic.stretch(slots[places.1].probability))
        mixer.setInput(2, stretched: Logistic.stretch(slots[places.2].probability))
        mixer.setInput(3, stretched: Logistic.stretch(slots[places.3].probability))
        mixer.setInput(4, stretched: Logistic.stretch(slots[places.4].probability))
        mixer.setInput(5, stretched: Logistic.stretch(slots[places.5].probability))
        mixer.setInput(6, stretched: Logistic.stretch(slots[places.6].probability))
    }

    /// Learns the bit that was predicted.
    @inline(__always)
    mutating func update(_ places: Places, _ bit: Bool) {
        slots[places.0].update(bit, limit: limits.0)
        slots[places.1].update(bit, limit: limits.1)
        slots[places.2].update(bit, limit: limits.2)
        slots[places.3].update(bit, limit: limits.3)
        slots[places.4].update(bit, limit: limits.4)
        slots[places.5].update(bit, limit: limits.5)
        slots[places.6].update(bit, limit: limits.6)
    }
}

/// Two numbers as one that looks random.
@inline(__always)
func hash(_ a: UInt64, _ b: UInt64) -> UInt64 {
    let mixed = (a &+ 0x632B_E59B_D9B4_E019) &* 0xFF51_AFD7_ED55_8CCD ^ b &* 0xC4CE_B9FE_1A85_EC53
    return (mixed ^ mixed >> 29) &* 0x9E37_79B9_7F4A_7C15
}
