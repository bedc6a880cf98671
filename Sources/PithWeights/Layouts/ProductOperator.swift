import PithCore
import PithModels
import PithTensor

/// A matrix as the product of two in layouts of their own, W = left · right, multiplied one after the other.
///
/// Components: `left` [rows, inner], `right` [inner, columns].
package struct ProductOperator: StoredLinear {
    package static let layout = "product"

    /// The factor that the outputs come from.
    package let left: any StoredLinear
    /// The factor that reads the inputs.
    package let right: any StoredLinear
    private let key = Key()

    /// Names the product with the right factor.
    private final class Key: Sendable {}

    package var outputCount: Int { left.outputCount }
    package var inputCount: Int { right.inputCount }
    package var storedBits: Int { left.storedBits + right.storedBits }
    package var memoryBits: Int { left.memoryBits + right.memoryBits }

    package var stored: StoredParts { StoredParts(components: ["left": left, "right": right]) }

    package init(_ parts: StoredParts, shape: [Int], layouts: LayoutCatalogue) throws(PithError) {
        left = try parts.component("left")
        right = try parts.component("right")
        guard [left.outputCount, right.inputCount] == shape, left.inputCount == right.outputCount else {
            throw .data(
                "the components are [\(left.outputCount), \(left.inputCount)] and "
                    + "[\(right.outputCount), \(right.inputCount)]",
                remedy: "their product should be \(shape)")
        }
    }

    /// Multiplies two matrices that share an extent.
    package init(left: any StoredLinear, right: any StoredLinear) throws(PithError) {
        try self.init(
            StoredParts(components: ["left": left, "right": right]), shape: [left.outputCount, right.inputCount],
            layouts: WeightLayouts.catalogue)
    }

    private var isEmpty: Bool { right.outputCount == 0 || inputCount == 0 }

    /// The product with the right factor is made once, and shared by all parts of the left one.
    package func prepare(_ input: ActivationBlock, pool: ThreadPool) {
        guard !isEmpty else { return }
        let middle = input.prepareDerived(ObjectIdentifier(key), width: right.outputCount) { target in
            input.multiply(by: [LinearProduct(right, into: target)], pool: pool)
        }
        left.prepare(middle, pool: pool)
    }

    package func multiply(
        _ outputs: Range<Int>, _ input: ActivationBlock, into output: UnsafeMutablePointer<Float>, stride: Int
    ) {
        guard !isEmpty else {
            for row in 0..<input.rows { (output + row * stride).update(repeating: 0, count: outputs.count) }
            return
        }
        left.multiply(outputs, input.derived(ObjectIdentifier(key)), into: output, stride: stride)
    }
}
