import PithCore
import PithModels
import PithTensor

/// A matrix whose columns are stored in another order, such as that in which they were rounded: its products are those
/// of the stored matrix with the inputs put in that order.
///
/// Component: `matrix` [rows, columns]. Part: `order` U32 [columns]: stored column j is column order[j].
package struct ReorderedColumns: StoredLinear, RowDecodable {
    package static let layout = "reordered"

    /// The matrix as it is stored.
    package let matrix: any StoredLinear & RowDecodable
    /// By stored column.
    package let order: [Int]
    private let key = Key()

    /// Names the inputs in another order.
    private final class Key: Sendable {}

    package var outputCount: Int { matrix.outputCount }
    package var inputCount: Int { matrix.inputCount }
    package var storedBits: Int { matrix.storedBits + 32 * order.count }
    package var memoryBits: Int { matrix.memoryBits + 32 * order.count }

    package var stored: StoredParts {
        StoredParts(
            tensors: ["order": StoredTensor(order.map { UInt32($0) }, as: .uint32, shape: [order.count])],
            components: ["matrix": matrix])
    }

    package init(_ parts: StoredParts, shape: [Int], layouts: LayoutCatalogue) throws(PithError) {
        let (rows, columns) = try matrixExtents(shape)
        let order = try parts.tensor("order", .uint32, [columns]).aligned
        let component = try parts.component("matrix")
        guard let matrix = component as? any StoredLinear & RowDecodable,
            [matrix.outputCount, matrix.inputCount] == [rows, columns]
        else { throw .data("component 'matrix' is no matrix of \(shape) whose rows are decoded") }
        let numbers = order.region.withBytes { bytes in bytes.bindMemory(to: UInt32.self).map { Int($0) } }
        try self.init(matrix, order: numbers)
    }

    /// Puts the columns of a stored matrix in order; `order` must name each column once.
    package init(_ matrix: any StoredLinear & RowDecodable, order: [Int]) throws(PithError) {
        var seen = [Bool](repeating: false, count: order.count)
        for column in order {
            guard seen.indices.contains(column), !seen[column] else {
                throw .data("part 'order' does not name each column once")
            }
            seen[column] = true
        }
        (self.matrix, self.order) = (matrix, order)
    }

    /// The inputs are put in order once, and shared by all parts of the matrix.
    package func prepare(_ input: ActivationBlock, pool: ThreadPool) {
        let ordered = input.prepareDerived(ObjectIdentifier(key), width: inputCount) { target in
            for row in 0..<input.rows {
                let (source, target) = (input.values + row * inputCount, target + row * inputCount)
                for (place, column) in order.enumerated() { target[place] = source[column] }
            }
        }
        matrix.prepare(ordered, pool: pool)
    }

    package func multiply(
        _ outputs: Range<Int>, _ input: ActivationBlock, into output: UnsafeMutablePointer<Float>, stride: Int
    ) {
        matrix.multiply(outputs, input.derived(ObjectIdentifier(key)), into: output, stride: stride)
    }

    package func decodeRow(_ row: Int, into target: UnsafeMutablePointer<Float>) {
        withUnsafeTemporaryAllocation(of: Float.self, capacity: max(1, inputCount)) { buffer in
            guard let base = buffer.baseAddress else { return }
            matrix.decodeRow(row, into: base)
            for (place, column) in order.enumerated() { target[column] = base[place] }
        }
    }
}
