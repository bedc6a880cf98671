import PithTensor

/// The hidden classes of rows and columns of a categorical table: cells whose row and column are of the same two
/// classes are taken to come from one distribution. ("Compressing Tabular Data via Latent Variable Estimation",
/// Montanari and Weiner.)
struct LatentClasses: Equatable {
    /// The class of each row and of each column.
    var rows: [Int]
    var columns: [Int]

    /// One class for all rows, and one for each alphabet.
    init(rowCount: Int, alphabets: [Int]) {
        rows = [Int](repeating: 0, count: rowCount)
        columns = alphabets
    }
}

/// Rows and columns as points of a few dimensions: the largest singular vectors of the table, each cell of which is
/// an indicator of its value.
///
/// Only the encoder computes this; the classes are stored, so nothing here must be the same on all machines.
struct SpectralEmbedding {
    /// Coordinates, [rows, dimensions].
    private(set) var rows: [[Float]] = []
    /// Coordinates of each column: those of its values one behind the other, largest singular value first.
    private(set) var columns: [[Float]] = []

    /// Values of a column that have indicators of their own; others share the last.
    private static let indicators = 16
    /// Rows by which singular vectors are found.
    private static let sampleLimit = 8192

    /// Embeds a table of codes, [columns, rows], in as many dimensions.
    init(_ codes: [[Int32]], dimensions: Int, seed: UInt64) {
        let (count, width) = (codes.first?.count ?? 0, Self.indicators)
        let features = codes.count * width
        var random = SeededGenerator(seed: seed)
        // Centred indicators: each value's share of a column is taken away.
        var means = [Float](repeating: 0, count: features)
        for (column, cells) in codes.enumerated() {
            for code in cells { means[column * width + min(Int(code), width - 1)] += 1 / Float(count) }
        }
        let stride = max(1, count / Self.sampleLimit)
        let sample = Swift.stride(from: 0, to: count, by: stride).map { $0 }
        // Subspace iteration for the right singular vectors, [features, dimensions].
        var basis = (0..<features).map { _ in (0..<dimensions).map { _ in random.normal() } }
        orthonormalize(&basis)
        for _ in 0..<12 {
            var next = [[Float]](repeating: [Float](repeating: 0, count: dimensions), count: features)
            let offset = Self.project(means, on: basis)
            var sum = [Float](repeating: 0, count: dimensions)
            for row in sample {
                let point = Self.point(row, codes, basis, offset)
                for (column, cells) in codes.enumerated() {
                    let feature = column * width + min(Int(cells[row]), width - 1)
                    for d in 0..<dimensions { next[feature][d] += point[d] }
                }
                for d in 0..<dimensions { sum[d] += point[d] }
            }
            for feature in 0..<features {
                for d in 0..<dimensions { next[feature][d] -= means[feature] * sum[d] }
            }
            basis = next
            orthonormalize(&basis)
        }
        let offset = Self.project(means, on: basis)
        rows = (0..<count).map { Self.point($0, codes, basis, offset) }
        var strength = [Float](repeating: 0, count: dimensions)
        for row in sample { for d in 0..<dimensions { strength[d] += rows[row][d] * rows[row][d] } }
        columns = codes.indices.map { column in
            (0..<width).flatMap { value in
                (0..<dimensions).map { basis[column * width + value][$0] * strength[$0].squareRoot() }
            }
        }
    }

    /// A row's coordinates: the sum of its values' vectors, less the mean.
    private static func point(_ row: Int, _ codes: [[Int32]], _ basis: [[Float]], _ offset: [Float]) -> [Float] {
        var point = offset
        for d in point.indices { point[d] = -point[d] }
        for (column, cells) in codes.enumerated() {
            let vector = basis[column * indicators + min(Int(cells[row]), indicators - 1)]
            for d in point.indices { point[d] += vector[d] }
        }
        return point
    }

    private static func project(_ vector: [Float], on basis: [[Float]]) -> [Float] {
        var result = [Float](repeating: 0, count: basis.first?.count ?? 0)
        for (weight, row) in zip(vector, basis) { for d in result.indices { result[d] += weight * row[d] } }
        return result
    }
}

/// Makes the columns of [features, dimensions] orthogonal and of length 1 (Gram and Schmidt).
private func orthonormalize(_ basis: inout [[Float]]) {
    guard let dimensions = basis.first?.count else { return }
    for d in 0..<dimensions {
        for e in 0..<d {
            var product: Float = 0
            for row in basis { product += row[d] * row[e] }
            for place in basis.indices { basis[place][d] -= product * basis[place][e] }
        }
        var square: Float = 0
        for row in basis { square += row[d] * row[d] }
        let scale = square > 1e-20 ? 1 / square.squareRoot() : 0
        for place in basis.indices { basis[place][d] *= scale }
    }
}

/// k-means: the class of each point, begun with points far from each other; `count` is the largest number of classes.
func clusters(_ points: [[Float]], count: Int, seed: UInt64) -> [Int] {
    guard points.count > 1, count > 1 else { return [Int](repeating: 0, count: points.count) }
    var random = SeededGenerator(seed: seed)
    func distance(_ a: [Float], _ b: [Float]) -> Float {
        var sum: Float = 0
        for d in a.indices { sum += (a[d] - b[d]) * (a[d] - b[d]) }
        return sum
    }
    // Each further centre is drawn by the squared distance to the nearest so far.
    var centres = [points[random.index(below: points.count)]]
    var nearest = points.map { distance($0, centres[0]) }
    while centres.count < count {
        var rest = random.uniform() * nearest.reduce(0, +)
        var chosen = nearest.firstIndex { $0 > 0 } ?? -1
        guard chosen >= 0 else { break }
        for (index, weight) in nearest.enumerated() where weight > 0 {
            chosen = index
            rest -= weight
            if rest <= 0 { break }
        }
        centres.append(points[chosen])
        for index in points.indices { nearest[index] = min(nearest[index], distance(points[index], points[chosen])) }
    }
    var classes = [Int](repeating: 0, count: points.count)
    for _ in 0..<20 {
        var moved = 0
        var sums = centres.map { $0.map { _ in Float(0) } }
        var sizes = [Float](repeating: 0, count: centres.count)
        for (index, point) in points.enumerated() {
            var (best, least) = (0, Float.infinity)
            for (centre, place) in centres.enumerated() {
                let far = distance(point, place)
                if far < least { (best, least) = (centre, far) }
            }
            if classes[index] != best { moved += 1 }
            classes[index] = best
            sizes[best] += 1
            for d in point.indices { sums[best][d] += point[d] }
        }
        for centre in centres.indices where sizes[centre] > 0 {
            for d in centres[centre].indices { centres[centre][d] = sums[centre][d] / sizes[centre] }
        }
        if moved == 0 { break }
    }
    return classes
}

extension LatentClasses {
    /// Estimates classes of a table of codes, [columns, rows]; columns can share a class only if they share their
    /// alphabet.
    init(_ codes: [[Int32]], alphabets: [Int], rowClasses: Int, columnClasses: Int, seed: UInt64) {
        self.init(rowCount: codes.first?.count ?? 0, alphabets: alphabets)
        guard rowClasses > 1 || columnClasses > 1, codes.count > 1 else { return }
        let embedding = SpectralEmbedding(codes, dimensions: max(1, max(rowClasses, columnClasses) - 1), seed: seed)
        rows = clusters(embedding.rows, count: rowClasses, seed: seed)
        // Within each alphabet the columns are divided; classes are then numbered through.
        var numbers: [[Int]: Int] = [:]
        for alphabet in Set(alphabets).sorted() {
            let members = alphabets.indices.filter { alphabets[$0] == alphabet }
            let classes = clusters(members.map { embedding.columns[$0] }, count: columnClasses, seed: seed)
            for (member, kind) in zip(members, classes) {
                columns[member] = numbers[[alphabet, kind], default: numbers.count]
                numbers[[alphabet, kind]] = columns[member]
            }
        }
    }
}
