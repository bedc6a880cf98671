import CPithKernels
import PithCore
import PithModels
import PithTensor

/// A matrix as the sum of two in layouts of their own: a base, and a residual that repairs it.
///
/// Components: `base`, `residual`.
package struct SumOperator: StoredLinear {
    package static let layout = "sum"

    /// What was there first.
    package let base: any StoredLinear
    /// What is added.
    package let residual: any StoredLinear

    package var outputCount: Int { base.outputCount }
    package var inputCount: Int { base.inputCount }
    package var storedBits: Int { base.storedBits + residual.storedBits }
    package var memoryBits: Int { base.memoryBits + residual.memoryBits }

    package var stored: StoredParts { StoredParts(components: ["base": base, "residual": residual]) }

    package init(_ parts: StoredParts, shape: [Int], layouts: LayoutCatalogue) throws(PithError) {
        base = try parts.component("base")
        residual = try parts.component("residual")
        for (name, component) in [("base", base), ("residual", residual)] {
            guard [component.outputCount, component.inputCount] == shape else {
                throw .data(
                    "component '\(name)' is [\(component.outputCount), \(component.inputCount)]",
                    remedy: "it should be \(shape)")
            }
        }
    }

    /// Adds two matrices of one shape.
    package init(base: any StoredLinear, residual: any StoredLinear) throws(PithError) {
        try self.init(
            StoredParts(components: ["base": base, "residual": residual]),
            shape: [base.outputCount, base.inputCount], layouts: WeightLayouts.catalogue)
    }

    package func prepare(_ input: ActivationBlock, pool: ThreadPool) {
        base.prepare(input, pool: pool)
        residual.prepare(input, pool: pool)
    }

    package func multiply(
        _ outputs: Range<Int>, _ input: ActivationBlock, into output: UnsafeMutablePointer<Float>, stride: Int
    ) {
        base.multiply(outputs, input, into: output, stride: stride)
        withUnsafeTemporaryAllocation(of: Float.self, capacity: max(1, input.rows * outputs.count)) { buffer in
            guard let sum = buffer.baseAddress else { return }
            residual.multiply(outputs, input, into: sum, stride: outputs.count)
            for row in 0..<input.rows {
                kernels.add_scaled(sum + row * outputs.count, 1, Int64(outputs.count), output + row * stride)
            }
        }
    }
}
