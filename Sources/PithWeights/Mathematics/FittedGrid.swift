import PithCore
import PithModels
import PithTensor

/// A stored form that weights are rounded to: which levels there are, and how they are chosen for a matrix.
public protocol GridForm: Sendable {
    /// What people call it.
    var name: String { get }
    /// Bits of a code.
    var bits: Int { get }
    /// Chooses the levels of each group for the weights of a matrix, [outputs, inputs]. `importance` says how much an
    /// error in each column counts, [inputs]; nil where nothing is known of them.
    func fit(_ weight: Tensor, importance: [Float]?, pool: ThreadPool) throws(PithError) -> FittedGrid
}

extension GridForm {
    /// A matrix with each weight at the nearest level.
    package func nearest(_ weight: Tensor, importance: [Float]?, pool: ThreadPool) throws(PithError) -> any StoredLinear
    {
        let grid = try fit(weight, importance: importance, pool: pool)
        return try grid.store(grid.nearestCodes(weight, pool: pool), nil)
    }
}

/// Levels that were chosen for the groups of a matrix, and how codes on them are stored.
public struct FittedGrid: Sendable {
    /// Columns of a group; the last of a row may be shorter.
    let groupSize: Int
    /// Groups of a row.
    let groups: Int
    /// [rows, groups].
    let levels: [GroupLevels]
    /// What codes name; nil where they are numbers themselves.
    let table: LevelTable?
    /// The stored form of codes, one byte each, [rows, columns]: of all, or of those that are kept.
    let store: @Sendable (_ codes: [UInt8], _ mask: [Bool]?) throws(PithError) -> any StoredLinear

    init(
        groupSize: Int, groups: Int, levels: [GroupLevels], table: LevelTable? = nil,
        store: @escaping @Sendable ([UInt8], [Bool]?) throws(PithError) -> any StoredLinear
    ) {
        (self.groupSize, self.groups, self.levels, self.table) = (groupSize, groups, levels, table)
        self.store = store
    }

    /// The code of the level nearest to a weight.
    @inline(__always)
    func code(_ row: Int, _ column: Int, _ weight: Float) -> UInt8 {
        let levels = levels[row * groups + column / groupSize]
        guard let table else { return UInt8(saturating: levels.code(weight)) }
        return UInt8(saturating: table.code(weight * levels.inverse))
    }

    /// The weight that a code stands for.
    @inline(__always)
    func weight(_ row: Int, _ column: Int, _ code: UInt8) -> Float {
        let levels = levels[row * groups + column / groupSize]
        guard let table else { return levels.weight(Float(code)) }
        return levels.scale * table.entry(Float(code))
    }

    /// The codes of the nearest levels, one byte each, [rows, columns].
    func nearestCodes(_ weight: Tensor, pool: ThreadPool) -> [UInt8] {
        mapRows(of: weight, pool: pool) { row, weights, codes in
            for column in 0..<weight.columns { codes[column] = code(row, column, weights[column]) }
        }
    }
}

/// The levels of one group: (code − zero) · scale − minimum, one of zero and minimum being 0.
struct GroupLevels {
    let scale: Float
    let zero: Float
    let minimum: Float
    let inverse: Float
    private let highest: Float

    init(scale: Float, zero: Float = 0, minimum: Float = 0, highest: Float) {
        (self.scale, self.zero, self.minimum, self.highest) = (scale, zero, minimum, highest)
        let inverse = 1 / scale
        self.inverse = scale != 0 && inverse.isFinite ? inverse : 0
    }

    /// The code of the level nearest to a weight, as a float.
    @inline(__always)
    func code(_ weight: Float) -> Float {
        min(highest, max(0, nearest(((weight + minimum) * inverse).clamped) + zero))
    }

    /// The weight that a code stands for.
    @inline(__always)
    func weight(_ code: Float) -> Float { (code - zero) * scale - minimum }
}

extension Float {
    /// Within the range in which `nearest` rounds.
    @inline(__always)
    fileprivate var clamped: Float { Swift.min(4_000_000, Swift.max(-4_000_000, self)) }
}
