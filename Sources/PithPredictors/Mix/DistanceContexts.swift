/// How far back the last byte came before, and where a place is in a word of the machine: for programs and tables.
struct DistanceContexts {
    // [256] and [65536]: where each byte and each pair of bytes ended last.
    private let bytePlaces: UnsafeMutablePointer<UInt32>
    private let pairPlaces: UnsafeMutablePointer<UInt32>
    private let isUsed: Bool

    init(_ settings: MixSettings, _ arena: Arena) {
        isUsed = settings.content.isBinary && settings.effort == .best
        bytePlaces = arena.allocate(isUsed ? 256 : 0)
        pairPlaces = arena.allocate(isUsed ? 1 << 16 : 0)
    }

    var count: Int { isUsed ? 11 : 0 }

    func add(_ history: History, to bank: inout ContextBank) {
        guard isUsed else { return }
        let position = history.position
        let (byte, pair) = (history.lastBytes(1), history.lastBytes(2))
        let byteDistance = distance(bytePlaces, Int(byte), position)
        let pairDistance = distance(pairPlaces, Int(pair), position)
        let zeroDistance = UInt64(min(position - Int(bytePlaces[0]), 255))
        let alignment = UInt64(position & 3)
        bank.add(Hash.combine(min(byteDistance, 255) >> 2, byte))
        bank.add(Hash.combine(logarithm(pairDistance), pair))
        bank.add(Hash.combine(logarithm(byteDistance), history.lastBytes(3)))
        bank.add(Hash.combine(min(byteDistance, 255), UInt64(history.byte(Int(byteDistance)))))
        bank.add(Hash.combine(zeroDistance, UInt64(1)))
        bank.add(Hash.combine(zeroDistance, byte))
        bank.add(Hash.combine(alignment, byte))
        bank.add(Hash.combine(alignment, pair))
        bank.add(Hash.combine(alignment & 1, history.lastBytes(4) & 0xFF00_FFFF))
        bank.add(Hash.combine(alignment, history.lastBytes(4) & 0xFF00_FF00))
        bank.add(Hash.combine(alignment & 1, history.lastBytes(6) & 0xFFFF_0000_FFFF))
    }

    /// How far behind its last place a value ends now; notes the place.
    private func distance(_ places: UnsafeMutablePointer<UInt32>, _ value: Int, _ position: Int) -> UInt64 {
        let result = UInt64(position - Int(places[value]))
        places[value] = UInt32(truncatingIfNeeded: position)
        return result
    }

    /// About twice the logarithm, so that far distances are told apart coarsely.
    private func logarithm(_ distance: UInt64) -> UInt64 {
        let bits = UInt64(64 - distance.leadingZeroBitCount)
        return bits < 2 ? distance : bits << 1 | (distance >> (bits - 2) & 1)
    }
}
