import HeapModule
import PithCore

/// Pieces with scores, as SentencePiece's models of byte pairs have them: neighbours are joined that make the piece of
/// highest score, the leftmost first; characters that are no piece are written in bytes.
struct ScoredPieceModel: Sendable {
    private let pieces: PieceTable
    private let scores: [Float]
    private let lengths: [Int32]
    /// The tokens of single bytes, `<0x00>`…`<0xFF>`, or the piece of that byte.
    private let tokenOfByte: [UInt32?]
    private let unknownToken: Int?

    /// A model of the tokens of `vocabulary`, by number, with a score for each.
    init(_ vocabulary: TokenVocabulary, scores: [Float], unknownToken: Int?) {
        pieces = PieceTable(vocabulary)
        self.scores = scores
        self.unknownToken = unknownToken
        tokenOfByte = (0..<256).map { byte in
            vocabulary.token(BytePairModel.fallbackName(UInt8(byte)))
                ?? (byte < 128 ? vocabulary.token(String(Unicode.Scalar(UInt8(byte)))) : nil)
        }
        var lengths = vocabulary.modelTokens.map { Int32($0.text.utf8.count) }
        for token in tokenOfByte { if let token { lengths[Int(token)] = 1 } }
        self.lengths = lengths
    }

    /// Where the bytes of each token of a text begin.
    func starts(of tokens: ArraySlice<Int>) -> [Int] {
        var start = 0
        return tokens.map { token in
            defer { start += Int(token == unknownToken ? 1 : lengths[token]) }
            return start
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
    func encode(_ text: ArraySlice<UInt8>, into tokens: inout [Int]) {
        text.withUnsafeBufferPointer { text in
            var symbols = Symbols(text)
            var heap = Heap<Join>()
            func consider(_ left: Int) {
                guard left >= 0, let length = symbols.lengthWithNext(left) else { return }
                guard let piece = pieces[text, left..<left + length] else { return }
                heap.insert(Join(score: scores[Int(piece)], left: Int32(left), length: Int32(length)))
            }
            var start = 0
            while let length = symbols.lengthWithNext(start) {
                consider(start)
                start += symbols.length(start)
                if length == 0 { break }
            }
            while let join = heap.popMin() {
                let left = Int(join.left)
                guard symbols.lengthWithNext(left) == Int(join.length), symbols.length(left) > 0 else { continue }
                symbols.join(left)
                consider(symbols.previous(left))
                consider(left)
            }
            start = 0
            while start < text.count {
                let range = start..<start + symbols.length(start)
                append(text, range, to: &tokens)
                start = range.upperBound
            }
        }
    }

    private func append(_ text: UnsafeBufferPointer<UInt8>, _ range: Range<Int>, to tokens: inout [Int]) {
        if let piece = pieces[text, range] {
            tokens.append(Int(piece))
        } else {
            for byte in text[range] {
                if let token = tokenOfByte[Int(byte)].map({ Int($0) }) ?? unknownToken { tokens.append(token) }
            }
        }
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
