/// What followed the last times that a context was seen, as a context itself.
struct IndirectContexts {
    // The last bytes that followed each byte, each pair of bytes, and a hash of three, the newest lowest.
    private let afterOne: UnsafeMutablePointer<UInt32>
    private let afterTwo: UnsafeMutablePointer<UInt32>
    private let afterThree: UnsafeMutablePointer<UInt32>
    private let isBest: Bool
    private static let hashBits = 16

    init(_ settings: MixSettings, _ arena: Arena) {
        isBest = settings.effort == .best
        afterOne = arena.allocate(256)
        afterTwo = arena.allocate(1 << 16)
        afterThree = arena.allocate(1 << Self.hashBits)
    }

    var count: Int { isBest ? 7 : 4 }

    private func place(_ bytes: UInt64) -> Int { Int(Hash.combine(3, bytes) >> UInt64(64 - Self.hashBits)) }

    func add(_ history: History, to bank: inout ContextBank) {
        let last = history.last
        let byte = UInt32(truncatingIfNeeded: last & 255)
        let (one, two) = (Int(last >> 8 & 255), Int(last >> 8 & 0xFFFF))
        let three = place(last >> 8 & 0xFF_FFFF)
        afterOne[one] = afterOne[one] << 8 | byte
        afterTwo[two] = afterTwo[two] << 8 | byte
        afterThree[three] = afterThree[three] << 8 | byte
        let first = UInt64(afterOne[Int(last & 255)])
        let second = UInt64(afterTwo[Int(last & 0xFFFF)])
        let third = UInt64(afterThree[place(last & 0xFF_FFFF)])
        bank.add(Hash.combine(first & 0xFFFF, UInt64(byte)))
        bank.add(Hash.combine(second & 0xFFFF, UInt64(byte)))
        bank.add(Hash.combine(second & 0xFF_FFFF, UInt64(1)))
        bank.add(Hash.combine(third & 0xFFFF, UInt64(byte)))
        guard isBest else { return }
        bank.add(Hash.combine(first & 0xFF_FFFF, UInt64(2)))
        bank.add(Hash.combine(second & 0xFF, last & 0xFFFF))
        bank.add(Hash.combine(third & 0xFF, last & 0xFF_FFFF))
    }
}
