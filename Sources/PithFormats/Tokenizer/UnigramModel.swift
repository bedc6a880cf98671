import PithCore

/// Pieces with logarithms of probabilities; a word is cut so that their sum is highest: the `model` of type `Unigram`
/// (Kudo 2018), with the sums and ties of the `tokenizers` package.
struct UnigramModel: Sendable {
    /// The name of the type in tokenizer files.
    static let type = "Unigram"
    /// What a character without a piece costs beyond the rarest piece.
    private static let unknownPenalty = 10.0

    private let trie: ByteTrie
    private let scores: [Double]
    private let unknownToken: Int?
    private let unknownScore: Double
    /// The tokens `<0x00>`…`<0xFF>` where unknown text is written in bytes; none otherwise.
    private let tokenOfByte: [UInt32?]
    private let vocabulary: TokenVocabulary
    private let excluded: Set<Int>

    /// The best way to a place of a word.
    struct Step {
        var score = 0.0
        /// Where its last piece begins; −1 where none ends here.
        var start: Int32 = -1
        var token: Int32 = -1
    }

    /// A model of the tokens of a vocabulary that have scores, by number. Those in `excluded` are in no text.
    init(
        vocabulary: TokenVocabulary, scores: [Double], unknownToken: Int?, fallsBackToBytes: Bool,
        excluded: Set<Int> = []
    ) throws(PithError) {
        (self.vocabulary, self.scores, self.unknownToken) = (vocabulary, scores, unknownToken)
        self.excluded = excluded
        var trie = ByteTrie(capacity: 4 * vocabulary.textCount)
        for token in scores.indices where vocabulary.has(token) && !excluded.contains(token) {
            try trie.insert(vocabulary.textBytes(token), token)
        }
        self.trie = trie
        unknownScore = (scores.min() ?? 0) - Self.unknownPenalty
        tokenOfByte = (0..<256).map { byte in
            fallsBackToBytes ? vocabulary.modelToken(BytePairModel.fallbackName(UInt8(byte))) : nil
        }
    }

    /// The pieces with their scores, as tokenizer files list them.
    var pieces: [JSONValue] {
        scores.indices.map { [.string(vocabulary.text($0) ?? ""), .real(scores[$0])] }
    }

    /// Appends the tokens of a word in UTF-8.
    func encode(_ word: UnsafeBufferPointer<UInt8>, into sink: inout TokenSink) {
        findPath(word, &sink.path)
        // The pieces from the end; unknown ones that touch are one.
        var pieces: [(start: Int, end: Int, isUnknown: Bool)] = []
        var end = word.count
        while end > 0 {
            let step = sink.path[end]
            let (start, isUnknown) = (max(0, Int(step.start)), step.token == Int32(unknownToken ?? -1))
            if isUnknown, pieces.last?.isUnknown == true {
                pieces[pieces.count - 1].start = start
            } else {
                pieces.append((start, end, isUnknown))
            }
            end = start
        }
        for piece in pieces.reversed() { append(word, piece.start, piece.end, &sink) }
    }

    private func append(_ word: UnsafeBufferPointer<UInt8>, _ start: Int, _ end: Int, _ sink: inout TokenSink) {
        let piece = UnsafeBufferPointer(rebasing: word[start..<end])
        if let token = vocabulary.modelToken(piece), !excluded.contains(Int(token)) {
            sink.append(Int(token), start, end)
        } else if piece.allSatisfy({ tokenOfByte[Int($0)] != nil }) {
            for byte in piece { if let token = tokenOfByte[Int(byte)] { sink.append(Int(token), start, end) } }
        } else if let unknownToken {
            sink.append(unknown: unknownToken, start, end, of: word)
        }
    }

    private func findPath(_ word: UnsafeBufferPointer<UInt8>, _ path: inout [Step]) {
        path.removeAll(keepingCapacity: true)
        path.append(contentsOf: repeatElement(Step(), count: word.count + 1))
        path.withUnsafeMutableBufferPointer { path in
            func offer(_ token: Int32, _ score: Double, _ start: Int, _ end: Int) {
                guard path[end].start < 0 || score > path[end].score else { return }
                path[end] = Step(score: score, start: Int32(start), token: token)
            }
            var start = 0
            while start < word.count {
                let score = path[start].score
                let width = min(UTF8.width(leading: word[start]), word.count - start)
                var (node, place, hasCharacter) = (ByteTrie.root, start, false)
                while place < word.count, let child = trie.child(of: node, word[place]) {
                    (node, place) = (child, place + 1)
                    guard let token = trie.token(at: node) else { continue }
                    offer(Int32(token), scores[token] + score, start, place)
                    if place == start + width { hasCharacter = true }
                }
                if !hasCharacter { offer(Int32(unknownToken ?? -1), unknownScore + score, start, start + width) }
                start += width
            }
        }
    }
}
