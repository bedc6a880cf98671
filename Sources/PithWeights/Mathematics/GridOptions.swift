import PithCore
import PithModels
import PithTensor

/// How finely and in which groups weights are rounded: the options that all quantizers share.
struct GridOptions: Sendable {
    let bits: Int
    let group: Int
    let symmetric: Bool
    let fit: ScaleFit

    static let bits = MethodOption.integer("bits", 4, in: 2...8, "bits of a code")
    static let symmetric = MethodOption.flag("symmetric", false, "scales without zero points")

    static let group = group(64)

    static let schema: [any DeclaredOption] = [bits, group, symmetric]

    /// The option `group` with a default of a method's own.
    static func group(_ size: Int) -> MethodOption<Int> {
        .integer("group", size, in: 0...1024, "columns that share a scale, a multiple of 32; 0: the whole row")
    }

    init(bits: Int, group: Int, symmetric: Bool, fit: ScaleFit = .importance) {
        (self.bits, self.group, self.symmetric, self.fit) = (bits, group, symmetric, fit)
    }

    init(_ options: OptionValues, fit: ScaleFit) throws(PithError) {
        bits = options[Self.bits]
        group = try Self.checkedGroup(options, Self.group)
        symmetric = options[Self.symmetric]
        self.fit = fit
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

/// How the scales of groups are chosen.
enum ScaleFit: String, CaseIterable {
    /// The levels span the weights.
    case range
    /// The squared error of the weights is least.
    case error
    /// The same with each error weighed by the squares of the inputs that it meets, as llama.cpp's importance matrices do.
    case importance

    /// The option with a default of a method's own.
    static func option(_ value: Self) -> MethodOption<Self> {
        .choice(
            "scales", value,
            "how scales are chosen: to span the weights, or for the least error, of weights or weighed by inputs")
    }

    /// What has to be seen of the inputs.
    var needs: CalibrationNeeds { self == .importance ? .columnNorms : .nothing }

    /// How much an error in each of some columns counts; nil where nothing is searched.
    func shares(_ importance: [Float]?, columns: Int) -> [Float]? {
        self == .range ? nil : Self.shares(of: self == .importance ? importance : nil, columns: columns)
    }

    /// Importance with a mean of 1, and none so little that its column is not looked at; 1 where nothing is known.
    static func shares(of importance: [Float]?, columns: Int) -> [Float] {
        let mean = (importance ?? []).reduce(0, +) / Float(max(1, columns))
        guard let importance, mean > 0, mean.isFinite else { return [Float](repeating: 1, count: columns) }
        return importance.map { max($0 / mean, 1e-6) }
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

    /// What `body` makes of the weights of each group of a row and their shares of the error, [rows, groups].
    func mapGroups<Result: Sendable>(
        of groupSize: Int, shares: [Float], pool: ThreadPool, _ body: @Sendable (WeightGroup) -> Result
    ) -> [Result] {
        pool.map(rows) { row in
            values.withUnsafeBufferPointer { values in
                shares.withUnsafeBufferPointer { shares in
                    stride(from: 0, to: columns, by: groupSize).map { start in
                        body(
                            WeightGroup(
                                weights: values.baseAddress! + row * columns + start,
                                importance: shares.baseAddress! + start, count: min(groupSize, columns - start)))
                    }
                }
            }
        }.flatMap { $0 }
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

/// Whole numbers of some bits, with a scale and a zero point in half precision and in a byte for each group of a row.
///
/// Zero is a level of every group, so that rounding never moves a weight further than dropping it would.
extension GridOptions: GridForm {
    var name: String { "codes of \(bits) bits" }

    /// The grid of each group that spans its weights, or has the least error.
    func fit(_ weight: Tensor, importance: [Float]?, pool: ThreadPool) throws(PithError) -> FittedGrid {
        let (rows, columns, bits, symmetric) = (weight.rows, weight.columns, bits, symmetric)
        let groupSize = weight.groupSize(group)
        let highest = Float((1 << bits) - 1)
        let middle = Float(1 << (bits - 1))
        let (scales, zeros): ([Float], [Float])
        if let shares = fit.shares(importance, columns: columns) {
            let found = weight.mapGroups(of: groupSize, shares: shares, pool: pool) { group in
                symmetric
                    ? (scale: group.scale(-middle...highest - middle, isPositive: true), zero: middle)
                    : group.scaleAndZero(highest: highest)
            }
            (scales, zeros) = (try storedScales(found.map(\.scale)), found.map(\.zero))
        } else {
            (scales, zeros) = try spanning(weight, groupSize, highest: highest, middle: middle)
        }
        let stored = symmetric ? nil : zeros.map { UInt8(saturating: $0) }
        return FittedGrid(
            groupSize: groupSize, groups: (columns + groupSize - 1) / groupSize,
            levels: zip(scales, zeros).map { GroupLevels(scale: $0, zero: $1, highest: highest) }
        ) { (codes, mask) throws(PithError) in
            guard let mask else {
                return try GroupedCodes(
                    codes: codes, scales: scales, zeros: stored, rows: rows, columns: columns, bits: bits,
                    groupSize: groupSize)
            }
            if TileCodes.canKeep(mask, rows: rows, columns: columns) {
                return try TileCodes(
                    codes: codes, keeping: mask, scales: scales, zeros: stored, rows: rows, columns: columns,
                    bits: bits, groupSize: groupSize)
            }
            return try MaskedCodes(
                codes: codes, keeping: mask, scales: scales, zeros: stored, rows: rows, columns: columns, bits: bits,
                groupSize: groupSize)
        }
    }

    /// Scales and zeros with which the levels span the weights of each group.
    private func spanning(
        _ weight: Tensor, _ groupSize: Int, highest: Float, middle: Float
    ) throws(PithError) -> (scales: [Float], zeros: [Float]) {
        let symmetric = symmetric
        let spans = weight.mapGroups(of: groupSize) { weights in
            let (low, high) = Self.span(weights)
            let most = max(-low, high)
            return symmetric ? (low: -most, high: most) : (low: low, high: high)
        }
        let scales = try storedScales(spans.map { ($0.high - $0.low) / highest })
        let zeros = zip(spans.map(\.low), scales).map { low, scale in
            symmetric ? middle : scale > 0 ? min(highest, max(0, (-low / scale).rounded(.toNearestOrEven))) : 0
        }
        return (scales, zeros)
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
}
