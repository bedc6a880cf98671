import PithCore

/// Words cut into the longest tokens that begin them, from left to right: the `model` of type `LongestMatch`.
///
/// The type is Pith's own. The vocabulary is byte-level and has all 256 bytes, so that every text can be cut.
struct LongestMatchModel: Sendable {
    /// The name of the type in tokenizer files.
    static let type = "LongestMatch"

    private let trie: ByteTrie

    init(_ reader: JSONReader, vocabulary: TokenVocabulary, takesBytes: Bool) throws(PithError) {
        guard takesBytes else {
            throw reader.failure("\(Self.type) cuts bytes", remedy: "the pre_tokenizer should end with ByteLevel")
        }
        var trie = ByteTrie(capacity: 4 * vocabulary.textCount)
        var (failure, isComplete): (PithError?, Bool) = (nil, true)
        vocabulary.forEachModelToken { token, text in
            guard let bytes = ByteAlphabet.bytes(of: String(decoding: text, as: UTF8.self)), !bytes.isEmpty else {
                isComplete = false
                return
            }
            do throws(PithError) { try trie.insert(bytes, token) } catch { failure = failure ?? error }
        }
        if let failure { throw reader.failure(failure.message) }
        let bytes = (UInt8.min...UInt8.max).filter { trie.node([$0]).flatMap { trie.token(at: $0) } != nil }
        guard isComplete, bytes.count == 256 else {
            throw reader.failure("the vocabulary is not byte-level", remedy: "it should have all 256 bytes as tokens")
        }
        self.trie = trie
    }

    /// Appends the tokens of a word.
    func encode(_ word: UnsafeBufferPointer<UInt8>, into sink: inout TokenSink) {
        var start = 0
        // Every byte is a token, so that one always matches.
        while start < word.count, let match = trie.longestMatch(in: word, from: start) {
            sink.append(match.token, start, match.end)
            start = match.end
        }
    }
}
