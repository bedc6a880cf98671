import PithCoding
import PithCore

/// What is stored of categorical columns beside their cells.
struct CategoryPlan: Equatable {
    /// How cells are coded once classes are known.
    enum Coder: Int, CaseIterable {
        /// Statistics of the block mixed with those of the column, the row above and other columns of the row.
        case mixed
        /// Statistics of the block alone: the paper's model with an adaptive coder.
        case block
        /// Lempel and Ziv's phrases (1978), block by block: the paper's own coder.
        case phrases

        /// The name in options.
        var name: String { ["mixed", "block", "lz"][rawValue] }
    }

    var coder: Coder
    var classes: LatentClasses
    /// Values of each column.
    var sizes: [Int]
    /// For each column two columns before it that tell most about it; −1 is none.
    var tellers: [(Int, Int)]

    static func == (left: Self, right: Self) -> Bool {
        left.coder == right.coder && left.classes == right.classes && left.sizes == right.sizes
            && left.tellers.elementsEqual(right.tellers) { $0 == $1 }
    }

    /// Codes all cells, [columns, rows]; a reader passes nil and gets them.
    func code<Port: BitPort>(_ codes: [[Int32]]?, _ port: inout Port) throws(PithError) -> [[Int32]] {
        guard coder != .mixed else {
            var model = MixedCells(self)
            return try model.code(codes, &port)
        }
        // The table is cut into blocks: rows and columns in the order of their classes.
        let rowSets = Dictionary(grouping: classes.rows.indices) { classes.rows[$0] }
        let columnSets = Dictionary(grouping: sizes.indices) { classes.columns[$0] }
        var blocks: [(rows: [Int], columns: [Int], cells: [Int32])] = []
        for rowClass in rowSets.keys.sorted() {
            for columnClass in columnSets.keys.sorted() {
                let (rows, columns) = (rowSets[rowClass]!, columnSets[columnClass]!)
                let known = codes.map { codes in rows.flatMap { row in columns.map { codes[$0][row] } } }
                let (size, count) = (columns.map { sizes[$0] }.max()!, rows.count * columns.count)
                let cells =
                    switch coder {
                    case .phrases: try Phrases.code(known, count: count, size: size, &port)
                    default: try BlockStatistics.code(known, count: count, size: size, &port)
                    }
                blocks.append((rows, columns, cells))
            }
        }
        var result = sizes.map { _ in [Int32](repeating: 0, count: classes.rows.count) }
        for (rows, columns, cells) in blocks {
            for (place, cell) in cells.enumerated() {
                result[columns[place % columns.count]][rows[place / columns.count]] = cell
            }
        }
        return result
    }
}

/// One distribution for all cells of a block, learnt as they come.
enum BlockStatistics {
    static func code<Port: BitPort>(
        _ cells: [Int32]?, count: Int, size: Int, _ port: inout Port
    ) throws(PithError) -> [Int32] {
        var model = CategoryTree(size: size)
        var result: [Int32] = []
        for place in 0..<count { result.append(Int32(try model.code(cells.map { Int($0[place]) } ?? 0, &port))) }
        return result
    }
}

/// Lempel and Ziv's parsing of 1978: each phrase is one that was there before and one more cell. The number of the old
/// phrase and the cell are written plainly, as the proof has it.
enum Phrases {
    static func code<Port: BitPort>(
        _ cells: [Int32]?, count: Int, size: Int, _ port: inout Port
    ) throws(PithError) -> [Int32] {
        // Phrase p is phrase parents[p] and one cell; phrase 0 is empty.
        var (parents, lasts, next) = ([0], [Int32(0)], [UInt64: Int]())
        var result: [Int32] = []
        let cellBits = bitsNeeded(size)
        while result.count < count {
            // The longest phrase that goes on as the cells do, but leaves one cell.
            var (phrase, length) = (0, 0)
            if let cells {
                while result.count + length < count - 1,
                    let longer = next[UInt64(phrase) << 32 | UInt64(cells[result.count + length])]
                {
                    (phrase, length) = (longer, length + 1)
                }
            }
            phrase = try port.code(plain: phrase, count: bitsNeeded(parents.count))
            guard phrase < parents.count else { throw .invalidStream("phrase \(phrase) of \(parents.count)") }
            let place = result.count
            var old = phrase
            while old > 0 {
                result.append(lasts[old])
                old = parents[old]
            }
            result[place...].reverse()
            let last = try port.code(plain: cells.map { Int($0[result.count]) } ?? 0, count: cellBits)
            result.append(Int32(last))
            guard last < size, result.count <= count else { throw .invalidStream("a phrase behind a block's end") }
            next[UInt64(phrase) << 32 | UInt64(last)] = parents.count
            parents.append(phrase)
            lasts.append(Int32(last))
        }
        return result
    }
}

/// The bits that tell `count` things apart.
func bitsNeeded(_ count: Int) -> Int { Int.bitWidth - max(0, count - 1).leadingZeroBitCount }

/// A distribution over a few values, as adaptive bits of a binary tree.
struct CategoryTree {
    private var nodes: [AdaptiveBit]
    private let size: Int
    private let depth: Int

    init(size: Int) {
        (self.size, depth) = (size, bitsNeeded(size))
        nodes = [AdaptiveBit](repeating: AdaptiveBit(), count: 1 << depth)
    }

    mutating func code<Port: BitPort>(_ value: Int, _ port: inout Port) throws(PithError) -> Int {
        var node = 1
        for shift in (0..<depth).reversed() {
            let probability = nodes[node].probability
            let bit = try port.code(value >> shift & 1 == 1, probability: probability)
            nodes[node].update(bit, limit: 1023)
            node = node << 1 | (bit ? 1 : 0)
        }
        let coded = node - 1 << depth
        guard coded < size else { throw .invalidStream("value \(coded) of \(size)") }
        return coded
    }
}
