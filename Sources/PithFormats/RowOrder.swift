import PithCore

/// Which stored row becomes which row of an operator.
public enum RowOrder: Equatable, Sendable {
    /// As the file has them.
    case stored
    /// In each head of `headDimension` rows, which the file has as pairs that are rotated together, the first rows of all
    /// pairs, then the second: what the queries and keys of GGUF's `llama` files and of llama2.c need here, where element
    /// i is rotated with element i + headDimension / 2.
    case unpairingHeads(of: Int)
    /// For each of `heads` the rows of its query, key and value, `size` each, which the file has in three parts of all
    /// heads.
    case joiningHeads(_ heads: Int, of: Int)

    /// The stored row of a row.
    package func source(of row: Int) -> Int {
        switch self {
        case .stored: return row
        case .unpairingHeads(let size):
            let (head, place) = (row / size * size, row % size)
            return head + place % (size / 2) * 2 + place / (size / 2)
        case .joiningHeads(let heads, let size):
            let (head, part, place) = (row / (3 * size), row / size % 3, row % size)
            return (part * heads + head) * size + place
        }
    }

    /// Whether it can order so many rows.
    package func fits(_ rows: Int) -> Bool {
        switch self {
        case .stored: true
        case .unpairingHeads(let size): size > 0 && size % 2 == 0 && rows % size == 0
        case .joiningHeads(let heads, let size): rows == 3 * heads * size
        }
    }

    /// `rows` rows of equal size in this order, which must fit; a copy, unless they stay as they are.
    package func ordered(_ region: ByteRegion, rows: Int) -> ByteRegion {
        if case .stored = self { return region }
        return region.withBytes { bytes in
            var copy: [UInt8] = []
            copy.reserveCapacity(bytes.count)
            let rowBytes = bytes.count / max(1, rows)
            for row in 0..<rows {
                let start = source(of: row) * rowBytes
                copy += bytes[start..<start + rowBytes]
            }
            return ByteRegion(copying: copy)
        }
    }

    /// The inverse: rows as an operator has them, in the order of the file.
    package func reordered(_ region: ByteRegion, rows: Int) -> ByteRegion {
        if case .stored = self { return region }
        return region.withBytes { bytes in
            let rowBytes = bytes.count / max(1, rows)
            var copy = [UInt8](repeating: 0, count: bytes.count)
            for row in 0..<rows {
                let target = source(of: row) * rowBytes
                copy.replaceSubrange(target..<target + rowBytes, with: bytes[row * rowBytes..<(row + 1) * rowBytes])
            }
            return ByteRegion(copying: copy)
        }
    }
}
