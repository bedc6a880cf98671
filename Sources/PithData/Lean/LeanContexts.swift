/// The contexts of the next byte, each hashed: what the bytes before it are to each model.
struct LeanContexts {
    /// The largest number of contexts.
    static let capacity = 8
    /// The number of contexts.
    let count: Int
    /// [count]
    let hashes: UnsafeMutablePointer<UInt64>
    private let isText: Bool
    private let stride: Int
    /// The last eight bytes, the last one lowest.
    private(set) var recent: UInt64 = 0
    private var word: UInt64 = 0
    private var lastWord: UInt64 = 0

    init(_ profile: LeanProfile, arena: LeanArena) {
        hashes = arena.take(UInt64.self, Self.capacity)
        isText = profile.isText
        count = isText ? 6 : 8
        stride = profile.stride
    }

    /// Takes in a byte and makes the contexts of the one at `end`.
    @inline(__always)
    mutating func advance(_ byte: UInt8, _ window: LeanWindow, end: Int) {
        recent = recent &<< 8 | UInt64(byte)
        set(0, recent & 0xFFFF)
        set(1, recent & 0xFF_FFFF)
        set(2, recent & 0xFFFF_FFFF)
        set(3, recent & 0xFFFF_FFFF_FFFF)
        if isText { advanceText(byte) } else { advanceRecords(window, end: end) }
    }

    @inline(__always)
    private mutating func advanceText(_ byte: UInt8) {
        let folded = byte | 32
        if folded >= 97 && folded <= 122 || byte >= 128 {
            word = (word &+ UInt64(folded)) &* 0x2F0B_4C47_9E37_79B1
        } else if word != 0 {
            lastWord = word
            word = 0
        }
        set(4, word &+ UInt64(byte) &<< 56)
        set(5, (word &+ lastWord &* 0x5851_F42D_4C95_7F2D) ^ UInt64(byte))
    }

    @inline(__always)
    private mutating func advanceRecords(_ window: LeanWindow, end: Int) {
        let stride = stride == 0 ? 4 : stride
        let above = UInt64(window[end &- stride])
        let column = UInt64(truncatingIfNeeded: end % stride)
        let diagonal = UInt64(window[end &- stride &+ 1]) &<< 8 | UInt64(window[end &- stride &- 1])
        set(4, above | UInt64(window[end &- 2 &* stride]) &<< 8 | column &<< 32)
        set(5, above | (recent & 0xFF) &<< 8 | diagonal &<< 16)
        set(6, recent & 0xFF00 | column &<< 32)
        set(7, recent & 0xFF_FF00)
    }

    @inline(__always)
    private func set(_ index: Int, _ context: UInt64) {
        hashes[index] = LeanSlots.hash(context &+ UInt64(index &+ 1) &* 0xD6E8_FEB8_6659_FD93)
    }
}
