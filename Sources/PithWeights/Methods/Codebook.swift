import PithCore
import PithModels
import PithTensor

/// Rounds every weight to the nearest entry of a table that all groups of the matrix share.
struct Codebook: WeightCodec {
    /// Where the table comes from.
    enum Levels: String, CaseIterable { case learned, nf4, fp4 }

    static let levels = MethodOption.choice(
        "levels", Levels.learned, "the table: of the matrix itself, normal quantiles, or floats of 4 bits (E2M1)")
    static let bits = MethodOption.integer("bits", 4, in: 2...8, "bits of a code; nf4 and fp4 have 4")

    static let entry = MethodEntry(
        identifier: "codebook", paper: Paper("QLoRA: Efficient Finetuning of Quantized LLMs", 2023),
        summary: "round each weight to the nearest entry of a table, given or learned by k-means",
        options: [levels, bits, GridOptions.group])

    private let table: WeightTable?
    private let bits: Int
    private let group: Int

    init(_ options: OptionValues) throws(PithError) {
        let levels = options[Self.levels]
        table =
            switch levels {
            case .learned: nil
            case .nf4: .normalFloat4
            case .fp4: .float4
            }
        bits = options[Self.bits]
        group = try GridOptions.checkedGroup(options, GridOptions.group)
        guard table == nil || bits == 4 else {
            throw .usage("\(levels) has codes of 4 bits, not \(bits)", remedy: "levels=learned has any number of bits")
        }
    }

    var needs: CalibrationNeeds { .nothing }

    func compress(_ problem: WeightProblem) throws(PithError) -> any StoredLinear {
        let weight = problem.weight
        let groupSize = weight.groupSize(group)
        // 1. The largest weight of each group becomes the largest entry.
        let largest = Float(table?.largest ?? 127)
        let scales = try storedScales(weight.mapGroups(of: groupSize) { largestMagnitude($0) / largest })
        // 2. Learn what table fits the weights as multiples of their scales.
        let table = table ?? learnedTable(weight, scales, groupSize: groupSize, bits: bits)
        // 3. Round.
        let groups = (weight.columns + groupSize - 1) / groupSize
        let codes: [UInt8] = mapRows(of: weight, pool: problem.pool) { row, weights, codes in
            for column in 0..<weight.columns {
                let scale = scales[row * groups + column / groupSize]
                codes[column] = table.code(scale > 0 ? weights[column] / scale : 0)
            }
        }
        return try CodebookCodes(
            codes: codes, codebook: table.entries, scales: scales, rows: weight.rows, columns: weight.columns,
            bits: bits,
            groupSize: groupSize)
    }
}

/// Levels that weights, as multiples of their scales, are rounded to. Zero is one of them.
struct WeightTable: Sendable {
    /// By code, ascending.
    let entries: [Int8]
    /// Between each entry and the next.
    private let borders: [Float]

    init(_ entries: [Int8]) {
        self.entries = entries.sorted()
        borders = zip(self.entries, self.entries.dropFirst()).map { (Float($0) + Float($1)) / 2 }
    }

    /// The quantiles of the normal distribution that QLoRA's NormalFloat has, times 127, rounded.
    static let normalFloat4 = Self([-127, -88, -67, -50, -36, -23, -12, 0, 10, 20, 31, 43, 56, 71, 92, 127])
    /// Twice the floats of a sign, two bits of exponent and one of mantissa, exactly; zero is there twice.
    static let float4 = Self([-12, -8, -6, -4, -3, -2, -1, 0, 0, 1, 2, 3, 4, 6, 8, 12])

    /// The largest magnitude.
    var largest: Int { entries.reduce(0) { max($0, abs(Int($1))) } }

    /// The code of the entry nearest to a multiple.
    func code(_ multiple: Float) -> UInt8 {
        var (low, high) = (0, borders.count)
        while low < high {
            let middle = (low + high) / 2
            if borders[middle] < multiple { low = middle + 1 } else { high = middle }
        }
        return UInt8(low)
    }
}

/// The table of 2^bits entries that loses the least of the weights, by Lloyd's method (k-means in one dimension).
///
/// Multiples of the scales, −127…127, are counted in bins, each weight by the square of its scale: what is lost of it
/// is as much smaller.
func learnedTable(_ weight: Tensor, _ scales: [Float], groupSize: Int, bits: Int) -> WeightTable {
    let perStep = 16
    let bins = 2 * 128 * perStep + 1
    let groups = (weight.columns + groupSize - 1) / groupSize
    var masses = [Double](repeating: 0, count: bins)
    for row in 0..<weight.rows {
        for column in 0..<weight.columns {
            let scale = scales[row * groups + column / groupSize]
            guard scale > 0 else { continue }
            let bin = (weight.values[row * weight.columns + column] / scale + 128) * Float(perStep)
            masses[min(max(0, Int(saturating: bin)), bins - 1)] += Double(scale) * Double(scale)
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
