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
    private let product: ProductOperator

    package var storedBits: Int { product.storedBits }

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
        product = try ProductOperator(left: left, right: right)
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

    package func prepare(_ input: ActivationBlock, pool: ThreadPool) { product.prepare(input, pool: pool) }

    package func multiply(
        _ outputs: Range<Int>, _ input: ActivationBlock, into output: UnsafeMutablePointer<Float>, stride: Int
    ) {
        product.multiply(outputs, input, into: output, stride: stride)
    }
}
