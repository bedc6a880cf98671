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

    package func apply(
        _ input: UnsafePointer<Float>, rows: Int, into output: UnsafeMutablePointer<Float>, pool: ThreadPool
    ) {
        base.apply(input, rows: rows, into: output, pool: pool)
        // Some rows at a time, so that the room for the second sum stays small.
        for start in stride(from: 0, to: rows, by: 64) {
            let count = min(64, rows - start) * outputCount
            withUnsafeTemporaryAllocation(of: Float.self, capacity: max(1, count)) { buffer in
                guard let sum = buffer.baseAddress else { return }
                residual.apply(input + start * inputCount, rows: min(64, rows - start), into: sum, pool: pool)
                let target = output + start * outputCount
                for i in 0..<count { target[i] += sum[i] }
            }
        }
    }
}
