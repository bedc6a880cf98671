import PithCore

/// Words cut into the longest pieces that begin them, those behind the first being tokens with a prefix: the `model` of
/// type `WordPiece` (Wu et al. 2016). A word of which some part is no piece is unknown as a whole.
struct WordPieceModel: Sendable {
    /// The name of the type in tokenizer files.
    static let type = "WordPiece"

    private let trie: ByteTrie
    private let unknownToken: Int
    /// The node of what tokens begin with that go on with a word; nil where no token has it.
    private let continuation: UInt32?
    /// A word of more characters is unknown.
    private let longestWord: Int

    init(_ reader: JSONReader, vocabulary: TokenVocabulary) throws(PithError) {
        unknownToken = try reader.unknownToken(vocabulary, byDefault: "[UNK]")
        let prefix = try reader.optional("continuing_subword_prefix")?.text() ?? "##"
        longestWord = try reader.optional("max_input_chars_per_word")?.integer(in: 0...Int.max) ?? 100
        var trie = ByteTrie(capacity: 4 * vocabulary.textCount)
        var failure: PithError?
        vocabulary.forEachModelToken { token, text in
            do throws(PithError) { try trie.insert(text, token) } catch { failure = failure ?? error }
        }
        if let failure { throw reader.failure(failure.message) }
        self.trie = trie
        continuation = trie.node(prefix.utf8)
    }

    /// Appends the tokens of a word in UTF-8.
    func encode(_ word: UnsafeBufferPointer<UInt8>, into sink: inout TokenSink) {
        let first = sink.tokens.count
        guard !hasTooManyCharacters(word) else {
            sink.append(unknownToken, 0, word.count)
            return
        }
        var start = 0
        while start < word.count {
            let node = start == 0 ? ByteTrie.root : continuation
            guard let node, let match = trie.longestMatch(in: word, from: start, below: node) else {
                sink.removeTokens(from: first)
                sink.append(unknownToken, 0, word.count)
                return
            }
            sink.append(match.token, start, match.end)
            start = match.end
        }
    }

    private func hasTooManyCharacters(_ word: UnsafeBufferPointer<UInt8>) -> Bool {
        word.count > longestWord && word.count { $0 & 0xC0 != 0x80 } > longestWord
    }
}

/// Whole words that are tokens, all others being unknown: the `model` of type `WordLevel`.
struct WordLevelModel: Sendable {
    /// The name of the type in tokenizer files.
    static let type = "WordLevel"

    private let vocabulary: TokenVocabulary
    private let unknownToken: Int

    init(_ reader: JSONReader, vocabulary: TokenVocabulary) throws(PithError) {
        self.vocabulary = vocabulary
        unknownToken = try reader.unknownToken(vocabulary, byDefault: "<unk>")
    }

    /// Appends the token of a word.
    func encode(_ word: UnsafeBufferPointer<UInt8>, into sink: inout TokenSink) {
        sink.append(vocabulary.modelToken(word).map(Int.init) ?? unknownToken, 0, word.count)
    }
}

extension JSONReader {
    /// The token that `unk_token` of a model names.
    fileprivate func unknownToken(_ vocabulary: TokenVocabulary, byDefault name: String) throws(PithError) -> Int {
        let unknown = try optional("unk_token")
        let text = try unknown?.text() ?? name
        guard let token = vocabulary.modelToken(text) else {
            throw (unknown ?? self).failure("'\(text.shortened)' is not in the vocabulary")
        }
        return Int(token)
    }
}
