import PithCore
import PithTensor

extension LinearOperator {
    /// All of W as floats, [outputCount, inputCount], whatever its form.
    public func denseWeight(pool: ThreadPool) -> Tensor {
        let count = outputCount * inputCount
        let values = [Float](unsafeUninitializedCapacity: count) { buffer, initialized in
            if let base = buffer.baseAddress { decode(into: base, pool: pool) }
            initialized = count
        }
        return Tensor(shape: [outputCount, inputCount], values: values)
    }

    /// Writes W, [outputCount, inputCount], to `target`. What cannot be decoded row by row, such as factors, is
    /// multiplied by unit vectors.
    public func decode(
        into target: UnsafeMutablePointer<Float>, pool: ThreadPool = ThreadPool(threads: 1)
    ) {
        if let matrix = self as? any RowDecodable {
            pool.forEachBlock(of: outputCount, grain: 64, sharing: target) { [inputCount] rows, target in
                for row in rows { matrix.decodeRow(row, into: target + row * inputCount) }
            }
            return
        }
        let input = ActivationBlock(precision: .float)
        let together = min(64, inputCount)
        var units = [Float](repeating: 0, count: together * inputCount)
        var columns = [Float](repeating: 0, count: together * outputCount)
        for start in stride(from: 0, to: inputCount, by: max(1, together)) {
            let count = min(together, inputCount - start)
            for i in 0..<count { units[i * inputCount + start + i] = 1 }
            units.withUnsafeBufferPointer { units in
                columns.withUnsafeMutableBufferPointer { columns in
                    guard let units = units.baseAddress, let columns = columns.baseAddress else { return }
                    input.load(units, rows: count, width: inputCount)
                    input.multiply(by: [LinearProduct(self, into: columns)], pool: pool)
                }
            }
            for i in 0..<count {
                units[i * inputCount + start + i] = 0
                for row in 0..<outputCount { target[row * inputCount + start + i] = columns[i * outputCount + row] }
            }
        }
    }
}
