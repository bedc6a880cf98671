import PithCore

/// A row-major block of floats with a shape.
public struct Tensor: Equatable, Sendable {
    /// The extents, outermost first.
    public private(set) var shape: [Int]
    /// The elements in row-major order.
    public var values: [Float]

    /// A tensor of zeros.
    public init(shape: [Int]) {
        self.init(shape: shape, values: [Float](repeating: 0, count: shape.reduce(1, *)))
    }

    /// A tensor of given values, as many as the shape says.
    public init(shape: [Int], values: [Float]) {
        precondition(shape.reduce(1, *) == values.count, "shape \(shape) does not hold \(values.count) values")
        self.shape = shape
        self.values = values
    }

    /// A matrix of zeros.
    public init(rows: Int, columns: Int) { self.init(shape: [rows, columns]) }

    /// The number of elements.
    public var count: Int { values.count }
    /// The first extent of a matrix.
    public var rows: Int { shape[0] }
    /// The last extent of a matrix.
    public var columns: Int { shape[shape.count - 1] }

    /// An element of a matrix.
    @inlinable public subscript(row: Int, column: Int) -> Float {
        get { values[row * shape[1] + column] }
        set { values[row * shape[1] + column] = newValue }
    }

    /// The same values under another shape.
    public func reshaped(_ shape: [Int]) -> Tensor { Tensor(shape: shape, values: values) }

    /// A matrix with rows and columns exchanged.
    public var transposed: Tensor {
        var result = Tensor(rows: columns, columns: rows)
        for r in 0..<rows { for c in 0..<columns { result[c, r] = self[r, c] } }
        return result
    }

    /// Some rows of a matrix.
    public func rows(_ range: Range<Int>) -> Tensor {
        Tensor(
            shape: [range.count, columns],
            values: Array(values[range.lowerBound * columns..<range.upperBound * columns]))
    }

    /// Differences element by element.
    public static func - (left: Tensor, right: Tensor) -> Tensor {
        precondition(left.shape == right.shape, "shapes differ")
        var result = left
        for i in 0..<result.count { result.values[i] -= right.values[i] }
        return result
    }

    /// Sums element by element.
    public static func + (left: Tensor, right: Tensor) -> Tensor {
        precondition(left.shape == right.shape, "shapes differ")
        var result = left
        for i in 0..<result.count { result.values[i] += right.values[i] }
        return result
    }

    /// The sum of squares, in double precision.
    public var squaredNorm: Double { values.reduce(0) { $0 + Double($1) * Double($1) } }
}
