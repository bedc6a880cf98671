import PithCore

/// Keeps n of every m weights that follow one another in a row; written `n:m`, as in 2:4.
package struct SparsityPattern: Hashable, Sendable, CustomStringConvertible {
    /// Weights kept of each group.
    package let kept: Int
    /// Weights in a group: 2, 4 or 8.
    package let size: Int
    /// The ways to keep n of m as masks, the first column in the lowest bit, ascending: a way is stored as its index.
    let masks: [UInt8]
    /// Bits of such an index.
    let indexBits: Int

    /// All patterns that can be stored.
    package static let all = [2, 4, 8].flatMap { size in
        (1..<size).compactMap { try? SparsityPattern(kept: $0, of: size) }
    }

    /// Checks the counts.
    package init(kept: Int, of size: Int) throws(PithError) {
        guard [2, 4, 8].contains(size), (1..<size).contains(kept) else {
            throw .usage(
                "the pattern \(kept):\(size) is not understood",
                remedy: "n:m keeps n of every m weights, with m one of 2, 4 and 8, and n less than m")
        }
        self.kept = kept
        self.size = size
        masks = (0..<1 << size).filter { $0.nonzeroBitCount == kept }.map { UInt8($0) }
        indexBits = Int.bitWidth - (masks.count - 1).leadingZeroBitCount
    }

    /// Parses `n:m`.
    package init(parsing text: String) throws(PithError) {
        let sides = text.split(separator: ":", omittingEmptySubsequences: false).map { Int($0) }
        guard sides.count == 2, let kept = sides[0], let size = sides[1] else {
            throw .usage("'\(text)' is no pattern", remedy: "write n:m, for example 2:4, or none")
        }
        try self.init(kept: kept, of: size)
    }

    package var description: String { "\(kept):\(size)" }

    /// Bits that say what is kept of eight columns.
    var bitsOfEight: Int { 8 / size * indexBits }

    /// For each such word of bits the mask of eight columns that it means; 0 for words that mean nothing.
    var masksOfEight: [UInt8] {
        (0..<1 << bitsOfEight).map { word in
            var result: UInt8 = 0
            for group in 0..<8 / size {
                let index = word >> (group * indexBits) & ((1 << indexBits) - 1)
                guard index < masks.count else { return 0 }
                result |= masks[index] << UInt8(group * size)
            }
            return result
        }
    }

    /// Groups in a row; the last may reach beyond the last column.
    func groups(columns: Int) -> Int { (columns + size - 1) / size }

    /// Weights stored of a row.
    func keptCount(columns: Int) -> Int { groups(columns: columns) * kept }

    /// Bytes of the indices of a row.
    func patternBytes(columns: Int) -> Int { (groups(columns: columns) * indexBits + 7) / 8 }
}
