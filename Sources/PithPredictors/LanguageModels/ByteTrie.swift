/// Strings of bytes with a number for each, found by their beginnings.
struct ByteTrie: Sendable {
    private struct Node {
        var value: Int32 = -1
        // The first child and the next sibling; 0 if there is none.
        var child: Int32 = 0
        var sibling: Int32 = 0
        var byte: UInt8 = 0
    }

    private var nodes = [Node()]
    // The children of the root, by byte.
    private var roots = [Int32](repeating: 0, count: 256)

    /// Puts a string in, which is not empty. Of equal ones the first counts.
    mutating func insert(_ string: [UInt8], value: Int) {
        guard let first = string.first else { return }
        if roots[Int(first)] == 0 {
            roots[Int(first)] = Int32(nodes.count)
            nodes.append(Node(byte: first))
        }
        var node = Int(roots[Int(first)])
        for byte in string.dropFirst() {
            if let child = child(of: node, byte) {
                node = child
            } else {
                nodes.append(Node(sibling: nodes[node].child, byte: byte))
                nodes[node].child = Int32(nodes.count - 1)
                node = nodes.count - 1
            }
        }
        if nodes[node].value < 0 { nodes[node].value = Int32(value) }
    }

    private func child(of node: Int, _ byte: UInt8) -> Int? {
        var child = Int(nodes[node].child)
        while child != 0 {
            if nodes[child].byte == byte { return child }
            child = Int(nodes[child].sibling)
        }
        return nil
    }

    /// The number of the longest string that `input` begins with.
    func longestMatch(_ input: ArraySlice<UInt8>) -> Int? {
        guard let first = input.first, roots[Int(first)] != 0 else { return nil }
        var (node, best) = (Int(roots[Int(first)]), Int(nodes[Int(roots[Int(first)])].value))
        for byte in input.dropFirst() {
            guard let child = child(of: node, byte) else { break }
            node = child
            if nodes[node].value >= 0 { best = Int(nodes[node].value) }
        }
        return best >= 0 ? best : nil
    }
}
