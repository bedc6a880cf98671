import PithCore

/// The tokens of a vocabulary by their bytes, for finding those that begin at a place.
struct ByteTrie: Sendable {
    /// No token may have more bytes, for the time that a byte of text can take grows with it.
    static let longestToken = 4096
    /// No more nodes fit beside a byte into a key.
    private static let nodeLimit = 1 << 24
    private static let empty = UInt32.max

    /// The place where no byte was read yet.
    static let root: UInt32 = 0

    /// (node, byte) and the node below, by hash.
    private var keys: [UInt32]
    private var nodes: [UInt32]
    private var filled = 0
    /// The token that ends at each node.
    private var tokenOfNode: [UInt32]
    // A factor that files cannot know, so that none can be made whose keys all collide. It changes no result.
    private let factor = UInt64.random(in: .min ... .max) | 1

    /// An empty trie with room for about so many bytes of tokens.
    init(capacity: Int) {
        var size = 64
        while size < capacity { size *= 2 }
        keys = [UInt32](repeating: Self.empty, count: size)
        nodes = [UInt32](repeating: 0, count: size)
        tokenOfNode = [Self.empty]
    }

    /// Adds a token; of equal ones the last counts.
    mutating func insert(_ bytes: some Sequence<UInt8>, _ token: Int) throws(PithError) {
        var (node, length) = (Self.root, 0)
        for byte in bytes {
            length += 1
            guard length <= Self.longestToken, tokenOfNode.count < Self.nodeLimit else {
                throw .data("token \(token) has more than \(Self.longestToken) bytes, or all together too many")
            }
            let key = node << 8 | UInt32(byte)
            var slot = slot(of: key)
            if keys[slot] == key {
                node = nodes[slot]
                continue
            }
            if 4 * (filled + 1) > 3 * keys.count {
                grow()
                slot = self.slot(of: key)
            }
            filled += 1
            node = UInt32(tokenOfNode.count)
            (keys[slot], nodes[slot]) = (key, node)
            tokenOfNode.append(Self.empty)
        }
        tokenOfNode[Int(node)] = UInt32(token)
    }

    private mutating func grow() {
        let (oldKeys, oldNodes) = (keys, nodes)
        keys = [UInt32](repeating: Self.empty, count: 2 * oldKeys.count)
        nodes = [UInt32](repeating: 0, count: 2 * oldKeys.count)
        for (key, node) in zip(oldKeys, oldNodes) where key != Self.empty {
            let slot = slot(of: key)
            (keys[slot], nodes[slot]) = (key, node)
        }
    }

    @inline(__always) private func slot(of key: UInt32) -> Int {
        let mask = keys.count - 1
        var slot = Int(truncatingIfNeeded: UInt64(key) &* factor >> 24) & mask
        while keys[slot] != key, keys[slot] != Self.empty { slot = (slot + 1) & mask }
        return slot
    }

    /// The node below another; nil if no token goes on with that byte.
    @inline(__always) func child(of node: UInt32, _ byte: UInt8) -> UInt32? {
        let key = node << 8 | UInt32(byte)
        let slot = slot(of: key)
        return keys[slot] == key ? nodes[slot] : nil
    }

    /// The token that ends at a node.
    @inline(__always) func token(at node: UInt32) -> Int? {
        let token = tokenOfNode[Int(node)]
        return token == Self.empty ? nil : Int(token)
    }

    /// The node that `bytes` lead to; nil if no token begins with them.
    func node(_ bytes: some Sequence<UInt8>) -> UInt32? {
        var node = Self.root
        for byte in bytes {
            guard let child = child(of: node, byte) else { return nil }
            node = child
        }
        return node
    }

    /// The longest token that begins at `start` of `text`, its first bytes being those that led to `node`, and where it
    /// ends; at least one byte of the text belongs to it.
    func longestMatch(
        in text: UnsafeBufferPointer<UInt8>, from start: Int, below node: UInt32 = root
    ) -> (token: Int, end: Int)? {
        var (node, place) = (node, start)
        var best: (token: Int, end: Int)?
        while place < text.count, let child = child(of: node, text[place]) {
            (node, place) = (child, place + 1)
            if let token = token(at: node) { best = (token, place) }
        }
        return best
    }
}
