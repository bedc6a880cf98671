/// The contexts of the next byte, each hashed: what the bytes before it are to each model.
struct LeanContexts {
    /// The largest number of contexts.
    static let capacity = 8
    /// The number of contexts.
    let count: Int
    /// [count]
    let hashes: UnsafeMutablePointer<UInt64>
    /// [count], those that an encoder looks up before it needs them.
    let earlyHashes: UnsafeMutablePointer<UInt64>
    private let isText: Bool
    private let stride: Int
    /// The last eight bytes, the last one lowest.
    private(set) var recent: UInt64 = 0
    private var word: UInt64 = 0
    private var lastWord: UInt64 = 0

    init(_ profile: LeanProfile, arena: LeanArena) {
        hashes = arena.take(UInt64.self, Self.capacity)
        earlyHashes = arena.take(UInt64.self, Self.capacity)
        isText = profile.isText
        count = isText ? 5 : 8
        stride = max(2, profile.stride == 0 ? 4 : profile.stride)
    }

    /// Hashes the contexts of the byte at `end`, of whose predecessor only the high bits are known, the others being
    /// zeros here: `LeanSlots.ahead` says why.
    @inline(__always)
    func prepare(
        _ high: UInt64, _ window: LeanWindow, end: Int, into hashes: UnsafeMutablePointer<UInt64>
    ) {
        let recent = recent &<< 8 | high
        Self.set(hashes, 0, recent & 0xFFFF)
        Self.set(hashes, 1, recent & 0xFF_FFFF)
        if isText { prepareWords(recent, high, hashes) } else { prepareRecords(recent, window, end: end, hashes) }
    }

    /// Takes in the byte whose high bits `prepare` was told.
    @inline(__always)
    mutating func advance(_ byte: UInt8) {
        recent = recent &<< 8 | UInt64(byte)
        guard isText else { return }
        if Self.isLetter(UInt64(byte)) {
            word = Self.extended(word, UInt64(byte))
        } else if word != 0 {
            (lastWord, word) = (word, 0)
        }
    }

    @inline(__always)
    private static func isLetter(_ byte: UInt64) -> Bool { (byte | 32) &- 97 < 26 || byte >= 128 }

    /// A hash of a word and one more letter, small or large.
    @inline(__always)
    private static func extended(_ word: UInt64, _ letter: UInt64) -> UInt64 {
        (word &+ (letter | 32)) &* 0x2F0B_4C47_9E37_79B1
    }

    @inline(__always)
    private func prepareWords(_ recent: UInt64, _ high: UInt64, _ hashes: UnsafeMutablePointer<UInt64>) {
        // The low bits are missing: what may be a letter is taken for one.
        let goesOn = Self.isLetter(high) || Self.isLetter(high | UInt64(LeanSlots.aheadMask))
        let next = goesOn ? Self.extended(word, high) : 0
        let last = goesOn || word == 0 ? lastWord : word
        Self.set(hashes, 2, recent & 0xFF_FFFF_FFFF)
        Self.set(hashes, 3, next &+ high &<< 56)
        Self.set(hashes, 4, (next &+ last &* 0x5851_F42D_4C95_7F2D) ^ high)
    }

    @inline(__always)
    private func prepareRecords(
        _ recent: UInt64, _ window: LeanWindow, end: Int, _ hashes: UnsafeMutablePointer<UInt64>
    ) {
        Self.set(hashes, 2, recent & 0xFFFF_FFFF)
        Self.set(hashes, 3, recent & 0xFFFF_FFFF_FFFF)
        let above = UInt64(window[end &- stride])
        let column = UInt64(truncatingIfNeeded: end % stride)
        let diagonal = UInt64(window[end &- stride &+ 1]) &<< 8 | UInt64(window[end &- stride &- 1])
        Self.set(hashes, 4, above | UInt64(window[end &- 2 &* stride]) &<< 8 | column &<< 32)
        Self.set(hashes, 5, above | (recent & 0xFF) &<< 8 | diagonal &<< 16)
        Self.set(hashes, 6, recent & 0xFF00 | column &<< 32)
        Self.set(hashes, 7, recent & 0xFF_FF00)
    }

    @inline(__always)
    private static func set(_ hashes: UnsafeMutablePointer<UInt64>, _ index: Int, _ context: UInt64) {
        hashes[index] = LeanSlots.hash(context &+ UInt64(index &+ 1) &* 0xD6E8_FEB8_6659_FD93)
    }
}
