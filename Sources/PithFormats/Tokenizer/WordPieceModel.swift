import PithCore

/// Words cut into the longest pieces that begin them, those behind the first being tokens with a prefix: the `model` of
/// type `WordPiece` (Wu et al. 2016). A word of which some part is no piece is unknown as a whole.
struct WordPieceModel: Sendable {
    /// The name of the type in tokenizer files.
    static let type = "WordPiece"

    private let trie: ByteTrie
    private let vocabulary: TokenVocabulary
    private let unknownToken: Int
    /// What tokens begin with that go on with a word.
    private let prefix: String
    /// The node of the prefix; nil where no token has it.
    private let continuation: UInt32?
    /// A word of more characters is unknown.
    private let longestWord: Int

    init(_ reader: JSONReader, vocabulary: TokenVocabulary, isByteLevel: Bool) throws(PithError) {
        guard !isByteLevel else {
            throw reader.failure(
                "\(Self.type) cuts characters", remedy: "the pre_tokenizer should not end with ByteLevel")
        }
        self.vocabulary = vocabulary
        let unknown = try reader.optional("unk_token")
        let unknownText = try unknown?.text() ?? "[UNK]"
        guard let token = vocabulary.token(unknownText) else {
            throw (unknown ?? reader).failure("'\(unknownText.shortened)' is not in the vocabulary")
        }
        unknownToken = Int(token)
        prefix = try reader.optional("continuing_subword_prefix")?.text() ?? "##"
        longestWord = try reader.optional("max_input_chars_per_word")?.integer(in: 0...Int.max) ?? 100
        trie = try ByteTrie(vocabulary.modelTokens.map { ($0.token, Array($0.text.utf8)) }, reader)
        continuation = trie.node(prefix.utf8)
    }

    /// Appends the tokens of a word in UTF-8.
    func encode(_ word: ArraySlice<UInt8>, into tokens: inout [Int]) {
        let first = tokens.count
        guard !hasTooManyCharacters(word) else {
            tokens.append(unknownToken)
            return
        }
        var start = word.startIndex
        while start < word.endIndex {
            let node = start == word.startIndex ? ByteTrie.root : continuation
            guard let node, let match = trie.longestMatch(in: word, from: start, below: node) else {
                tokens.removeSubrange(first...)
                tokens.append(unknownToken)
                return
            }
            tokens.append(Int(match.token))
            start = match.end
        }
    }

    private func hasTooManyCharacters(_ word: ArraySlice<UInt8>) -> Bool {
        word.count > longestWord && word.count { $0 & 0xC0 != 0x80 } > longestWord
    }

    /// Where in a word the bytes of each of its tokens begin.
    func starts(of tokens: ArraySlice<Int>) -> [Int] {
        var start = 0
        return tokens.enumerated().map { index, token in
            defer { start += (vocabulary.text(token)?.utf8.count ?? 0) - (index > 0 ? prefix.utf8.count : 0) }
            return start
        }
    }
}
