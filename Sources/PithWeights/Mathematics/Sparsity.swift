import PithCore
import PithModels
import PithTensor

/// How much is pruned, and in which arrangement: the options that all pruners share.
enum SparsityTarget: Sendable {
    /// A share of all weights, wherever they stand.
    case anywhere(Double)
    /// All but n of every m weights of a row.
    case pattern(SparsityPattern)
    /// A share of all weights or a little more, in whole tiles of 16 rows by 32 columns, which kernels then skip.
    case tiles(Double)

    static let sparsity = MethodOption.real(
        "sparsity", 0.5, in: 0...0.99, "the share of weights pruned, if no pattern is given")
    static let pattern = MethodOption.choice(
        "pattern", SparsityPattern?.none, of: [nil] + SparsityPattern.all, { $0?.description ?? "none" },
        "n:m keeps n of every m weights of a row")
    static let block = MethodOption.choice(
        "block", false, of: [false, true], { $0 ? "16x32" : "none" },
        "prune whole blocks of so many rows by columns")

    static let schema: [any DeclaredOption] = [sparsity, pattern, block]

    init(_ options: OptionValues) throws(PithError) {
        let (pattern, sparsity) = (options[Self.pattern], options[Self.sparsity])
        switch (pattern, options[Self.block]) {
        case (nil, false): self = .anywhere(sparsity)
        case (nil, true): self = .tiles(sparsity)
        case (let pattern?, false): self = .pattern(pattern)
        default: throw .usage("pattern and block exclude each other", remedy: "give one of them")
        }
    }

    /// The weights of `weight` for which `kept` is true, in the stored form that suits the arrangement.
    func store(_ weight: Tensor, keeping mask: [Bool]) throws(PithError) -> any StoredLinear {
        if case .pattern(let pattern) = self { return try PatternSparse(weight, keeping: mask, pattern) }
        return try BitmaskSparse(weight, keeping: mask)
    }

    /// How many of the first `count` weights of a matrix, in whatever order, are left out: the share of them rounded.
    static func prunedCount(of count: Int, _ sparsity: Double) -> Int {
        min(count, Int(saturating: sparsity * Double(count)))
    }
}

/// The tiles of 16 rows by 32 columns in some columns of a matrix.
struct TileGrid {
    let rows: Int
    /// Begins on a multiple of 32.
    let columns: Range<Int>

    /// Tiles beside each other.
    private var width: Int { (columns.count + 31) / 32 }

    /// Calls `body` with the row, the column and the tile of each weight.
    private func forEachWeight(_ body: (_ row: Int, _ column: Int, _ tile: Int) -> Void) {
        for row in 0..<rows {
            for column in columns { body(row, column, row / 16 * width + (column - columns.lowerBound) / 32) }
        }
    }

    /// Leaves out the tiles of least mean score until `count` weights or more are gone: calls `body` with the row and
    /// the column of each, and returns how many they are.
    func leaveOut(
        _ count: Int, by score: (_ row: Int, _ column: Int) -> Double, _ body: (_ row: Int, _ column: Int) -> Void
    ) -> Int {
        let tiles = (rows + 15) / 16 * width
        var (sums, sizes) = ([Double](repeating: 0, count: tiles), [Int](repeating: 0, count: tiles))
        forEachWeight { row, column, tile in
            sums[tile] += score(row, column)
            sizes[tile] += 1
        }
        let means = zip(sums, sizes).map { $0 / Double(max(1, $1)) }
        var (isLeftOut, gone) = ([Bool](repeating: false, count: tiles), 0)
        for tile in (0..<tiles).sorted(by: { (means[$0], $0) < (means[$1], $1) }) where gone < count {
            isLeftOut[tile] = true
            gone += sizes[tile]
        }
        forEachWeight { row, column, tile in if isLeftOut[tile] { body(row, column) } }
        return gone
    }
}

/// A codec that leaves weights out.
protocol PruningCodec: WeightCodec {
    /// What it leaves out.
    var target: SparsityTarget { get }
}

/// A quantizer may follow a pruner, whose kept weights get codes, and nothing else.
func validateQuantizer(_ name: String, after previous: any WeightCodec) throws(PithError) {
    if previous is any PruningCodec { return }
    let before = type(of: previous).identifier
    throw .usage(
        "\(name) cannot follow \(before)",
        remedy: "put \(name) first, or behind a pruner: sparsegpt:pattern=2:4+\(name)")
}

/// A layout that tells which weights it keeps.
protocol SparseLayout: StoredLinear, RowDecodable {
    /// A truth value for each weight, [rows, columns].
    var mask: [Bool] { get }
}
