/// Which stored row becomes which row of an operator.
public enum RowOrder: Equatable, Sendable {
    /// As the file has them.
    case stored
    /// In each head of `headSize` rows, which the file has as pairs that are rotated together, the first rows of all
    /// pairs, then the second: what the queries and keys of `llama` files need here, where element i is rotated with
    /// element i + headSize / 2.
    case unpairingHeads(of: Int)

    /// The stored row of a row.
    func source(of row: Int) -> Int {
        switch self {
        case .stored: return row
        case .unpairingHeads(let size):
            let (head, place) = (row / size * size, row % size)
            return head + place % (size / 2) * 2 + place / (size / 2)
        }
    }

    /// Whether it can order so many rows.
    func fits(_ rows: Int) -> Bool {
        switch self {
        case .stored: true
        case .unpairingHeads(let size): size > 0 && size % 2 == 0 && rows % size == 0
        }
    }
}
