import PithCore
import PithModels
import PithTensor

/// A matrix as the product of a tall and a flat factor, W = B · A, multiplied one after the other.
///
/// Parts: `left` F16 [rows, rank], `right` F16 [rank, columns]. Parameter: `rank`.
package struct LowRank: StoredLinear {
    package static let layout = "lowrank"

    package let outputCount: Int
    package let inputCount: Int
    /// The extent that the factors share.
    package let rank: Int

    private let left: DenseOperator
    private let right: DenseOperator
    private let key = Key()

    /// Names the product with the flat factor.
    private final class Key: Sendable {}

    package var storedBits: Int { left.storedBits + right.storedBits }

    package var stored: StoredParts {
        StoredParts(tensors: ["left": left.weight, "right": right.weight], parameters: ["rank": rank])
    }

    package init(_ parts: StoredParts, shape: [Int], layouts: LayoutCatalogue) throws(PithError) {
        (outputCount, inputCount) = try matrixExtents(shape)
        rank = try parts.parameter("rank", in: 0...largestExtent)
        left = try DenseOperator(parts.tensor("left", .float16, [outputCount, rank]).aligned)
        right = try DenseOperator(parts.tensor("right", .float16, [rank, inputCount]).aligned)
        guard left.weight.isFinite, right.weight.isFinite else {
            throw .data("part 'left' or 'right' holds a value that is not finite")
        }
    }

    /// Rounds the factors B, [rows, rank], and A, [rank, columns], to half precision.
    package init(_ factors: (left: Tensor, right: Tensor)) throws(PithError) {
        let (left, right) = factors
        precondition(left.columns == right.rows, "the factors do not share an extent")
        let parts = StoredParts(
            tensors: ["left": StoredTensor(left, as: .float16), "right": StoredTensor(right, as: .float16)],
            parameters: ["rank": right.rows])
        try self.init(parts, shape: [left.rows, right.columns], layouts: WeightLayouts.catalogue)
    }

    /// The product with the flat factor is made once, and shared by all parts of the tall one.
    package func prepare(_ input: ActivationBlock, pool: ThreadPool) {
        guard rank > 0, inputCount > 0 else { return }
        let middle = input.prepareDerived(ObjectIdentifier(key), width: rank) { target in
            input.multiply(by: LinearProduct(right, into: target), pool: pool)
        }
        left.prepare(middle, pool: pool)
    }

    package func multiply(
        _ outputs: Range<Int>, _ input: ActivationBlock, into output: UnsafeMutablePointer<Float>, stride: Int
    ) {
        guard rank > 0, inputCount > 0 else {
            for row in 0..<input.rows { (output + row * stride).update(repeating: 0, count: outputs.count) }
            return
        }
        left.multiply(outputs, input.derived(ObjectIdentifier(key)), into: output, stride: stride)
    }
}
