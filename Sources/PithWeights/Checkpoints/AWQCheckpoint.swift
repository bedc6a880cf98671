import PithCore
import PithFormats
import PithModels
import PithTensor

/// Checkpoints of AutoAWQ, version `gemm`. Source: AutoAWQ, `modules/linear/gemm.py` and `utils/packing_utils.py`.
///
/// A module has `qweight` I32 [inputs, outputs / 8], eight codes of four bits along the outputs in the order 0, 2, 4, 6, 1,
/// 3, 5, 7; `qzeros` I32 [groups, outputs / 8] in the same order; `scales` [groups, outputs].
package struct AWQCheckpoint: AffineCheckpoint {
    /// As `quant_method` has it.
    package static let name = "awq"

    private static let group = MethodOption.integer(
        "group", 128, in: 0...1024, "inputs that share a scale, a multiple of 32; 0: all")

    /// What the catalogue knows.
    package static let entry = MethodEntry(
        identifier: name, paper: nil, summary: "folders of AutoAWQ, for transformers and vLLM; 4 bits",
        options: [group])

    private static let bits = 4
    /// Which output each place of a word holds.
    private static let order = [0, 2, 4, 6, 1, 3, 5, 7]

    private let grid: CheckpointGrid

    /// Takes options.
    package init(_ options: OptionValues) throws(PithError) {
        grid = CheckpointGrid(bits: Self.bits, group: options[Self.group])
        try grid.check(Self.name, bits: [Self.bits])
    }

    /// Reads `quantization_config`.
    package init?(_ configuration: JSONReader) throws(PithError) {
        guard let keys = try configuration.optional("quantization_config"),
            try keys.optional("quant_method")?.text() == Self.name
        else { return nil }
        let version = try keys.optional("version")?.text() ?? "gemm"
        guard version.lowercased() == "gemm" else {
            throw keys.failure("the version '\(version.shortened)' is not supported", remedy: "gemm is")
        }
        guard try keys.optional("zero_point")?.flag() ?? true else {
            throw keys.failure("codes without zero points are not supported", remedy: "zero_point true is")
        }
        let size = try keys.optional("group_size", "q_group_size")?.integer(in: -1...1 << 20) ?? 128
        grid = CheckpointGrid(
            bits: try keys.optional("bits", "w_bit")?.integer(in: 1...16) ?? Self.bits, group: max(0, size))
        try grid.check(Self.name, bits: [Self.bits])
    }

    /// The matrix of a module.
    package func matrix(
        _ name: String, shape: [Int], in archive: TensorArchive, layouts: LayoutCatalogue
    ) throws(PithError) -> (any StoredLinear)? {
        let module = CheckpointNames.module(name)
        guard archive.contains("\(module).qweight") else { return nil }
        let (rows, columns, groups) = (shape[0], shape[1], grid.groups(shape[1]))
        guard rows % 8 == 0 else { throw .data("\(rows) outputs do not fill words of 8") }
        let packed = try archive.tensor("\(module).qweight", [columns, rows / 8])
        let packedZeros = try archive.tensor("\(module).qzeros", [groups, rows / 8])
        let scales = try archive.tensor("\(module).scales", [groups, rows]).decoded().transposed
        guard scales.values.allSatisfy({ $0 >= 0 }) else { throw .data("has a negative scale", at: "\(module).scales") }
        return try AffineCodes(
            rows: rows, columns: columns, bits: Self.bits, groupSize: grid.size(columns),
            codes: try Self.unpack(packed, lines: columns, rows: rows), scales: scales.values,
            zeros: try Self.unpack(packedZeros, lines: groups, rows: rows)
        ).stored()
    }

    /// Words of [lines, rows / 8] as bytes, [rows, lines].
    private static func unpack(_ tensor: StoredTensor, lines: Int, rows: Int) throws(PithError) -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: rows * lines)
        try tensor.withWords { words in
            for line in 0..<lines {
                for row in 0..<rows {
                    let word = UInt32(littleEndian: words[line * (rows / 8) + row / 8])
                    let place = order.firstIndex(of: row % 8) ?? 0
                    bytes[row * lines + line] = UInt8(word >> UInt32(4 * place) & 15)
                }
            }
        }
        return bytes
    }

    /// Bytes of [rows, lines] as words, [lines, rows / 8].
    private static func pack(_ bytes: [UInt8], lines: Int, rows: Int) -> StoredTensor {
        var words = [UInt32](repeating: 0, count: lines * (rows / 8))
        for line in 0..<lines {
            for row in 0..<rows {
                let place = order.firstIndex(of: row % 8) ?? 0
                words[line * (rows / 8) + row / 8] |= UInt32(bytes[row * lines + line]) << UInt32(4 * place)
            }
        }
        return StoredTensor(words: words, shape: [lines, rows / 8])
    }

    package var form: (any GridForm)? { grid.form }

    package func validate(rows: Int, columns: Int) throws(PithError) {
        try grid.requireWholeGroups(columns)
        guard rows % 8 == 0 else {
            throw .usage("\(rows) outputs do not fill words of 8", remedy: "gptq has room for them")
        }
    }

    package func accepts(_ codes: AffineGridShape) -> Bool {
        grid.fits(codes) && !codes.isReordered && codes.rows % 8 == 0
    }

    package static func spec(for codes: AffineGridShape) -> String? {
        guard !codes.hasMinima, !codes.isReordered, codes.bits == bits, codes.rows % 8 == 0 else { return nil }
        return "awq:group=\(codes.groupSize == codes.columns ? 0 : codes.groupSize)"
    }

    package func parts(rows: Int, columns: Int) -> [CheckpointPart] {
        let groups = grid.groups(columns)
        return [
            .init("qweight", .int32, [columns, rows / 8]), .init("qzeros", .int32, [groups, rows / 8]),
            .init("scales", .float16, [groups, rows]),
        ]
    }

    package func encode(_ codes: AffineCodes) throws(PithError) -> [StoredTensor] {
        let (rows, columns, groups) = (codes.rows, codes.columns, codes.groups)
        let scales = Tensor(shape: [rows, groups], values: codes.scales).transposed
        return [
            Self.pack(codes.codes, lines: columns, rows: rows), Self.pack(codes.zeros, lines: groups, rows: rows),
            StoredTensor(scales, as: .float16),
        ]
    }

    package func describe(in configuration: inout JSONObject, floats: [String]) {
        configuration["quantization_config"] = [
            "quant_method": "awq", "bits": .integer(Self.bits),
            "group_size": .integer(grid.group == 0 ? -1 : grid.group),
            "zero_point": true, "version": "gemm", "modules_to_not_convert": .array(floats.map { .string($0) }),
        ]
    }
}
