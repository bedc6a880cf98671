import PithCore

/// Words cut into the longest tokens that begin them, from left to right: the `model` of type `LongestMatch`.
///
/// The type is Pith's own. The vocabulary is byte-level and has all 256 bytes, so that every text can be cut.
struct LongestMatchModel: Sendable {
    /// The name of the type in tokenizer files.
    static let type = "LongestMatch"

    private let trie: ByteTrie
    private let lengths: [Int: Int]

    init(_ reader: JSONReader, vocabulary: TokenVocabulary, isByteLevel: Bool) throws(PithError) {
        guard isByteLevel else {
            throw reader.failure("\(Self.type) cuts bytes", remedy: "the pre_tokenizer should end with ByteLevel")
        }
        let tokens = vocabulary.modelTokens.compactMap { token, text in
            ByteAlphabet.bytes(of: text).map { (token: token, bytes: $0) }
        }
        guard tokens.count == vocabulary.modelTokens.count, !tokens.contains(where: \.bytes.isEmpty),
            Set(tokens.filter { $0.bytes.count == 1 }.map(\.bytes)).count == 256
        else {
            throw reader.failure("the vocabulary is not byte-level", remedy: "it should have all 256 bytes as tokens")
        }
        trie = try ByteTrie(tokens, reader)
        lengths = Dictionary(tokens.map { (Int($0.token), $0.bytes.count) }) { first, _ in first }
    }

    /// Where the bytes of each token of a word begin.
    func starts(of tokens: ArraySlice<Int>) -> [Int] {
        var start = 0
        return tokens.map { token in
            defer { start += lengths[token] ?? 0 }
            return start
        }
    }

    /// Appends the tokens of a word.
    func encode(_ word: ArraySlice<UInt8>, into tokens: inout [Int]) {
        var start = word.startIndex
        // Every byte is a token, so that one always matches.
        while start < word.endIndex, let match = trie.longestMatch(in: word, from: start) {
            tokens.append(Int(match.token))
            start = match.end
        }
    }
}
