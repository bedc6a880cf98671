import PithCore
import PithModels
import PithTensor

/// What a method makes of pieces of a matrix, from which follows what it will make of the whole: how many bytes, and in
/// how much time.
///
/// Bytes grow with rows, with columns and with both: four pieces tell how. Time grows with the operations of the method.
struct PieceMeasurement {
    private let pipeline: WeightPipeline
    /// Two numbers of rows and of columns; equal where the matrix has no more.
    private let rows: [Int]
    private let columns: [Int]
    /// Bytes of the pieces of some rows and columns.
    private var bytes: [[Int]] = []
    /// Seconds that the largest piece takes one thread.
    private var seconds = 0.0

    private static let (fewRows, fewColumns) = (256, 512)

    /// Compresses pieces of `matrix`, which is open.
    init(
        _ matrix: any LinearOperator, by pipeline: WeightPipeline, roundedTo form: (any GridForm)?, seed: UInt64
    ) throws(PithError) {
        self.pipeline = pipeline
        rows = [min(matrix.outputCount, Self.fewRows), min(matrix.outputCount, 2 * Self.fewRows)]
        columns = [min(matrix.inputCount, Self.fewColumns), min(matrix.inputCount, 2 * Self.fewColumns)]
        let piece = matrix.rows(Array(0..<rows[1]), columns: columns[1])
        let type = (matrix as? DenseOperator)?.weight.type
        for rowCount in rows {
            var line: [Int] = []
            for columnCount in columns {
                let weight = piece.corner(rows: rowCount, columns: columnCount)
                let statistics =
                    pipeline.needs == .nothing
                    ? nil : InputStatistics.uniform(width: columnCount, gathering: pipeline.needs)
                let start = ContinuousClock.now
                let stored = try pipeline.compress(
                    name: "a piece", weight: weight, originalType: type, statistics: statistics,
                    form: form, seed: seed)
                seconds = (ContinuousClock.now - start).seconds
                line.append(stored.storedBits / 8)
            }
            bytes.append(line)
        }
    }

    /// Bytes of a matrix.
    func bytes(rows rowCount: Int, columns columnCount: Int) -> Int {
        func place(_ count: Int, _ known: [Int]) -> Double {
            known[0] == known[1] ? 0 : Double(count - known[0]) / Double(known[1] - known[0])
        }
        let (u, v) = (place(rowCount, rows), place(columnCount, columns))
        func along(_ line: [Int]) -> Double { Double(line[0]) * (1 - v) + Double(line[1]) * v }
        return max(0, Int(along(bytes[0]) * (1 - u) + along(bytes[1]) * u))
    }

    /// Seconds that a matrix takes one thread.
    func seconds(rows: Int, columns: Int) -> Double {
        seconds * pipeline.operations(rows: rows, columns: columns)
            / max(1, pipeline.operations(rows: self.rows[1], columns: self.columns[1]))
    }
}

extension WeightPipeline {
    /// About how many operations the methods take for a matrix: with Hessians the factor of the inverse and the sweep over
    /// the columns, else some for each weight.
    func operations(rows: Int, columns: Int) -> Double {
        let (rows, columns) = (Double(rows), Double(columns))
        let each = 64 * rows * columns
        return needs == .hessian ? each + rows * columns * columns + 4 / 3 * columns * columns * columns : each
    }
}
