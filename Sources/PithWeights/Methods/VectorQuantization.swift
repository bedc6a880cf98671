import PithCore
import PithModels
import PithTensor

/// Gives a code to several neighbouring weights at once: the nearest entry of a codebook, and of further codebooks that learn
/// what the ones before left over.
struct VectorQuantization: WeightCodec {
    static let dimension = MethodOption.choice("dimension", 4, of: [4, 8], "weights that a code stands for")
    static let codebooks = MethodOption.integer(
        "codebooks", 1, in: VectorCodes.codebookRange, "codebooks whose entries are added, with a code for each")
    static let group = GridOptions.group(0)
    static let norms = MethodOption.flag("norms", true, "weigh errors by the norms of the inputs")

    static let entry = MethodEntry(
        identifier: "vq",
        paper: Paper(
            "NoWag: A Unified Framework for Shape Preserving Compression of Large Language Models", 2025,
            identifier: "nowag"),
        summary: "a code of 8 bits for 4 or 8 neighbouring weights, from codebooks learned by k-means",
        options: [dimension, codebooks, group, norms])

    private let dimension: Int
    private let codebooks: Int
    private let group: Int
    private let norms: Bool

    init(_ options: OptionValues) throws(PithError) {
        dimension = options[Self.dimension]
        codebooks = options[Self.codebooks]
        group = try GridOptions.checkedGroup(options, Self.group)
        norms = options[Self.norms]
    }

    /// Rounds in which all codebooks are learned again.
    private static let sweeps = 3

    var needs: CalibrationNeeds { norms ? .columnNorms : .nothing }

    /// Vectors, what the codebooks leave of them, and the distances to entries.
    func memory(rows: Int, columns: Int) -> Int { 64 * rows * columns }

    func compress(_ problem: WeightProblem) throws(PithError) -> any StoredLinear {
        let weight = problem.weight
        let groupSize = weight.groupSize(group)
        // 1. Rows of one size: each group by the root of its mean square.
        let sizes = weight.mapGroups(of: groupSize, rootMeanSquare)
        var chunks = WeightChunks(
            weight, sizes: sizes, groupSize: groupSize, dimension: dimension,
            importance: norms ? importance(try problem.columnSquares()) : nil)
        // 2. Learn a codebook, take away what it says, and go on with what is left.
        // Codebooks that took more than their codes would be no gain.
        let entryCount = min(256, max(1, chunks.rows * chunks.count / 4))
        var random = SeededGenerator(seed: problem.seed)
        var learned: [LearnedCodebook] = []
        for _ in 0..<codebooks {
            learned.append(learnCodebook(chunks, entryCount: entryCount, &random, pool: problem.pool))
            chunks.subtract(learned[learned.count - 1])
        }
        // 3. Each learns again what all the others leave over.
        for _ in 0..<(codebooks > 1 ? Self.sweeps : 0) {
            for codebook in learned.indices {
                chunks.add(learned[codebook])
                improve(&learned[codebook], chunks, rounds: 3, pool: problem.pool)
                chunks.subtract(learned[codebook])
            }
        }
        // 4. Entries become whole numbers of steps.
        let (rounded, steps) = roundEntries(of: learned, chunks, pool: problem.pool)
        let whole = rounded.flatMap { $0.entries.map { Int8(saturating: $0 * steps) } }
        let scales = try storedScales(sizes.map { $0 / steps })
        return try VectorCodes(
            codes: rounded.map { $0.codes }, codebooks: whole, dimension: dimension, scales: scales, rows: weight.rows,
            columns: weight.columns, groupSize: groupSize)
    }
}

/// Rounds entries to whole numbers of steps, codebook by codebook: later ones make up for the rounding of earlier ones. There
/// are as many steps in 1 as let no entry, and no sum of those that are used, leave −127…127.
private func roundEntries(
    of learned: [LearnedCodebook], _ rest: WeightChunks, pool: ThreadPool
) -> (codebooks: [LearnedCodebook], steps: Float) {
    let largest = max(
        largestMagnitude(learned.flatMap { $0.entries }), largestMagnitude(rest.sums(of: learned)))
    var steps = largest > 0 ? 124 / largest : 1
    while true {
        var (codebooks, rest) = (learned, rest)
        for codebook in codebooks.indices {
            rest.add(codebooks[codebook])
            improve(&codebooks[codebook], rest, rounds: codebook > 0 ? 2 : 0, pool: pool)
            codebooks[codebook].entries = codebooks[codebook].entries.map { ($0 * steps).rounded() / steps }
            improve(&codebooks[codebook], rest, rounds: 0, pool: pool)
            rest.subtract(codebooks[codebook])
        }
        let largest = max(
            largestMagnitude(codebooks.flatMap { $0.entries }), largestMagnitude(rest.sums(of: codebooks)))
        guard largest * steps >= 127.5 else { return (codebooks, steps) }
        steps *= 0.9
    }
}

/// The root of the mean square.
private func rootMeanSquare(_ weights: ArraySlice<Float>) -> Float {
    let mean = weights.reduce(0) { $0 + $1 * $1 } / Float(weights.count)
    guard mean.isFinite else {
        // The squares are beyond single precision, their root is not.
        return Float((weights.reduce(0) { $0 + Double($1) * Double($1) } / Double(weights.count)).squareRoot())
    }
    return mean.squareRoot()
}

/// Squared norms of the inputs with the mean 1; inputs hardly ever seen count a little all the same.
private func importance(_ squares: [Double]) -> [Float] {
    let mean = squares.reduce(0, +) / Double(max(1, squares.count))
    return squares.map { mean > 0 ? Float(max($0 / mean, 0.001)) : 1 }
}

/// A matrix cut into short vectors, each group of a row divided by its size.
struct WeightChunks {
    /// Rows of the matrix.
    let rows: Int
    /// Vectors of a row.
    let count: Int
    /// Weights of a vector.
    let dimension: Int
    /// [rows, count · dimension], with zeros behind the last column.
    private(set) var values: [Float]
    /// What an error of a column costs, [count · dimension]; nothing behind the last column.
    let importance: [Float]
    /// What an error in a chunk costs besides, the square of its group's size in units of about the largest,
    /// [rows, count].
    let squares: [Float]

    init(_ weight: Tensor, sizes: [Float], groupSize: Int, dimension: Int, importance: [Float]?) {
        let (columns, count) = (weight.columns, (weight.columns + dimension - 1) / dimension)
        let groups = (columns + groupSize - 1) / groupSize
        let width = count * dimension
        var values = [Float](repeating: 0, count: weight.rows * width)
        for row in 0..<weight.rows {
            for column in 0..<columns {
                let size = sizes[row * groups + column / groupSize]
                values[row * width + column] = size > 0 ? weight.values[row * columns + column] / size : 0
            }
        }
        (rows, self.count, self.dimension, self.values) = (weight.rows, count, dimension, values)
        self.importance = (0..<width).map { $0 < columns ? importance?[$0] ?? 1 : 0 }
        // A power of two changes no digit, and squares stay in range.
        let largest = largestMagnitude(sizes)
        let scale = largest > 0 ? largest.binade : 1
        squares = (0..<weight.rows).flatMap { row in
            (0..<count).map { chunk in
                let size = sizes[row * groups + chunk * dimension / groupSize] / scale
                return size * size
            }
        }
    }

    /// Leaves what a codebook does not say.
    mutating func subtract(_ codebook: LearnedCodebook) {
        codebook.accumulate(into: &values, factor: -1, dimension: dimension)
    }

    /// Takes that back.
    mutating func add(_ codebook: LearnedCodebook) {
        codebook.accumulate(into: &values, factor: 1, dimension: dimension)
    }

    /// What some codebooks say together, [rows, count · dimension].
    func sums(of codebooks: [LearnedCodebook]) -> [Float] {
        var sums = [Float](repeating: 0, count: values.count)
        for codebook in codebooks { codebook.accumulate(into: &sums, factor: 1, dimension: dimension) }
        return sums
    }
}

/// Some short vectors, and which of them is nearest to each chunk.
struct LearnedCodebook {
    /// [entries, dimension].
    var entries: [Float]
    /// [rows, chunks].
    var codes: [UInt8]

    /// Adds the entries of all codes to `values`, [rows, chunks · dimension].
    func accumulate(into values: inout [Float], factor: Float, dimension: Int) {
        values.withUnsafeMutableBufferPointer { values in
            entries.withUnsafeBufferPointer { entries in
                for (vector, code) in codes.enumerated() {
                    let (place, entry) = (vector * dimension, Int(code) * dimension)
                    for i in 0..<dimension { values[place + i] += factor * entries[entry + i] }
                }
            }
        }
    }
}
