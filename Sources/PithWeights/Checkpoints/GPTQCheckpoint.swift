import PithCore
import PithFormats
import PithModels
import PithTensor

/// Checkpoints of AutoGPTQ and GPTQModel. Source: GPTQModel, `nn_modules/qlinear` and `quantization/config.py`.
///
/// A module has `qweight` I32 [inputs · bits / 32, outputs], packed along the inputs, the lowest bits first; `qzeros` I32
/// [groups, outputs · bits / 32], packed along the outputs; `scales` [groups, outputs]; `g_idx` I32 [inputs], the group of
/// each input. In version 1 zeros are stored less one.
package struct GPTQCheckpoint: AffineCheckpoint {
    /// As `quant_method` has it.
    package static let name = "gptq"

    private static let bits = MethodOption.integer("bits", 4, in: 2...8, "bits of a code: 2, 3, 4 or 8")
    private static let group = MethodOption.integer(
        "group", 128, in: 0...1024, "inputs that share a scale, a multiple of 32; 0: all")
    private static let symmetric = MethodOption.flag("symmetric", false, "scales without zero points")

    /// What the catalogue knows.
    package static let entry = MethodEntry(
        identifier: name, paper: nil, summary: "folders of AutoGPTQ and GPTQModel, for transformers and vLLM",
        options: [bits, group, symmetric])

    private let grid: CheckpointGrid
    private var bits: Int { grid.bits }
    /// Whether zeros are stored as they are.
    private let isSecondVersion: Bool

    /// Takes options.
    package init(_ options: OptionValues) throws(PithError) {
        grid = CheckpointGrid(
            bits: options[Self.bits], group: options[Self.group], symmetric: options[Self.symmetric])
        // A zero of 0 cannot be stored less one.
        isSecondVersion = !grid.symmetric
        try grid.check(Self.name, bits: Self.knownBits)
    }

    /// Reads `quantization_config`.
    package init?(_ configuration: JSONReader) throws(PithError) {
        guard let keys = try configuration.optional("quantization_config"),
            try keys.optional("quant_method")?.text() == Self.name
        else { return nil }
        let size = try keys.member("group_size").integer(in: -1...1 << 20)
        grid = CheckpointGrid(bits: try keys.member("bits").integer(in: 2...8), group: max(0, size))
        let format = try keys.optional("checkpoint_format", "format")?.text() ?? "gptq"
        guard ["gptq", "gptq_v2"].contains(format) else {
            throw keys.failure(
                "the checkpoint format '\(format.shortened)' is not supported", remedy: "gptq, gptq_v2 are")
        }
        isSecondVersion = format == "gptq_v2"
        try grid.check(Self.name, bits: Self.knownBits)
    }

    private static let knownBits = [2, 3, 4, 8]

    // MARK: Reading

    /// The matrix of a module.
    package func matrix(
        _ name: String, shape: [Int], in archive: TensorArchive, layouts: LayoutCatalogue
    ) throws(PithError) -> (any StoredLinear)? {
        let module = CheckpointNames.module(name)
        guard archive.contains("\(module).qweight") else { return nil }
        let (rows, columns) = (shape[0], shape[1])
        let (size, groups) = (grid.size(columns), grid.groups(columns))
        let packed = try archive.tensor("\(module).qweight", [PackedWords.count(columns, bits: bits), rows])
        let packedZeros = try archive.tensor("\(module).qzeros", [groups, PackedWords.count(rows, bits: bits)])
        let scales = try archive.tensor("\(module).scales", [groups, rows]).decoded()
        var codes = AffineCodes(
            rows: rows, columns: columns, bits: bits, groupSize: size,
            codes: [UInt8](repeating: 0, count: rows * columns),
            scales: [Float](repeating: 0, count: rows * groups), zeros: [UInt8](repeating: 0, count: rows * groups))
        let groupOfColumn = try groupIndices(archive, module, columns, groups)
        if let groupOfColumn {
            codes.order = (0..<columns).sorted { (groupOfColumn[$0], $0) < (groupOfColumn[$1], $1) }
            try Self.checkOrder(groupOfColumn, size, groups)
        }
        try unpack(packed, packedZeros, into: &codes)
        for row in 0..<rows { for group in 0..<groups { codes.scales[row * groups + group] = scales[group, row] } }
        guard codes.scales.allSatisfy({ $0 >= 0 }) else { throw .data("has a negative scale", at: "\(module).scales") }
        return try codes.stored()
    }

    /// The group of each input where they do not stand in the order of groups.
    private func groupIndices(
        _ archive: TensorArchive, _ module: String, _ columns: Int, _ groups: Int
    ) throws(PithError) -> [Int]? {
        let name = "\(module).g_idx"
        guard archive.contains(name) else { return nil }
        let tensor = try archive.tensor(name)
        guard tensor.shape == [columns], tensor.type == .int32 else {
            throw .data("is no list of \(columns) groups", at: "tensor \(name)")
        }
        let indices = try tensor.withWords { words in words.map { Int(Int32(bitPattern: $0)) } }
        guard indices.allSatisfy({ (0..<groups).contains($0) }) else {
            throw .data("names a group that there is not", at: "tensor \(name)")
        }
        let size = grid.size(columns)
        return indices.indices.allSatisfy { indices[$0] == $0 / size } ? nil : indices
    }

    /// Groups must be whole: only then is the order of the columns all that differs.
    private static func checkOrder(_ indices: [Int], _ size: Int, _ groups: Int) throws(PithError) {
        var counts = [Int](repeating: 0, count: groups)
        for index in indices { counts[index] += 1 }
        guard counts.dropLast().allSatisfy({ $0 == size }) else {
            throw .data("groups of other sizes than \(size) are not supported", at: "g_idx")
        }
    }

    private func unpack(
        _ packed: StoredTensor, _ packedZeros: StoredTensor, into codes: inout AffineCodes
    ) throws(PithError) {
        let (rows, columns, groups, bits) = (codes.rows, codes.columns, codes.groups, bits)
        let order = codes.order
        try packed.withWords { words in
            var line = [UInt32](repeating: 0, count: packed.shape[0])
            for row in 0..<rows {
                for (index, _) in line.enumerated() { line[index] = words[index * rows + row] }
                line.withUnsafeBufferPointer { line in
                    for place in 0..<columns {
                        codes.codes[row * columns + place] = PackedWords.code(line, order?[place] ?? place, bits: bits)
                    }
                }
            }
        }
        let added: UInt8 = isSecondVersion ? 0 : 1
        try packedZeros.withWords { words in
            let width = packedZeros.shape[1]
            for group in 0..<groups {
                let line = UnsafeBufferPointer(rebasing: words[group * width..<(group + 1) * width])
                for row in 0..<rows {
                    // Less one in as many bits.
                    codes.zeros[row * groups + group] =
                        (PackedWords.code(line, row, bits: bits) &+ added) & UInt8((1 << bits) - 1)
                }
            }
        }
    }

    // MARK: Writing

    package var form: (any GridForm)? { grid.form }

    package func accepts(_ codes: AffineGridShape) -> Bool { grid.fits(codes) }

    package static func spec(for codes: AffineGridShape) -> String? {
        guard !codes.hasMinima, knownBits.contains(codes.bits) else { return nil }
        return "gptq:\(CheckpointGrid.options(codes))\(codes.isSymmetric ? ",symmetric=true" : "")"
    }

    package func parts(rows: Int, columns: Int) -> [CheckpointPart] {
        let groups = grid.groups(columns)
        return [
            .init("qweight", .int32, [PackedWords.count(columns, bits: bits), rows]),
            .init("qzeros", .int32, [groups, PackedWords.count(rows, bits: bits)]),
            .init("scales", .float16, [groups, rows]), .init("g_idx", .int32, [columns]),
        ]
    }

    package func encode(_ codes: AffineCodes) -> [StoredTensor] {
        let (rows, columns, groups) = (codes.rows, codes.columns, codes.groups)
        let shapes = parts(rows: rows, columns: columns).map(\.shape)
        // The place at which each column is stored.
        var places = Array(0..<columns)
        for (place, column) in (codes.order ?? []).enumerated() { places[column] = place }
        var packed = [UInt32](repeating: 0, count: shapes[0].reduce(1, *))
        for row in 0..<rows {
            let line = PackedWords.pack((0..<columns).map { codes.codes[row * columns + places[$0]] }, bits: bits)
            for (index, word) in line.enumerated() { packed[index * rows + row] = word }
        }
        let (mask, lowered): (UInt8, UInt8) = (UInt8((1 << bits) - 1), isSecondVersion ? 0 : 1)
        let zeros = (0..<groups).flatMap { group in
            PackedWords.pack((0..<rows).map { (codes.zeros[$0 * groups + group] &- lowered) & mask }, bits: bits)
        }
        var scales = Tensor(rows: groups, columns: rows)
        for row in 0..<rows { for group in 0..<groups { scales[group, row] = codes.scales[row * groups + group] } }
        return [
            StoredTensor(words: packed, shape: shapes[0]), StoredTensor(words: zeros, shape: shapes[1]),
            StoredTensor(scales, as: .float16),
            StoredTensor(words: (0..<columns).map { UInt32(places[$0] / codes.groupSize) }, shape: shapes[3]),
        ]
    }

    package func describe(in configuration: inout JSONObject, floats: [String]) {
        configuration["quantization_config"] = [
            "quant_method": "gptq", "bits": .integer(bits), "group_size": .integer(grid.group == 0 ? -1 : grid.group),
            "sym": .bool(grid.symmetric), "desc_act": false, "lm_head": false, "pack_dtype": "int32",
            "checkpoint_format": .string(isSecondVersion ? "gptq_v2" : "gptq"),
        ]
    }
}
