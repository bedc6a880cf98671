import PithCore
import PithModels
import PithTensor

/// Gives a code to several neighbouring weights at once: the nearest entry of a book, and of further books that learn
/// what the ones before left over.
struct VectorQuantization: WeightCodec {
    static let entry = MethodEntry(
        identifier: "vq",
        paper: Paper(
            "NoWag: A Unified Framework for Shape Preserving Compression of Large Language Models", 2025,
            identifier: "nowag"),
        summary: "a code of 8 bits for 4 or 8 neighbouring weights, from books learned by k-means",
        options: [
            .choice("dimension", "8", of: ["4", "8"], "weights that a code stands for"),
            .integer("books", 2, in: VectorCodes.bookRange, "books whose entries are added, with a code for each"),
            .integer("group", 0, in: 0...1024, "columns that share a scale, a multiple of 32; 0: the whole row"),
            .flag("norms", true, "weigh errors by the norms of the inputs"),
        ])

    private let dimension: Int
    private let books: Int
    private let group: Int
    private let norms: Bool

    init(_ options: OptionValues) throws(PithError) {
        dimension = options.text("dimension") == "4" ? 4 : 8
        books = options.integer("books")
        group = try GridOptions.group(options)
        norms = options.flag("norms")
    }

    var needs: CalibrationNeeds { norms ? .columnNorms : .nothing }

    func compress(_ problem: WeightProblem) throws(PithError) -> any StoredLinear {
        let weight = problem.weight
        let groupSize = group == 0 ? max(1, weight.columns) : group
        // 1. Rows of one size: each group by the root of its mean square.
        let sizes = rootMeanSquares(weight, groupSize: groupSize)
        var chunks = WeightChunks(
            weight, sizes: sizes, groupSize: groupSize, dimension: dimension,
            importance: norms ? importance(try problem.columnSquares()) : nil)
        // 2. Learn a book, take away what it says, and go on with what is left.
        // Books that took more than their codes would be no gain.
        let entryCount = min(256, max(1, chunks.rows * chunks.count / 4))
        var random = SeededGenerator(seed: problem.seed)
        var (codes, entries, sums) = ([[UInt8]](), [[Float]](), [Float](repeating: 0, count: chunks.values.count))
        for _ in 0..<books {
            let book = learnBook(chunks, entryCount: entryCount, &random, pool: problem.pool)
            codes.append(book.codes)
            entries.append(book.entries)
            chunks.subtract(book, addingTo: &sums)
        }
        // 3. Entries become whole numbers, such that no sum of those that are used leaves −127…127.
        let largest = (entries.joined().map(abs) + sums.map(abs)).max() ?? 0
        let steps = Float(127 - books) / (largest > 0 ? largest : 1)
        let whole = entries.joined().map { Int8(($0 * steps).rounded()) }
        let scales = sizes.map { $0 / steps }
        guard roundedToHalf(scales).allSatisfy(\.isFinite) else {
            throw .data("the weights are too large for scales in half precision")
        }
        return try VectorCodes(
            codes: codes, books: whole, dimension: dimension, scales: scales, rows: weight.rows,
            columns: weight.columns, groupSize: groupSize)
    }
}

/// The root of the mean square of each group of a row, [rows, groups].
private func rootMeanSquares(_ weight: Tensor, groupSize: Int) -> [Float] {
    (0..<weight.rows).flatMap { row in
        stride(from: 0, to: weight.columns, by: groupSize).map { start in
            let end = min(weight.columns, start + groupSize)
            let squares = weight.values[row * weight.columns + start..<row * weight.columns + end].reduce(0) {
                $0 + $1 * $1
            }
            return (squares / Float(end - start)).squareRoot()
        }
    }
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
    /// What an error in a chunk costs besides, the square of its group's size, [rows, count].
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
        squares = (0..<weight.rows).flatMap { row in
            (0..<count).map { chunk in
                let size = sizes[row * groups + chunk * dimension / groupSize]
                return size * size
            }
        }
    }

    /// Leaves what a book does not say; `sums`, of the shape of `values`, gets what it does.
    mutating func subtract(_ book: LearnedBook, addingTo sums: inout [Float]) {
        for vector in 0..<rows * count {
            for i in 0..<dimension {
                let entry = book.entries[Int(book.codes[vector]) * dimension + i]
                values[vector * dimension + i] -= entry
                sums[vector * dimension + i] += entry
            }
        }
    }
}

/// Some short vectors, and which of them is nearest to each chunk.
struct LearnedBook {
    /// [entries, dimension].
    var entries: [Float]
    /// [rows, chunks].
    var codes: [UInt8]
}
