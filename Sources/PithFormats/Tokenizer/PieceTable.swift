/// A table from bytes to numbers of pieces.
struct PieceTable: Sendable {
    private static let empty = UInt32.max

    /// The bytes of all pieces, one behind the other, and where each begins.
    private var bytes: [UInt8] = []
    private var starts: [Int]
    /// Numbers of pieces, by hash.
    private var slots: [UInt32]
    // A beginning that files cannot know, so that none can be made whose pieces all collide. It changes no result.
    private let seed = UInt64.random(in: .min ... .max)

    init(_ vocabulary: TokenVocabulary) {
        let pieces = vocabulary.modelTokens
        bytes.reserveCapacity(8 * pieces.count)
        starts = [0]
        starts.reserveCapacity(pieces.count + 1)
        for piece in pieces {
            bytes += piece.text.utf8
            starts.append(bytes.count)
        }
        var size = 16
        while size < 2 * pieces.count { size *= 2 }
        slots = [UInt32](repeating: Self.empty, count: size)
        bytes.withUnsafeBufferPointer { bytes in
            // The last of equal pieces counts.
            for piece in 0..<pieces.count { slots[slot(bytes, starts[piece]..<starts[piece + 1])] = UInt32(piece) }
        }
    }

    /// The piece of some bytes.
    subscript(text: UnsafeBufferPointer<UInt8>, range: Range<Int>) -> UInt32? {
        let piece = slots[slot(text, range)]
        return piece == Self.empty ? nil : piece
    }

    private func slot(_ text: UnsafeBufferPointer<UInt8>, _ range: Range<Int>) -> Int {
        var hash = seed
        for i in range { hash = (hash ^ UInt64(text[i])) &* 0x9E37_79B9_7F4A_7C15 ^ hash >> 29 }
        var slot = Int(truncatingIfNeeded: hash >> 16) & (slots.count - 1)
        while slots[slot] != Self.empty {
            let piece = Int(slots[slot])
            let (start, end) = (starts[piece], starts[piece + 1])
            if end - start == range.count, text[range].elementsEqual(bytes[start..<end]) { break }
            slot = (slot + 1) & (slots.count - 1)
        }
        return slot
    }
}
