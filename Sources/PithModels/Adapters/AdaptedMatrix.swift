import CPithKernels
import PithCore
import PithTensor

/// A matrix in any stored form, and beside it a change of low rank: W + scale · B A.
struct AdaptedMatrix: LinearOperator {
    let base: any LinearOperator
    /// A, [rank, inputs].
    private let reading: DenseOperator
    /// scale · B, [outputs, rank].
    private let writing: DenseOperator
    private let key = Key()

    /// Names the products with A.
    private final class Key: Sendable {}

    init(_ base: any LinearOperator, _ change: Adapter.LowRankChange) throws(PithError) {
        self.base = base
        reading = try DenseOperator(StoredTensor(change.a))
        let scaled = change.b.values.map { $0 * change.scale }
        writing = try DenseOperator(StoredTensor(Tensor(shape: change.b.shape, values: scaled)))
    }

    var outputCount: Int { base.outputCount }
    var inputCount: Int { base.inputCount }
    var storedBits: Int { base.storedBits + reading.storedBits + writing.storedBits }
    var memoryBits: Int { base.memoryBits + reading.memoryBits + writing.memoryBits }

    func prepare(_ input: ActivationBlock, pool: ThreadPool) {
        base.prepare(input, pool: pool)
        let middle = input.prepareDerived(ObjectIdentifier(key), width: reading.outputCount) { target in
            input.multiply(by: [LinearProduct(reading, into: target)], pool: pool)
        }
        writing.prepare(middle, pool: pool)
    }

    func multiply(
        _ outputs: Range<Int>, _ input: ActivationBlock, into output: UnsafeMutablePointer<Float>, stride: Int
    ) {
        base.multiply(outputs, input, into: output, stride: stride)
        withUnsafeTemporaryAllocation(of: Float.self, capacity: max(1, input.rows * outputs.count)) { buffer in
            guard let change = buffer.baseAddress else { return }
            writing.multiply(
                outputs, input.derived(ObjectIdentifier(key)), into: change, stride: outputs.count)
            for row in 0..<input.rows {
                kernels.add_scaled(change + row * outputs.count, 1, Int64(outputs.count), output + row * stride)
            }
        }
    }
}
