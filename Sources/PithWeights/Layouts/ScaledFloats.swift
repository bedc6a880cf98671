import PithCore
import PithModels
import PithTensor

/// FP8 with a scale for each group of columns of a row: weight = value · scale.
///
/// Parts: `values` F8_E4M3 or F8_E5M2 [rows, columns]; `scales` F32 or F16 [rows, groups]. Parameter: `groupSize`.
package struct ScaledFloats: StoredLinear, RowDecodable {
    package static let layout = "fp8"

    /// Columns that share a scale, a multiple of 32 or all; the last group of a row may be shorter.
    package let groupSize: Int

    private let values: StoredTensor
    private let scales: StoredTensor
    private let matrix: DenseOperator

    package var outputCount: Int { matrix.outputCount }
    package var inputCount: Int { matrix.inputCount }
    package var storedBits: Int { matrix.storedBits }

    package var stored: StoredParts {
        StoredParts(tensors: ["values": values, "scales": scales], parameters: ["groupSize": groupSize])
    }

    package init(_ parts: StoredParts, shape: [Int], layouts: LayoutCatalogue) throws(PithError) {
        let (rows, columns) = try matrixExtents(shape)
        groupSize = try parts.parameter("groupSize", in: 1...largestExtent)
        guard groupSize % 32 == 0 || groupSize >= columns else {
            throw .data("parameter 'groupSize' is \(groupSize)", remedy: "it should be a multiple of 32")
        }
        let type: ElementType = parts.tensors["values"]?.type == .float8e5m2 ? .float8e5m2 : .float8e4m3
        values = try parts.tensor("values", type, [rows, columns])
        let scaleType: ElementType = parts.tensors["scales"]?.type == .float16 ? .float16 : .float32
        scales = try parts.tensor("scales", scaleType, [rows, (columns + groupSize - 1) / groupSize]).aligned
        guard values.isFinite, scales.isFinite else {
            throw .data("part 'values' or 'scales' holds a value that is not finite")
        }
        matrix = try DenseOperator(values, scales: scales, groupSize: groupSize)
    }

    /// Rounds each weight to the nearest value of `type`, with scales that give the largest of each group the largest
    /// value there is.
    package init(_ weight: Tensor, as type: ElementType, groupSize: Int, pool: ThreadPool) throws(PithError) {
        let (rows, columns) = (weight.rows, weight.columns)
        let groups = (columns + groupSize - 1) / groupSize
        let largest: Float = type == .float8e5m2 ? 57344 : 448
        var scales = Tensor(
            shape: [rows, groups], values: weight.mapGroups(of: groupSize) { largestMagnitude($0) / largest })
        guard scales.values.allSatisfy(\.isFinite) else { throw .data("the weights are not finite") }
        // Halves where they are not too coarse.
        let areHalves = scales.values.allSatisfy { $0 == 0 || (0x1p-14...65504).contains($0) }
        if areHalves { scales = Tensor(shape: scales.shape, values: roundedToHalf(scales.values)) }
        var scaled = Tensor(rows: rows, columns: columns)
        scaled.values = mapRows(of: weight, pool: pool) { [scales] row, weights, target in
            for column in 0..<columns {
                let scale = scales.values[row * groups + column / groupSize]
                target[column] = scale > 0 ? weights[column] / scale : 0
            }
        }
        let parts = StoredParts(
            tensors: [
                "values": StoredTensor(scaled, as: type),
                "scales": StoredTensor(scales, as: areHalves ? .float16 : .float32),
            ], parameters: ["groupSize": groupSize])
        try self.init(parts, shape: [rows, columns], layouts: WeightLayouts.catalogue)
    }

    package func prepare(_ input: ActivationBlock, pool: ThreadPool) { matrix.prepare(input, pool: pool) }

    package func multiply(
        _ outputs: Range<Int>, _ input: ActivationBlock, into output: UnsafeMutablePointer<Float>, stride: Int
    ) {
        matrix.multiply(outputs, input, into: output, stride: stride)
    }

    package func decodeRow(_ row: Int, into target: UnsafeMutablePointer<Float>) {
        matrix.decodeRow(row, into: target)
    }
}
