import PithCore
import PithModels
import PithTensor

/// How finely and in which groups weights are rounded: the options that all quantizers share.
struct GridOptions: Sendable {
    let bits: Int
    let group: Int
    let symmetric: Bool

    static let bits = MethodOption.integer("bits", 4, in: 2...8, "bits of a code")
    static let symmetric = MethodOption.flag("symmetric", false, "scales without zero points")

    static let group = group(64)

    static let schema: [any DeclaredOption] = [bits, group, symmetric]

    /// The option `group` with a default of a method's own.
    static func group(_ size: Int) -> MethodOption<Int> {
        .integer("group", size, in: 0...1024, "columns that share a scale, a multiple of 32; 0: the whole row")
    }

    init(bits: Int, group: Int, symmetric: Bool) {
        (self.bits, self.group, self.symmetric) = (bits, group, symmetric)
    }

    init(_ options: OptionValues) throws(PithError) {
        bits = options[Self.bits]
        group = try Self.checkedGroup(options, Self.group)
        symmetric = options[Self.symmetric]
    }

    /// The option `group`, checked.
    static func checkedGroup(_ options: OptionValues, _ option: MethodOption<Int>) throws(PithError) -> Int {
        let group = options[option]
        guard group % 32 == 0 else {
            throw .usage("group=\(group) is no multiple of 32", remedy: "for example group=64, or 0 for the whole row")
        }
        return group
    }
}

extension Tensor {
    /// Columns of a group: all of a row where `group` is 0.
    func groupSize(_ group: Int) -> Int { group == 0 ? max(1, columns) : group }

    /// What `body` makes of the weights of each group of a row, [rows, groups]; the last of a row may be shorter.
    func mapGroups<Result>(of groupSize: Int, _ body: (ArraySlice<Float>) -> Result) -> [Result] {
        (0..<rows).flatMap { row in
            stride(from: 0, to: columns, by: groupSize).map { start in
                body(values[row * columns + start..<row * columns + min(columns, start + groupSize)])
            }
        }
    }
}

/// Scales as they are stored, rounded to half precision.
func storedScales(_ scales: [Float]) throws(PithError) -> [Float] {
    let stored = roundedToHalf(scales)
    guard stored.allSatisfy(\.isFinite) else {
        throw .data("the weights are too large for scales in half precision")
    }
    return stored
}

/// The largest |weight|.
func largestMagnitude(_ weights: some Sequence<Float>) -> Float { weights.reduce(0) { max($0, abs($1)) } }

/// The levels that weights are rounded to: (code − zero) · scale, with scale and zero for each group of a row.
///
/// Zero is a level of every group, so that rounding never moves a weight further than dropping it would.
struct QuantizationGrid: Sendable {
    let bits: Int
    /// Columns of a group.
    let groupSize: Int
    /// Groups of a row.
    let groups: Int
    let symmetric: Bool
    /// As they are stored, rounded to half precision, [rows, groups].
    let scales: [Float]
    /// The code of the weight zero, [rows, groups].
    let zeros: [Float]

    /// The grid that spans the weights of each group, [rows, columns].
    init(_ weight: Tensor, _ options: GridOptions) throws(PithError) {
        let columns = weight.columns
        bits = options.bits
        symmetric = options.symmetric
        groupSize = weight.groupSize(options.group)
        groups = (columns + groupSize - 1) / groupSize
        let levels = Float((1 << bits) - 1)
        let spans = weight.mapGroups(of: groupSize) { [symmetric] weights in
            let (low, high) = Self.span(weights)
            let most = max(-low, high)
            return symmetric ? (low: -most, high: most) : (low: low, high: high)
        }
        scales = try storedScales(spans.map { ($0.high - $0.low) / levels })
        let middle = Float(1 << (bits - 1))
        zeros = zip(spans.map(\.low), scales).map { [symmetric] low, scale in
            symmetric ? middle : scale > 0 ? min(levels, max(0, (-low / scale).rounded(.toNearestOrEven))) : 0
        }
    }

    /// The smallest and the largest of some weights and zero.
    private static func span(_ weights: ArraySlice<Float>) -> (low: Float, high: Float) {
        weights.withUnsafeBufferPointer { weights in
            var (low, high) = (Float(0), Float(0))
            for weight in weights {
                low = min(low, weight)
                high = max(high, weight)
            }
            return (low, high)
        }
    }

    /// The zero points as they are stored.
    var storedZeros: [UInt8]? { symmetric ? nil : zeros.map { UInt8(saturating: $0) } }

    /// The levels of every group, [rows, groups].
    var allLevels: [GroupLevels] { zip(scales, zeros).map { GroupLevels(scale: $0, zero: $1, bits: bits) } }

    /// The stored form of codes on this grid, one byte each, [rows, columns]: of all, or of those that are kept.
    func store(
        _ codes: [UInt8], keeping mask: [Bool]?, rows: Int, columns: Int
    ) throws(PithError) -> any StoredLinear {
        guard let mask else {
            return try GroupedCodes(
                codes: codes, scales: scales, zeros: storedZeros, rows: rows, columns: columns, bits: bits,
                groupSize: groupSize)
        }
        if TileCodes.canKeep(mask, rows: rows, columns: columns) {
            return try TileCodes(
                codes: codes, keeping: mask, scales: scales, zeros: storedZeros, rows: rows, columns: columns,
                bits: bits, groupSize: groupSize)
        }
        return try MaskedCodes(
            codes: codes, keeping: mask, scales: scales, zeros: storedZeros, rows: rows, columns: columns, bits: bits,
            groupSize: groupSize)
    }
}

/// The levels of one group.
struct GroupLevels {
    let scale: Float
    let zero: Float
    private let inverse: Float
    private let highest: Float

    init(scale: Float, zero: Float, bits: Int) {
        self.scale = scale
        self.zero = zero
        inverse = scale > 0 ? 1 / scale : 0
        highest = Float((1 << bits) - 1)
    }

    /// The code of the level nearest to a weight, as a float.
    @inline(__always)
    func code(_ weight: Float) -> Float {
        min(highest, max(0, (weight * inverse).rounded(.toNearestOrEven) + zero))
    }

    /// The weight that a code stands for.
    @inline(__always)
    func weight(_ code: Float) -> Float { (code - zero) * scale }
}
