import HeapModule
import PithCore

/// Pieces with scores, as SentencePiece's models of byte pairs have them: neighbours are joined that make the piece of
/// highest score, the leftmost first; characters that are no piece are written in bytes.
struct ScoredPieceModel: Sendable {
    private let vocabulary: TokenVocabulary
    let scores: [Float]
    /// The tokens of single bytes, `<0x00>`…`<0xFF>`, or the piece of that byte.
    private let tokenOfByte: [UInt32?]
    private let unknownToken: Int?

    /// A model of the tokens of `vocabulary`, by number, with a score for each.
    init(_ vocabulary: TokenVocabulary, scores: [Float], unknownToken: Int?) {
        (self.vocabulary, self.scores, self.unknownToken) = (vocabulary, scores, unknownToken)
        tokenOfByte = (0..<256).map { byte in
            vocabulary.token(BytePairModel.fallbackName(UInt8(byte)))
                ?? (byte < 128 ? vocabulary.token(String(Unicode.Scalar(UInt8(byte)))) : nil)
        }
    }

    /// What joins do, as merges in order: every two pieces that make another, by its score. Where scores are equal the
    /// model joins the leftmost pair, which an order of merges cannot say.
    var merges: [(left: String, right: String)] {
        var merges: [(score: Float, left: Range<Int>, token: Int, bytes: ArraySlice<UInt8>)] = []
        vocabulary.forEachModelToken { token, bytes in
            guard bytes.count > 1 else { return }
            bytes.withUnsafeBufferPointer { text in
                for split in 1..<text.count where text[split] & 0xC0 != 0x80 {
                    guard vocabulary.modelToken(UnsafeBufferPointer(rebasing: text[..<split])) != nil,
                        vocabulary.modelToken(UnsafeBufferPointer(rebasing: text[split...])) != nil
                    else { continue }
                    merges.append((scores[token], 0..<split, token, bytes))
                }
            }
        }
        merges.sort { a, b in
            if a.score != b.score { return a.score > b.score }
            return a.token != b.token ? a.token < b.token : a.left.count > b.left.count
        }
        return merges.map { merge in
            let split = merge.bytes.startIndex + merge.left.count
            return (
                String(decoding: merge.bytes[..<split], as: UTF8.self),
                String(decoding: merge.bytes[split...], as: UTF8.self)
            )
        }
    }

    /// Two neighbours that make a piece. Those of highest score come first, of these the leftmost.
    private struct Join: Comparable {
        let score: Float
        let left: Int32
        /// Bytes of both: what has grown since is another join.
        let length: Int32

        @inline(__always) static func < (a: Self, b: Self) -> Bool {
            a.score != b.score ? a.score > b.score : a.left < b.left
        }
    }

    /// Appends the tokens of a text.
    func encode(_ text: UnsafeBufferPointer<UInt8>, into sink: inout TokenSink) {
        var symbols = Symbols(text)
        var heap = Heap<Join>()
        func consider(_ left: Int) {
            guard left >= 0, let length = symbols.lengthWithNext(left) else { return }
            guard let piece = vocabulary.token(UnsafeBufferPointer(rebasing: text[left..<left + length])) else {
                return
            }
            heap.insert(Join(score: scores[Int(piece)], left: Int32(left), length: Int32(length)))
        }
        var start = 0
        while symbols.lengthWithNext(start) != nil {
            consider(start)
            start += symbols.length(start)
        }
        while let join = heap.popMin() {
            let left = Int(join.left)
            guard symbols.lengthWithNext(left) == Int(join.length), symbols.length(left) > 0 else { continue }
            symbols.join(left)
            consider(symbols.previous(left))
            consider(left)
        }
        start = 0
        // Where characters begin that are unknown and have got no token yet.
        var unknownStart = 0
        func flush() {
            if unknownStart < start, let unknownToken { sink.append(unknownToken, unknownStart, start) }
        }
        while start < text.count {
            let end = start + symbols.length(start)
            if let piece = vocabulary.token(UnsafeBufferPointer(rebasing: text[start..<end])) {
                flush()
                sink.append(Int(piece), start, end)
                unknownStart = end
            } else if text[start..<end].allSatisfy({ tokenOfByte[Int($0)] != nil }) {
                flush()
                for place in start..<end {
                    if let token = tokenOfByte[Int(text[place])] { sink.append(Int(token), place, place + 1) }
                }
                unknownStart = end
            }
            start = end
        }
        flush()
    }

    /// The parts that a text is cut into, characters at first. A part is named by where it begins.
    private struct Symbols {
        /// Bytes of the part that begins at a place; 0 where none does.
        private var lengths: [Int32]
        /// Where the part before begins; −1 at the beginning.
        private var before: [Int32]

        init(_ text: UnsafeBufferPointer<UInt8>) {
            lengths = [Int32](repeating: 0, count: text.count)
            before = [Int32](repeating: -1, count: text.count)
            var (start, last) = (0, -1)
            while start < text.count {
                let first = text[start]
                let length = min(first < 0xC0 ? 1 : first < 0xE0 ? 2 : first < 0xF0 ? 3 : 4, text.count - start)
                lengths[start] = Int32(length)
                before[start] = Int32(last)
                (last, start) = (start, start + length)
            }
        }

        func length(_ place: Int) -> Int { Int(lengths[place]) }
        func previous(_ place: Int) -> Int { Int(before[place]) }

        /// Bytes of a part and the next; nil if there is none.
        func lengthWithNext(_ place: Int) -> Int? {
            guard place < lengths.count, lengths[place] > 0 else { return nil }
            let next = place + Int(lengths[place])
            return next < lengths.count ? Int(lengths[place] + lengths[next]) : nil
        }

        mutating func join(_ place: Int) {
            let next = place + Int(lengths[place])
            lengths[place] += lengths[next]
            lengths[next] = 0
            let after = place + Int(lengths[place])
            if after < before.count { before[after] = Int32(place) }
        }
    }
}
