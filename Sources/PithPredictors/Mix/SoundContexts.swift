/// Samples before the next, for sound of 16 bits a sample, the low byte first; `width` is the bytes of a frame.
struct SoundContexts {
    private let frame: Int
    private let isSound: Bool

    init(_ settings: MixSettings) {
        isSound = settings.content == .audio16
        frame = max(2, settings.width & ~1)
    }

    var count: Int { isSound ? 12 : 0 }

    func add(_ history: History, to bank: inout ContextBank) {
        guard isSound else { return }
        let isLow = history.position & 1 == 0
        // Distance from the place of the next byte to the end of the sample `back` frames before.
        let offset = isLow ? 0 : 1
        func sample(_ back: Int) -> Int {
            let end = back * frame + offset
            return Int(Int16(truncatingIfNeeded: Int(history.byte(end - 1)) << 8 | Int(history.byte(end))))
        }
        let known = isLow ? 0 : Int(history.byte(1)) + 1
        let (a, b, c, d) = (sample(1), sample(2), sample(3), sample(4))
        let other = frame > 2 ? Int(history.byte(offset + 1)) << 8 | Int(history.byte(offset + 2)) : 0
        let guesses = [
            a, 2 * a - b, 3 * a - 3 * b + c, 4 * a - 6 * b + 4 * c - d, (a + b) / 2, a + (b - c) / 2,
            (2 * a - b + a) / 2, (3 * a - 2 * b + c) / 2,
        ]
        for (index, guess) in guesses.enumerated() {
            bank.add(Hash.combine(UInt64(bitPattern: Int64(guess >> 4)), UInt64(known << 5 | index)))
        }
        bank.add(Hash.combine(UInt64(bitPattern: Int64((2 * a - b) >> 8)), UInt64(known << 5 | 8)))
        bank.add(Hash.combine(UInt64(bitPattern: Int64((a >> 8) << 16 | (b >> 8 & 0xFFFF))), UInt64(known << 5 | 9)))
        bank.add(Hash.combine(UInt64(other), UInt64(known << 5 | 10)))
        bank.add(Hash.combine(UInt64((other >> 8) << 16 | (a >> 8 & 0xFFFF)), UInt64(known << 5 | 11)))
    }
}
