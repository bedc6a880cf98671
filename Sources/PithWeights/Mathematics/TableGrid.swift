import PithCore
import PithModels
import PithTensor

/// Codes that name the entries of one table for the whole matrix, with a scale for each group of a row.
struct TableGrid: GridForm {
    /// Where the table comes from.
    enum Levels: String, CaseIterable { case learned, nf4, fp4 }

    let bits: Int
    let fit: ScaleFit
    private let group: Int
    private let levels: Levels

    init(_ levels: Levels, bits: Int, group: Int, fit: ScaleFit) throws(PithError) {
        guard levels == .learned || bits == 4 else {
            throw .usage("\(levels) has codes of 4 bits, not \(bits)", remedy: "levels=learned has any number of bits")
        }
        (self.levels, self.bits, self.group, self.fit) = (levels, bits, group, fit)
    }

    var name: String { "codes of \(bits) bits for \(levels) levels" }

    private var table: WeightTable? {
        switch levels {
        case .learned: nil
        case .nf4: .normalFloat4
        case .fp4: .float4
        }
    }

    func fit(_ weight: Tensor, importance: [Float]?, pool: ThreadPool) throws(PithError) -> FittedGrid {
        let (rows, columns, bits) = (weight.rows, weight.columns, bits)
        let groupSize = weight.groupSize(group)
        let shares = fit.shares(importance, columns: columns)
        // 1. The largest weight of each group becomes the largest entry.
        let largest = Float(table?.largest ?? 127)
        var scales = try storedScales(weight.mapGroups(of: groupSize) { largestMagnitude($0) / largest })
        // 2. Learn what table fits the weights as multiples of their scales.
        func learned() -> WeightTable { learnedTable(weight, scales, shares, groupSize: groupSize, bits: bits) }
        var table = table ?? learned()
        // 3. Search for the scales with the least error, and learn the table anew for these.
        if let shares {
            for round in 0..<(levels == .learned ? Self.rounds : 1) {
                if round > 0 { table = learned() }
                let search = LevelTable(table.entries)
                scales = try storedScales(
                    weight.mapGroups(of: groupSize, shares: shares, pool: pool) { $0.scale(search, isPositive: true) })
            }
        }
        let (codebook, chosen) = (table.entries, scales)
        return FittedGrid(
            groupSize: groupSize, groups: (columns + groupSize - 1) / groupSize,
            levels: scales.map { GroupLevels(scale: $0, highest: Float((1 << bits) - 1)) },
            table: LevelTable(codebook)
        ) { (codes, mask) throws(PithError) in
            guard mask == nil else {
                throw .usage("tables have no room for a mask", remedy: "quantize without pruning, or to uniform levels")
            }
            return try CodebookCodes(
                codes: codes, codebook: codebook, scales: chosen, rows: rows, columns: columns, bits: bits,
                groupSize: groupSize)
        }
    }

    /// Tables and scales are learned in turns so often.
    private static let rounds = 3
}

/// Levels that weights, as multiples of their scales, are rounded to. Zero is one of them.
struct WeightTable: Sendable {
    /// By code, ascending.
    let entries: [Int8]

    init(_ entries: [Int8]) { self.entries = entries.sorted() }

    /// The quantiles of the normal distribution that QLoRA's NormalFloat has, times 127, rounded.
    static let normalFloat4 = Self([-127, -88, -67, -50, -36, -23, -12, 0, 10, 20, 31, 43, 56, 71, 92, 127])
    /// Twice the floats of a sign, two bits of exponent and one of mantissa, exactly; zero is there twice.
    static let float4 = Self([-12, -8, -6, -4, -3, -2, -1, 0, 0, 1, 2, 3, 4, 6, 8, 12])

    /// The largest magnitude.
    var largest: Int { entries.reduce(0) { max($0, abs(Int($1))) } }
}

/// The table of 2^bits entries that loses the least of the weights, by Lloyd's method (k-means in one dimension).
///
/// Multiples of the scales, −127…127, are counted in bins, each weight by the square of its scale, since what is lost of it
/// is as much smaller, and by the share of its column.
private func learnedTable(
    _ weight: Tensor, _ scales: [Float], _ shares: [Float]?, groupSize: Int, bits: Int
) -> WeightTable {
    let perStep = 16
    let bins = 2 * 128 * perStep + 1
    let groups = (weight.columns + groupSize - 1) / groupSize
    var masses = [Double](repeating: 0, count: bins)
    for row in 0..<weight.rows {
        for column in 0..<weight.columns {
            let scale = scales[row * groups + column / groupSize]
            guard scale > 0 else { continue }
            let bin = (weight.values[row * weight.columns + column] / scale + 128) * Float(perStep)
            masses[min(max(0, Int(saturating: bin)), bins - 1)] +=
                Double(scale) * Double(scale) * Double(shares?[column] ?? 1)
        }
    }
    let places = (0..<bins).map { Double($0) / Double(perStep) - 128 }
    let levels = lloydMax(masses, at: places, count: 1 << bits)
    var entries = levels.map { max(-127, Int8(saturating: $0)) }
    // Zeros stay zeros.
    if let nearest = entries.indices.min(by: { abs(Int(entries[$0])) < abs(Int(entries[$1])) }) { entries[nearest] = 0 }
    return WeightTable(entries)
}

/// The `count` levels to which masses at ascending places are rounded with the least squared error, nearly.
func lloydMax(_ masses: [Double], at places: [Double], count: Int) -> [Double] {
    // Where masses are dense, levels should lie as the cube root of the density says (Panter and Dite).
    let density = runningSums(masses.map { exponential(naturalLogarithm(max($0, 1e-300)) / 3) })
    let (mass, moment) = (runningSums(masses), runningSums(zip(masses, places).map { $0 * $1 }))
    var levels: [Double] = []
    var place = 0
    for level in 0..<count {
        while density[place + 1] < (Double(level) + 0.5) / Double(count) * density[places.count] { place += 1 }
        levels.append(places[place])
    }
    for _ in 0..<100 {
        var (start, moved) = (0, false)
        for level in 0..<count {
            var end = places.count
            if level + 1 < count {
                let border = (levels[level] + levels[level + 1]) / 2
                end = start
                while end < places.count, places[end] <= border { end += 1 }
            }
            if mass[end] > mass[start] {
                let mean = (moment[end] - moment[start]) / (mass[end] - mass[start])
                moved = moved || mean != levels[level]
                levels[level] = mean
            }
            start = end
        }
        if !moved { break }
    }
    return levels
}

/// 0, and the sums of the first one, two, … values.
private func runningSums(_ values: [Double]) -> [Double] {
    values.reduce(into: [0]) { $0.append($0[$0.count - 1] + $1) }
}
