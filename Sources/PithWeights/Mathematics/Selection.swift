import PithTensor

/// Keeps, in the whole matrix, all but the `count` weights of least score: a truth value for each, [rows, columns].
func maskPruning(_ count: Int, ofMatrix scores: Tensor) -> [Bool] {
    smallest(count, of: scores.values.map(\.orderKey)).map { !$0 }
}

/// Keeps all but the weights of least score in each row: `count` are left out in all, as evenly as whole numbers allow.
func maskPruning(_ count: Int, ofEachRow scores: Tensor) -> [Bool] {
    let (rows, columns) = (scores.rows, scores.columns)
    return (0..<rows).flatMap { row in
        let share = count / rows + (row < count % rows ? 1 : 0)
        let keys = scores.values[row * columns..<(row + 1) * columns].map(\.orderKey)
        return smallest(share, of: keys).map { !$0 }
    }
}

/// Leaves out whole tiles of 16 rows by 32 columns, those of least mean squared score, until `count` weights are gone.
func maskPruningTiles(_ count: Int, of scores: Tensor) -> [Bool] {
    let columns = scores.columns
    var kept = [Bool](repeating: true, count: scores.count)
    _ = TileGrid(rows: scores.rows, columns: 0..<columns).leaveOut(count) { row, column in
        let score = Double(scores.values[row * columns + column])
        return score * score
    } _: { row, column in
        kept[row * columns + column] = false
    }
    return kept
}

/// Keeps the n weights of largest score in each group of m of a row.
func keeping(_ pattern: SparsityPattern, by scores: Tensor) -> [Bool] {
    let (rows, columns) = (scores.rows, scores.columns)
    var kept: [Bool] = []
    kept.reserveCapacity(scores.count)
    for row in 0..<rows {
        for start in stride(from: row * columns, to: (row + 1) * columns, by: pattern.size) {
            let group = scores.values[start..<min((row + 1) * columns, start + pattern.size)]
            kept += keepLargest(pattern.kept, of: Array(group))
        }
    }
    return kept
}

/// Which are the `count` smallest of some keys; of equal ones the first. Linear in the number of keys.
func smallest(_ count: Int, of keys: [UInt32]) -> [Bool] {
    // The count-th smallest key, found byte by byte from the top.
    var (prefix, mask, rank) = (UInt32(0), UInt32(0), count)
    for shift in stride(from: UInt32(24), through: 0, by: -8) {
        var histogram = [Int](repeating: 0, count: 256)
        for key in keys where key & mask == prefix { histogram[Int(key >> shift & 255)] += 1 }
        var digit = 0
        while digit < 255 && histogram[digit] < rank {
            rank -= histogram[digit]
            digit += 1
        }
        prefix |= UInt32(digit) << shift
        mask |= 255 << shift
    }
    // `rank` keys that equal it are still to be taken.
    return keys.map { key in
        guard key == prefix else { return key < prefix && count > 0 }
        rank -= 1
        return rank >= 0
    }
}

/// Which are the `count` largest of a few scores; of equal ones the first.
func keepLargest(_ count: Int, of scores: [Float]) -> [Bool] {
    let keys = scores.map(\.orderKey)
    return keys.indices.map { i in
        let larger = keys.indices.count { keys[$0] > keys[i] || (keys[$0] == keys[i] && $0 < i) }
        return larger < count
    }
}

extension Float {
    /// A key that orders floats that are not negative as they are ordered themselves, and what is no number as 0.
    var orderKey: UInt32 { max(0, self).bitPattern }
}
