import CPithKernels
import PithCore
import PithTensor

/// The plain filler: a dense matrix of floats, multiplied as it is mapped.
///
/// In narrow precision BF16 and FP8 weights meet inputs of BF16; F32 and F16 weights always meet floats, and so do BF16
/// weights that were F32 or F16 before they were compressed without loss.
public struct DenseOperator: RowDecodable {
    /// The matrix, [outputCount, inputCount].
    public let weight: StoredTensor
    /// F32 or F16 that the weights are multiplied with, [outputCount, groups]; nil where all are 1.
    package let scales: StoredTensor?

    private let meetsFloats: Bool
    private let type: pith_element
    private let scaleType: pith_element
    private let groupSize: Int
    private let groups: Int

    /// Takes a stored matrix of F32, F16, BF16 or FP8; other types are refused.
    public init(_ weight: StoredTensor) throws(PithError) { try self.init(weight, meetingFloats: false) }

    /// Takes a stored matrix; `meetingFloats` keeps its inputs in 32 bits whatever its own type.
    package init(_ weight: StoredTensor, meetingFloats: Bool) throws(PithError) {
        guard weight.shape.count == 2 else {
            throw .data("a matrix was expected, the shape is \(weight.shape)")
        }
        try self.init(
            weight, scales: nil, groupSize: max(1, weight.shape[1]), meetingFloats: meetingFloats)
    }

    /// Takes a stored matrix and a scale for each `groupSize` columns of a row, a multiple of 32 or all; the last
    /// group may be shorter.
    package init(
        _ weight: StoredTensor, scales: StoredTensor?, groupSize: Int, meetingFloats: Bool = false
    ) throws(PithError) {
        guard let type = weight.type.floating else {
            throw .data("a matrix of type \(weight.type.rawValue)", remedy: "F32, F16, BF16 and FP8 are understood")
        }
        let (rows, columns) = (weight.shape[0], weight.shape[1])
        guard groupSize > 0, groupSize % 32 == 0 || groupSize >= columns else {
            throw .data("groups of \(groupSize) columns", remedy: "a multiple of 32 is understood")
        }
        // A matrix without columns has no groups to scale.
        groups = max(scales == nil ? 1 : 0, (columns + groupSize - 1) / groupSize)
        guard scales == nil || scales?.shape == [rows, groups], let scaleType = (scales?.type ?? .float32).dense,
            scaleType != PITH_BF16
        else {
            throw .data("scales of another shape or type", remedy: "F32 or F16 \([rows, groups]) is understood")
        }
        (self.weight, self.scales, self.type, self.scaleType) = (weight, scales, type, scaleType)
        self.groupSize = groupSize
        self.meetsFloats = meetingFloats
    }

    /// Rows of the matrix.
    public var outputCount: Int { weight.shape[0] }
    /// Columns of the matrix.
    public var inputCount: Int { weight.shape[1] }
    /// The bits of the matrix and of its scales.
    public var storedBits: Int { (weight.byteCount + (scales?.byteCount ?? 0)) * 8 }

    /// The rows from `row` on, as the kernels take them.
    private func rows(from row: Int) -> pith_dense {
        pith_dense(
            values: weight.region.bytes.baseAddress.map { $0 + row * inputCount * weight.type.byteCount }, type: type,
            columns: Int64(inputCount),
            scales: scales.flatMap { scales in
                groups == 0 ? nil : scales.region.bytes.baseAddress.map { $0 + row * groups * scales.type.byteCount }
            }, scale_type: scaleType, groups: Int64(groups), group: Int64(groupSize))
    }

    /// What the inputs are kept as: BF16 where the weights are no finer.
    private func inputType(_ precision: ActivationPrecision) -> pith_element {
        precision == .float || meetsFloats || type == PITH_F32 || type == PITH_F16 ? PITH_F32 : PITH_BF16
    }

    /// Lays the inputs out in tiles.
    public func prepare(_ input: ActivationBlock, pool: ThreadPool) {
        input.prepareTiled(inputType(input.precision), pool: pool)
    }

    /// Multiplies the rows as they are stored; many inputs share a panel of widened rows.
    public func multiply(
        _ outputs: Range<Int>, _ input: ActivationBlock, into output: UnsafeMutablePointer<Float>, stride: Int
    ) {
        var matrix = rows(from: outputs.lowerBound)
        let room = Int(pith_panel_bytes(Int64(inputCount), Int64(input.rows)))
        withUnsafeTemporaryAllocation(byteCount: room, alignment: 64) { panel in
            withUnsafePointer(to: input.tiled(inputType(input.precision)).rows) { rows in
                kernels.multiply_dense(
                    &matrix, Int64(outputs.count), rows, output, Int64(stride), panel.baseAddress)
            }
        }
    }

    /// Widens a row.
    public func decodeRow(_ row: Int, into target: UnsafeMutablePointer<Float>) {
        var matrix = rows(from: row)
        kernels.widen_dense(&matrix, target)
    }
}

extension DenseOperator: StoredLinear {
    /// The plain layout.
    public static let layout = "dense"

    /// The parameter that says that inputs stay floats.
    package static let floatInputs = "floatInputs"

    /// One part, `values`, and the parameter `floatInputs` where these stay floats beside BF16.
    public var stored: StoredParts {
        StoredParts(tensors: ["values": weight], parameters: meetsFloats ? [Self.floatInputs: 1] : [:])
    }

    /// Takes the part up again.
    public init(_ parts: StoredParts, shape: [Int], layouts: LayoutCatalogue) throws(PithError) {
        guard let weight = parts.tensors["values"] else { throw .data("part 'values' is missing") }
        guard weight.shape == shape else { throw .data("part 'values' has the shape \(weight.shape), not \(shape)") }
        guard weight.type.dense != nil else {
            throw .data("part 'values' is \(weight.type.rawValue)", remedy: "it should be F32, F16 or BF16")
        }
        try self.init(weight, meetingFloats: try parts.flag(Self.floatInputs))
    }
}
