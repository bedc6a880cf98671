import PithCore

/// Words cut into the longest tokens that begin them, from left to right: the `model` of type `LongestMatch`.
///
/// The type is Pith's own. The vocabulary is byte-level and has all 256 bytes, so that every text can be cut.
struct LongestMatchModel: Sendable {
    /// The name of the type in tokenizer files.
    static let type = "LongestMatch"
    /// No token may have more bytes, for the time that a byte of text can take grows with it.
    private static let longestToken = 4096

    // A trie over the bytes of all tokens: (node, byte) to node. Node 0 is the empty string.
    private let children: PairTable
    /// The token that ends at each node.
    private let tokenOfNode: [UInt32?]
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
        if let long = tokens.first(where: { $0.bytes.count > Self.longestToken }) {
            throw reader.failure(
                "token \(long.token) has \(long.bytes.count) bytes", remedy: "\(Self.longestToken) are the most")
        }
        var children = PairTable(capacity: tokens.reduce(0) { $0 + $1.bytes.count })
        var tokenOfNode: [UInt32?] = [nil]
        for (token, bytes) in tokens {
            var node: UInt32 = 0
            for byte in bytes {
                if let child = children[node, UInt32(byte)] {
                    node = child
                } else {
                    let child = UInt32(tokenOfNode.count)
                    children.set(node, UInt32(byte), to: child)
                    tokenOfNode.append(nil)
                    node = child
                }
            }
            tokenOfNode[Int(node)] = token
        }
        (self.children, self.tokenOfNode) = (children, tokenOfNode)
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
        while start < word.endIndex {
            var (node, place) = (UInt32(0), start)
            var best: (token: UInt32, end: Int)?
            while place < word.endIndex, let child = children[node, UInt32(word[place])] {
                (node, place) = (child, place + 1)
                if let token = tokenOfNode[Int(node)] { best = (token, place) }
            }
            // Every byte is a token, so that one always matches.
            guard let best else { return }
            tokens.append(Int(best.token))
            start = best.end
        }
    }
}
