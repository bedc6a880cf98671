import PithCore
import PithFormats
import PithModels
import PithTensor

/// Checkpoints of compressed-tensors, which vLLM and transformers read. Source: vllm-project/compressed-tensors,
/// `quantization/quant_args.py` and `compressors`.
///
/// `pack-quantized`: `weight_packed` I32 [outputs, inputs · bits / 32], a stream of bits, codes of numbers that lie around
/// 2^(bits − 1); `weight_scale` [outputs, groups]; `weight_zero_point` I32 [outputs · bits / 32, groups]; `weight_shape`.
/// `int-quantized`: `weight` I8, `weight_scale` and `weight_zero_point` I8. `float-quantized`: `weight` F8_E4M3 and
/// `weight_scale`. `sparse-bitmask`: `compressed`, the weights that are kept; `bitmask` U8; `row_offsets` I64; `shape`.
package struct CompressedTensors: CheckpointWriter {
    /// As `quant_method` has it.
    package static let name = "compressed-tensors"

    /// How matrices are stored.
    package enum Format: String, CaseIterable, Sendable {
        case packed = "pack-quantized"
        case integers = "int-quantized"
        case floats = "float-quantized"
        case bitmask = "sparse-bitmask"
    }

    private static let format = MethodOption.choice("format", Format.packed, "how matrices are stored")
    private static let bits = MethodOption.integer("bits", 4, in: 2...8, "bits of a code, of pack-quantized")
    private static let group = MethodOption.integer(
        "group", 128, in: 0...1024, "inputs that share a scale, a multiple of 32; 0: all")
    private static let symmetric = MethodOption.flag("symmetric", true, "scales without zero points")

    /// What the catalogue knows.
    package static let entry = MethodEntry(
        identifier: name, paper: nil, summary: "folders of compressed-tensors, for vLLM and transformers",
        options: [format, bits, group, symmetric])

    private let format: Format
    private let grid: CheckpointGrid

    /// Takes options.
    package init(_ options: OptionValues) throws(PithError) {
        format = options[Self.format]
        let bits = format == .packed ? options[Self.bits] : 8
        grid = CheckpointGrid(bits: bits, group: options[Self.group], symmetric: options[Self.symmetric])
        try grid.check(Self.name, bits: Array(2...8))
    }

    /// Reads `quantization_config`, or `compression_config` as older writers call it.
    package init?(_ configuration: JSONReader) throws(PithError) {
        let own = try configuration.optional("quantization_config")
        let isOwn = try own?.optional("quant_method")?.text() == Self.name
        guard let keys = isOwn ? own : try configuration.optional("compression_config") else { return nil }
        let name = try keys.optional("format")?.text() ?? "dense"
        if let format = Format(rawValue: name) {
            self.format = format
        } else if name == "dense", let sparsity = try keys.optional("sparsity_config") {
            let kind = try sparsity.member("format").text()
            guard kind == Format.bitmask.rawValue else {
                throw sparsity.failure("'\(kind.shortened)' is not supported")
            }
            format = .bitmask
        } else {
            let known = Format.allCases.map(\.rawValue).joined(separator: ", ")
            throw keys.failure("the format '\(name.shortened)' is not supported", remedy: "\(known) are")
        }
        grid = format == .bitmask ? CheckpointGrid(bits: 8, group: 0) : try Self.grid(keys, isFloat: format == .floats)
        try grid.check(Self.name, bits: Array(2...8))
    }

    /// The grid that all groups of modules share.
    private static func grid(_ keys: JSONReader, isFloat: Bool) throws(PithError) -> CheckpointGrid {
        var grids: [CheckpointGrid] = []
        for (_, group) in try keys.member("config_groups").members() {
            let weights = try group.member("weights")
            let type = try weights.optional("type")?.text() ?? "int"
            guard type == (isFloat ? "float" : "int") else {
                throw weights.failure("the type '\(type)' is not supported")
            }
            let strategy = try weights.optional("strategy")?.text() ?? "group"
            guard ["group", "channel", "tensor"].contains(strategy) else {
                throw weights.failure(
                    "the strategy '\(strategy.shortened)' is not supported", remedy: "group, channel and tensor are")
            }
            let size = strategy == "group" ? try weights.member("group_size").integer(in: 1...1 << 20) : 0
            grids.append(
                CheckpointGrid(
                    bits: try weights.member("num_bits").integer(in: 1...16), group: size,
                    symmetric: try weights.optional("symmetric")?.flag() ?? true))
        }
        guard let first = grids.first else { throw keys.failure("has no groups of modules") }
        guard grids.allSatisfy({ ($0.bits, $0.group) == (first.bits, first.group) }) else {
            throw keys.failure("groups of modules that differ in bits are not supported", remedy: "one group is")
        }
        return first
    }

    // MARK: Reading

    /// The matrix of a module.
    package func matrix(
        _ name: String, shape: [Int], in archive: TensorArchive, layouts: LayoutCatalogue
    ) throws(PithError) -> (any StoredLinear)? {
        let module = CheckpointNames.module(name)
        switch format {
        case .packed:
            return archive.contains("\(module).weight_packed") ? try packed(module, shape, archive) : nil
        case .integers: return archive.contains("\(module).weight_scale") ? try integers(module, shape, archive) : nil
        case .floats:
            return archive.contains("\(module).weight_scale") ? try floats(module, shape, archive, layouts) : nil
        case .bitmask:
            let stems = [module, name].filter { archive.contains("\($0).compressed") }
            return try stems.first.map { (stem) throws(PithError) in try bitmask(stem, shape, archive, layouts) }
        }
    }

    /// Scales of each row and group, [rows, groups]; one for the whole matrix is repeated.
    private func scales(_ module: String, _ shape: [Int], _ archive: TensorArchive) throws(PithError) -> [Float] {
        let tensor = try archive.tensor("\(module).weight_scale")
        let count = shape[0] * grid.groups(shape[1])
        guard tensor.count == count || tensor.count == 1 else {
            throw .data(
                "is \(tensor.shape)", at: "tensor \(module).weight_scale", remedy: "\(count) scales are expected")
        }
        let values = try tensor.decoded().values
        guard values.allSatisfy({ $0 >= 0 }) else { throw .data("is negative", at: "tensor \(module).weight_scale") }
        return values.count == count ? values : [Float](repeating: values[0], count: count)
    }

    private func codes(
        _ module: String, _ shape: [Int], _ archive: TensorArchive, _ codes: [UInt8], _ zeros: [UInt8]?
    ) throws(PithError) -> any StoredLinear {
        guard !archive.contains("\(module).weight_g_idx") else {
            throw .data("inputs in another order are not supported", at: "tensor \(module).weight_g_idx")
        }
        let scales = try scales(module, shape, archive)
        let middle = UInt8(1 << (grid.bits - 1))
        return try AffineCodes(
            rows: shape[0], columns: shape[1], bits: grid.bits, groupSize: grid.size(shape[1]), codes: codes,
            scales: scales, zeros: zeros ?? [UInt8](repeating: middle, count: scales.count)
        ).stored()
    }

    private func packed(
        _ module: String, _ shape: [Int], _ archive: TensorArchive
    ) throws(PithError) -> any StoredLinear {
        let (rows, columns, bits, groups) = (shape[0], shape[1], grid.bits, grid.groups(shape[1]))
        let width = PackedWords.count(columns, bits: bits)
        var codes = [UInt8](repeating: 0, count: rows * columns)
        try archive.tensor("\(module).weight_packed", [rows, width]).withWords { words in
            for row in 0..<rows {
                let line = UnsafeBufferPointer(rebasing: words[row * width..<(row + 1) * width])
                for column in 0..<columns {
                    codes[row * columns + column] = PackedWords.code(line, column, bits: bits)
                }
            }
        }
        var zeros: [UInt8]?
        if archive.contains("\(module).weight_zero_point") {
            let height = PackedWords.count(rows, bits: bits)
            let tensor = try archive.tensor("\(module).weight_zero_point", [height, groups])
            var values = [UInt8](repeating: 0, count: rows * groups)
            try tensor.withWords { words in
                for group in 0..<groups {
                    let line = (0..<height).map { words[$0 * groups + group] }
                    line.withUnsafeBufferPointer { line in
                        for row in 0..<rows { values[row * groups + group] = PackedWords.code(line, row, bits: bits) }
                    }
                }
            }
            zeros = values
        }
        return try self.codes(module, shape, archive, codes, zeros)
    }

    private func integers(
        _ module: String, _ shape: [Int], _ archive: TensorArchive
    ) throws(PithError) -> any StoredLinear {
        func bytes(_ name: String, count: Int) throws(PithError) -> [UInt8] {
            let tensor = try archive.tensor("\(module).\(name)")
            guard tensor.type == .int8, tensor.count == count else {
                throw .data(
                    "is \(tensor.type.rawValue) \(tensor.shape)", at: "tensor \(module).\(name)",
                    remedy: "\(count) numbers of I8 are expected")
            }
            let middle = UInt8(1 << (grid.bits - 1))
            let values = tensor.region.withBytes { $0.map { $0 &+ middle } }
            guard values.allSatisfy({ Int($0) < 1 << grid.bits }) else {
                throw .data("holds numbers of more than \(grid.bits) bits", at: "tensor \(module).\(name)")
            }
            return values
        }
        let zeros =
            archive.contains("\(module).weight_zero_point")
            ? try bytes("weight_zero_point", count: shape[0] * grid.groups(shape[1])) : nil
        return try codes(module, shape, archive, try bytes("weight", count: shape[0] * shape[1]), zeros)
    }

    private func floats(
        _ module: String, _ shape: [Int], _ archive: TensorArchive, _ layouts: LayoutCatalogue
    ) throws(PithError) -> any StoredLinear {
        let weight = try archive.tensor("\(module).weight", shape)
        let groups = grid.groups(shape[1])
        let scales = Tensor(shape: [shape[0], groups], values: try scales(module, shape, archive))
        return try ScaledFloats(
            StoredParts(
                tensors: ["values": weight, "scales": StoredTensor(scales, as: .float32)],
                parameters: ["groupSize": grid.size(shape[1])]), shape: shape, layouts: layouts)
    }

    private func bitmask(
        _ stem: String, _ shape: [Int], _ archive: TensorArchive, _ layouts: LayoutCatalogue
    ) throws(PithError) -> any StoredLinear {
        let values = try archive.tensor("\(stem).compressed")
        let mask = try archive.tensor("\(stem).bitmask", [shape[0], (shape[1] + 7) / 8])
        guard values.shape.count == 1 else { throw .data("is \(values.shape)", at: "tensor \(stem).compressed") }
        // Where rows begin follows from the mask.
        var (offsets, kept): ([UInt32], Int) = ([], 0)
        mask.region.withBytes { bytes in
            for row in 0..<shape[0] {
                offsets.append(UInt32(truncatingIfNeeded: kept))
                for byte in bytes[row * mask.shape[1]..<(row + 1) * mask.shape[1]] { kept += byte.nonzeroBitCount }
            }
        }
        return try BitmaskSparse(
            StoredParts(tensors: [
                "mask": mask, "values": values,
                "offsets": StoredTensor(offsets, as: .uint32, shape: [offsets.count]),
            ]), shape: shape, layouts: layouts)
    }

    // MARK: Writing

    package var form: (any GridForm)? { format == .packed || format == .integers ? grid.form : nil }

    package func validate(rows: Int, columns: Int) throws(PithError) {
        if form != nil { try grid.requireWholeGroups(columns) }
    }

    package func accepts(_ matrix: any LinearOperator) -> Bool {
        switch format {
        case .packed, .integers:
            guard let codes = AffineCodes(matrix) else { return false }
            return grid.fits(codes.gridShape) && codes.order == nil
        case .floats: return (matrix as? ScaledFloats).map { $0.groupSize >= $0.inputCount } ?? false
        case .bitmask: return matrix is BitmaskSparse
        }
    }

    package static func spec(for matrix: any LinearOperator) -> String? {
        if let floats = matrix as? ScaledFloats {
            return floats.groupSize >= floats.inputCount ? "\(name):format=float-quantized" : nil
        }
        if matrix is BitmaskSparse { return "\(name):format=sparse-bitmask" }
        guard let codes = AffineCodes(matrix)?.gridShape, !codes.hasMinima, !codes.isReordered else { return nil }
        return "\(name):\(CheckpointGrid.options(codes))\(codes.isSymmetric ? "" : ",symmetric=false")"
    }

    package func parts(of matrix: any LinearOperator) -> [CheckpointPart] {
        let (rows, columns, bits) = (matrix.outputCount, matrix.inputCount, grid.bits)
        let groups = grid.groups(columns)
        switch format {
        case .packed:
            let zeros = CheckpointPart("weight_zero_point", .int32, [PackedWords.count(rows, bits: bits), groups])
            return [
                .init("weight_packed", .int32, [rows, PackedWords.count(columns, bits: bits)]),
                .init("weight_scale", .float16, [rows, groups]), .init("weight_shape", .int64, [2]),
            ] + (grid.symmetric ? [] : [zeros])
        case .integers:
            return [.init("weight", .int8, [rows, columns]), .init("weight_scale", .float16, [rows, groups])]
                + (grid.symmetric ? [] : [.init("weight_zero_point", .int8, [rows, groups])])
        case .floats:
            let type = (matrix as? ScaledFloats)?.stored.tensors["values"]?.type ?? .float8e4m3
            return [.init("weight", type, [rows, columns]), .init("weight_scale", .float32, [rows, 1])]
        case .bitmask:
            let values = (matrix as? BitmaskSparse)?.stored.tensors["values"]
            return [
                .init("compressed", values?.type ?? .float16, values?.shape ?? [0]),
                .init("bitmask", .uint8, [rows, (columns + 7) / 8]), .init("row_offsets", .int64, [rows]),
                .init("shape", .int64, [2]),
            ]
        }
    }

    package func encode(_ matrix: any LinearOperator) throws(PithError) -> [StoredTensor] {
        let shape = [matrix.outputCount, matrix.inputCount]
        let extents = StoredTensor(shape.map { Int64($0) }, as: .int64, shape: [2])
        switch matrix {
        case let matrix as ScaledFloats:
            guard let values = matrix.stored.tensors["values"], let scales = matrix.stored.tensors["scales"] else {
                break
            }
            return [values, StoredTensor(try scales.decoded(), as: .float32)]
        case let matrix as BitmaskSparse:
            let parts = matrix.stored.tensors
            guard let values = parts["values"], let mask = parts["mask"], let offsets = parts["offsets"] else { break }
            let wide = try offsets.withWords { words in words.map { Int64($0) } }
            return [values, mask, StoredTensor(wide, as: .int64, shape: [shape[0]]), extents]
        default:
            guard let codes = AffineCodes(matrix) else { break }
            return encode(codes, extents)
        }
        throw .fault("a matrix that \(format.rawValue) has no room for")
    }

    private func encode(_ codes: AffineCodes, _ extents: StoredTensor) -> [StoredTensor] {
        let (rows, columns, groups, bits) = (codes.rows, codes.columns, codes.groups, grid.bits)
        let scales = StoredTensor(Tensor(shape: [rows, groups], values: codes.scales), as: .float16)
        if format == .integers {
            func signed(_ values: [UInt8], _ shape: [Int]) -> StoredTensor {
                StoredTensor(type: .int8, shape: shape, region: ByteRegion(copying: values.map { $0 &- 128 }))
            }
            return [signed(codes.codes, [rows, columns]), scales]
                + (grid.symmetric ? [] : [signed(codes.zeros, [rows, groups])])
        }
        let words = (0..<rows).flatMap { row in
            PackedWords.pack(codes.codes[row * columns..<(row + 1) * columns], bits: bits)
        }
        let packed = StoredTensor(words: words, shape: [rows, PackedWords.count(columns, bits: bits)])
        guard !grid.symmetric else { return [packed, scales, extents] }
        let height = PackedWords.count(rows, bits: bits)
        var zeros = [UInt32](repeating: 0, count: height * groups)
        for group in 0..<groups {
            let line = PackedWords.pack((0..<rows).map { codes.zeros[$0 * groups + group] }, bits: bits)
            for (index, word) in line.enumerated() { zeros[index * groups + group] = word }
        }
        return [packed, scales, extents, StoredTensor(words: zeros, shape: [height, groups])]
    }

    package func describe(in configuration: inout JSONObject, floats: [String]) {
        guard format != .bitmask else {
            configuration["quantization_config"] = [
                "quant_method": .string(Self.name), "format": "dense", "quantization_status": "compressed",
                "sparsity_config": [
                    "format": .string(format.rawValue), "sparsity_structure": "unstructured",
                    "ignore": .array(floats.map { .string($0) }), "targets": ["Linear"],
                ],
            ]
            return
        }
        let isFloat = format == .floats
        let weights: JSONValue = [
            "num_bits": .integer(grid.bits), "type": isFloat ? "float" : "int",
            "symmetric": .bool(isFloat || grid.symmetric),
            "strategy": isFloat || grid.group == 0 ? "channel" : "group",
            "group_size": isFloat || grid.group == 0 ? .null : .integer(grid.group), "dynamic": false,
        ]
        configuration["quantization_config"] = [
            "quant_method": .string(Self.name), "format": .string(format.rawValue),
            "quantization_status": "compressed", "ignore": .array(floats.map { .string($0) }),
            "config_groups": [
                "group_0": [
                    "targets": ["Linear"], "weights": weights, "input_activations": nil, "output_activations": nil,
                    "format": .string(format.rawValue),
                ]
            ],
        ]
    }
}
