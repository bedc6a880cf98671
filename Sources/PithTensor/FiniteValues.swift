/// Whether `count` floats are all finite numbers.
public func areFinite(_ values: UnsafePointer<Float>, count: Int) -> Bool {
    // Zero times a finite number is zero, times any other it is no number, and a sum never gets rid of that.
    var (sum, i) = (SIMD16<Float>.zero, 0)
    let bytes = UnsafeRawPointer(values)
    while i + 16 <= count {
        sum += bytes.loadUnaligned(fromByteOffset: 4 * i, as: SIMD16<Float>.self) * 0
        i += 16
    }
    var rest = sum.sum()
    while i < count {
        rest += values[i] * 0
        i += 1
    }
    return rest == 0
}

extension Sequence<Float> {
    /// The place and value of the first element that is no finite number.
    public var firstNonFinite: (index: Int, value: Float)? {
        for (index, value) in enumerated() where !value.isFinite { return (index, value) }
        return nil
    }
}

extension Tensor {
    /// The first row of a matrix that holds what is no finite number.
    public var firstNonFiniteRow: Int? {
        values.withUnsafeBufferPointer { buffer in
            guard let base = buffer.baseAddress, !areFinite(base, count: count) else { return nil }
            return (0..<rows).first { !areFinite(base + $0 * columns, count: columns) }
        }
    }
}
