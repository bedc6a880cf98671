import PithCore
import PithFormats
import PithModels
import PithTensor

/// Quantised folders of MLX, for Macs. Source: MLX, `mx.quantize`, and mlx-lm, `utils.py`.
///
/// A module has `weight` U32 [outputs, inputs · bits / 32], packed along the inputs, the lowest bits first; `scales` and
/// `biases` [outputs, groups]: weight = code · scale + bias. Token tables are stored like other matrices.
package struct MLXCheckpoint: AffineCheckpoint {
    /// What people call it.
    package static let name = "mlx"

    private static let bits = MethodOption.integer("bits", 4, in: 2...8, "bits of a code: 2, 3, 4, 5, 6 or 8")
    private static let group = MethodOption.integer(
        "group", 64, in: 32...128, "inputs that share a scale: 32, 64 or 128")

    /// What the catalogue knows.
    package static let entry = MethodEntry(
        identifier: name, paper: nil, summary: "quantised folders of MLX, for Macs", options: [bits, group])

    package static var holdsTables: Bool { true }
    private static let knownBits = [2, 3, 4, 5, 6, 8]

    private let grid: CheckpointGrid

    /// Takes options.
    package init(_ options: OptionValues) throws(PithError) {
        grid = CheckpointGrid(bits: options[Self.bits], group: options[Self.group])
        try check()
    }

    /// Reads `quantization`.
    package init?(_ configuration: JSONReader) throws(PithError) {
        guard let keys = try configuration.optional("quantization"), try keys.optional("group_size") != nil else {
            return nil
        }
        let mode = try keys.optional("mode")?.text() ?? "affine"
        guard mode == "affine" else {
            throw keys.failure("the mode '\(mode.shortened)' is not supported", remedy: "affine is")
        }
        let others = try keys.object().members.filter { if case .object = $0.1 { true } else { false } }
        guard others.isEmpty else {
            throw keys.failure(
                "bits that differ from module to module are not supported",
                remedy: "one group_size and one number of bits are")
        }
        grid = CheckpointGrid(
            bits: try keys.member("bits").integer(in: 1...16),
            group: try keys.member("group_size").integer(in: 1...1024))
        try check()
    }

    private func check() throws(PithError) {
        try grid.check(Self.name, bits: Self.knownBits)
        guard [32, 64, 128].contains(grid.group) else {
            throw .usage("groups of \(grid.group) are not supported", remedy: "32, 64 and 128 are")
        }
    }

    /// The matrix of a module.
    package func matrix(
        _ name: String, shape: [Int], in archive: TensorArchive, layouts: LayoutCatalogue
    ) throws(PithError) -> (any StoredLinear)? {
        let module = CheckpointNames.module(name)
        guard archive.contains("\(module).scales") else { return nil }
        let (rows, columns, groups) = (shape[0], shape[1], grid.groups(shape[1]))
        guard columns % grid.group == 0 else { throw .data("\(columns) inputs are not whole groups of \(grid.group)") }
        let width = PackedWords.count(columns, bits: grid.bits)
        let packed = try archive.tensor("\(module).weight", [rows, width])
        let scales = try archive.tensor("\(module).scales", [rows, groups])
        let biases = try archive.tensor("\(module).biases", [rows, groups])
        return try WordCodes(
            StoredParts(
                tensors: ["words": packed, "scales": scales, "biases": biases],
                parameters: ["bits": grid.bits, "groupSize": grid.group]), shape: shape, layouts: layouts)
    }

    package var form: (any GridForm)? { grid.form }

    package func validate(rows: Int, columns: Int) throws(PithError) { try grid.requireWholeGroups(columns) }

    package func accepts(_ codes: AffineGridShape) -> Bool {
        codes.bits == grid.bits && codes.groupSize == grid.group && codes.columns % grid.group == 0
            && !codes.isReordered
    }

    package static func spec(for codes: AffineGridShape) -> String? {
        guard knownBits.contains(codes.bits), [32, 64, 128].contains(codes.groupSize),
            codes.columns % codes.groupSize == 0, !codes.isReordered
        else { return nil }
        return "mlx:bits=\(codes.bits),group=\(codes.groupSize)"
    }

    package func parts(rows: Int, columns: Int) -> [CheckpointPart] {
        let groups = grid.groups(columns)
        return [
            .init("weight", .uint32, [rows, PackedWords.count(columns, bits: grid.bits)]),
            .init("scales", .float16, [rows, groups]), .init("biases", .float16, [rows, groups]),
        ]
    }

    package func encode(_ codes: AffineCodes) throws(PithError) -> [StoredTensor] {
        let (rows, columns, groups) = (codes.rows, codes.columns, codes.groups)
        let words = (0..<rows).flatMap { row in
            PackedWords.pack(codes.codes[row * columns..<(row + 1) * columns], bits: grid.bits)
        }
        let biases = codes.scales.indices.map { group in
            codes.minima.map { -$0[group] } ?? -Float(codes.zeros[group]) * codes.scales[group]
        }
        func stored(_ values: [Float]) -> StoredTensor {
            StoredTensor(Tensor(shape: [rows, groups], values: values), as: .float16)
        }
        return [
            StoredTensor(words, as: .uint32, shape: [rows, PackedWords.count(columns, bits: grid.bits)]),
            stored(codes.scales), stored(biases),
        ]
    }

    package func describe(in configuration: inout JSONObject, floats: [String]) {
        let keys: JSONValue = ["group_size": .integer(grid.group), "bits": .integer(grid.bits), "mode": "affine"]
        configuration["quantization"] = keys
        configuration["quantization_config"] = keys
    }
}
