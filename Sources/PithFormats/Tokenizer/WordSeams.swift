/// Where words may be cut without a change to their tokens: between two characters that are tokens and stand side by side
/// in no token, so that nothing can join them. A text without spaces to cut at, as some families have it, is one word
/// otherwise.
struct WordSeams: Sendable {
    /// The characters of the basic plane that are tokens, a bit each.
    private var known = [UInt64](repeating: 0, count: 1 << 10)
    /// A bit for each two characters side by side in a token, by a hash. Those that share one with others are not cut
    /// between, which costs time alone.
    private var joined: [UInt64]
    private let shift: UInt64

    /// Those of the tokens of a vocabulary.
    init(_ vocabulary: TokenVocabulary) {
        var bits: UInt64 = 12
        while 1 << bits < 8 * vocabulary.count { bits += 1 }
        shift = 64 - bits
        joined = [UInt64](repeating: 0, count: 1 << (bits - 6))
        for token in 0..<vocabulary.count where vocabulary.has(token) {
            vocabulary.textBytes(token).withUnsafeBufferPointer { text in
                take(text, isModelToken: vocabulary.isModelToken(token))
            }
        }
    }

    private mutating func take(_ text: UnsafeBufferPointer<UInt8>, isModelToken: Bool) {
        guard !text.isEmpty else { return }
        var (last, width) = character(text, at: 0)
        if width == text.count, isModelToken, last < 1 << 16 { known[Int(last >> 6)] |= 1 << UInt64(last & 63) }
        var place = width
        while place < text.count {
            let (next, width) = character(text, at: place)
            let bit = bit(of: last, next)
            joined[Int(bit >> 6)] |= 1 << (bit & 63)
            (last, place) = (next, place + width)
        }
    }

    @inline(__always) private func bit(of left: UInt32, _ right: UInt32) -> UInt64 {
        ((UInt64(left) << 21 | UInt64(right)) &* 0x9E37_79B9_7F4A_7C15) >> shift
    }

    @inline(__always) private func isKnown(_ scalar: UInt32) -> Bool {
        scalar < 1 << 16 && known[Int(scalar >> 6)] >> UInt64(scalar & 63) & 1 == 1
    }

    /// Calls `add` with the parts of a word, in order.
    func forEachPart(of word: UnsafeBufferPointer<UInt8>, _ add: (Range<Int>) -> Void) {
        guard !word.isEmpty else { return }
        var (start, place) = (0, 0)
        var (last, width) = character(word, at: 0)
        var wasKnown = isKnown(last)
        while case let next = place + width, next < word.count {
            place = next
            let (scalar, nextWidth) = character(word, at: place)
            let isKnown = isKnown(scalar)
            if isKnown, wasKnown, case let bit = bit(of: last, scalar), joined[Int(bit >> 6)] >> (bit & 63) & 1 == 0 {
                add(start..<place)
                start = place
            }
            (last, width, wasKnown) = (scalar, nextWidth, isKnown)
        }
        add(start..<word.count)
    }
}
