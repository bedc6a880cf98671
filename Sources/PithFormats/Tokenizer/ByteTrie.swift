import PithCore

/// The tokens of a vocabulary by their bytes, for finding the longest that begins at a place.
struct ByteTrie: Sendable {
    /// No token may have more bytes, for the time that a byte of text can take grows with it.
    private static let longestToken = 4096

    /// The place where no byte was read yet.
    static let root: UInt32 = 0

    /// (node, byte) to node.
    private let children: PairTable
    /// The token that ends at each node.
    private let tokenOfNode: [UInt32?]

    /// A trie of tokens; `reader` is where they come from.
    init(_ tokens: [(token: UInt32, bytes: [UInt8])], _ reader: JSONReader) throws(PithError) {
        if let long = tokens.first(where: { $0.bytes.count > Self.longestToken }) {
            throw reader.failure(
                "token \(long.token) has \(long.bytes.count) bytes", remedy: "\(Self.longestToken) are the most")
        }
        var children = PairTable(capacity: tokens.reduce(0) { $0 + $1.bytes.count })
        var tokenOfNode: [UInt32?] = [nil]
        for (token, bytes) in tokens {
            var node = Self.root
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
    }

    /// The node that `bytes` lead to; nil if no token begins with them.
    func node(_ bytes: some Sequence<UInt8>) -> UInt32? {
        var node = Self.root
        for byte in bytes {
            guard let child = children[node, UInt32(byte)] else { return nil }
            node = child
        }
        return node
    }

    /// The longest token that begins at `start` of `text`, its first bytes being those that led to `node`, and where it
    /// ends; at least one byte of the text belongs to it.
    func longestMatch(
        in text: ArraySlice<UInt8>, from start: Int, below node: UInt32 = root
    ) -> (token: UInt32, end: Int)? {
        var (node, place) = (node, start)
        var best: (token: UInt32, end: Int)?
        while place < text.endIndex, let child = children[node, UInt32(text[place])] {
            (node, place) = (child, place + 1)
            if let token = tokenOfNode[Int(node)] { best = (token, place) }
        }
        return best
    }
}
