import PithCore
import PithFormats
import PithModels
import PithTensor
import PithWeights

/// GGUF files of version 3. Source: ggml, docs/gguf.md.
public struct GGUFFormat: ModelFormat {
    /// How matrices are written; nil keeps how they are stored.
    private static let types: [GGUFType?] =
        [nil] + GGUFType.allCases.filter { $0.form != nil || [.float32, .float16, .bfloat16].contains($0) }

    private static let type = MethodOption.choice(
        "type", nil as GGUFType?, of: types, { $0?.name ?? "keep" },
        "how matrices are written; keep: as they are stored, if these files have a type for it")
    private static let tables = MethodOption.choice(
        "tables", nil as GGUFType?, of: types, { $0?.name ?? "keep" },
        "how token tables are written; by default Q6_K, or Q8_0 where rows are not whole blocks, beside types of less")
    private static let pre = MethodOption.text(
        "pre", "", form: "a name such as llama-bpe", "the pre-tokenizer, where its expressions have no name")

    /// What the catalogue knows.
    public static let entry = MethodEntry(
        identifier: "gguf", paper: nil, summary: "a file for llama.cpp and all that is built on it",
        options: [type, tables, pre])

    private let type: GGUFType?
    private let tables: GGUFType?
    private let pre: String?

    /// Takes options.
    public init(_ options: OptionValues) throws(PithError) {
        (type, tables) = (options[Self.type], options[Self.tables])
        pre = options[Self.pre].isEmpty ? nil : options[Self.pre]
    }

    /// The type of blocks of 32 that stands in for one of 256 where rows are not whole blocks, as in llama.cpp.
    private static func substitute(_ type: GGUFType, columns: Int) -> GGUFType {
        guard columns % type.blockLength != 0 else { return type }
        let narrow: GGUFType =
            switch type {
            case .q4K: .q50
            case .q5K: .q51
            case .q6K: .q80
            default: .iq4NL
            }
        return columns % narrow.blockLength == 0 ? narrow : .float16
    }

    /// The type that the options ask for; nil to keep what is stored.
    private func wanted(_ spec: ParameterSpec) -> GGUFType? {
        let columns = spec.shape[1]
        if spec.kind == .router { return .float32 }
        guard spec.kind == .table || spec.name == "lm_head.weight" else {
            return type.map { Self.substitute($0, columns: columns) }
        }
        // Positions and types of tokens, which others read as floats alone.
        if spec.kind == .table, spec.ggufName != "token_embd.weight" { return .float32 }
        if let tables { return Self.substitute(tables, columns: columns) }
        return type.map { type in
            Self.substitute(type.form == nil || type == .q80 ? type : .q6K, columns: columns)
        }
    }

    /// The grid of the type that a parameter gets.
    public func form(of parameter: ParameterID, in model: ConvertedModel) throws(PithError) -> (any GridForm)? {
        let spec = model.source.description[parameter]
        guard spec.kind != .vector else { return nil }
        return wanted(spec).flatMap { BlockGrid($0) }
    }

    /// The type that a matrix is written in, and whether it is rounded anew.
    private func type(
        of id: ParameterID, _ model: ConvertedModel
    ) throws(PithError) -> (type: GGUFType, isRounded: Bool) {
        let spec = model.source.description[id]
        guard model.isMatrix(id) else { return (.float32, false) }
        let matrix = try model.matrix(id)
        let kept = Self.type(holding: matrix)
        guard let wanted = wanted(spec) else {
            guard let kept else {
                throw model.refusal(id, matrix, "gguf", remedy: "gguf:F16 holds what it stands for")
            }
            return (kept, false)
        }
        if wanted.form == nil || wanted == kept { return (wanted, false) }
        if let codes = AffineCodes(matrix), Self.has(wanted, roomFor: codes) { return (wanted, false) }
        guard matrix is DenseOperator else {
            let near = kept.map { "gguf:\($0.name) holds it as it is" } ?? "gguf:F16 holds what it stands for"
            throw model.refusal(
                id, matrix, "gguf:\(wanted.name)", remedy: "\(near); or begin with the model that it was made from")
        }
        return (wanted, true)
    }

    /// The smallest type that holds a matrix as it is stored; nil if there is none.
    private static func type(holding matrix: any LinearOperator) -> GGUFType? {
        switch matrix {
        case let matrix as DenseOperator:
            switch matrix.weight.type {
            case .float32: return .float32
            case .float16: return .float16
            case .bfloat16: return .bfloat16
            default: return nil
            }
        case let matrix as BlockCodes: return matrix.type
        default:
            guard let codes = AffineCodes(matrix) else { return nil }
            return [.q40, .q41, .q50, .q51, .q80].first { has($0, roomFor: codes) }
        }
    }

    /// Whether codes fit a type as they are.
    private static func has(_ type: GGUFType, roomFor codes: AffineCodes) -> Bool {
        guard let form = type.form, form.codebook == nil, codes.order == nil, codes.groupSize % 32 == 0,
            codes.columns % 32 == 0
        else { return false }
        switch form.scaling {
        case .scale:
            let whole = -form.zero...(1 << form.bits) - 1 - form.zero
            return codes.minima == nil && whole.contains(codes.range.lowerBound)
                && whole.contains(codes.range.upperBound)
        case .minimum: return codes.minima != nil && codes.bits <= form.bits
        case .factorMinima, .halfMinima, .factors, .halfFactors, .exponent: return false
        }
    }

    /// Lays the file out.
    public func prepare(_ model: ConvertedModel) throws(PithError) -> PreparedModel {
        let source = model.source
        var (entries, rounded, types) = ([GGUFWriter.Entry](), [ParameterID: String](), [ParameterID: GGUFType]())
        let places = try source.ggufPlaces()
        for place in places {
            var chosen: GGUFType?
            for id in place.parameters {
                let (type, isRounded) = try type(of: id, model)
                guard chosen == nil || chosen == type else {
                    throw .usage(
                        "the matrices of \(place.name) are stored in different forms", at: source.path,
                        remedy: "one type for all, for example gguf:Q8_0")
                }
                (chosen, types[id]) = (type, type)
                if isRounded { rounded[id] = type.name }
                source.releaseMemory(of: id)
            }
            entries.append(.init(name: place.name, shape: place.shape, type: chosen ?? .float32))
        }
        let divisors = source.ggufDivisors()
        entries += divisors.map { .init(name: $0.name, shape: [$0.values.count], type: .float32) }
        var keys = try source.ggufKeys(preTokenizer: pre)
        let most = Dictionary(grouping: types.filter { model.isMatrix($0.key) }.values) { $0 }
            .max { ($0.value.count, $0.key.rawValue) < ($1.value.count, $1.key.rawValue) }?.key
        if let number = most.flatMap({ Self.fileTypes[$0] }) { keys.append(("general.file_type", .unsigned(number))) }
        if types.values.contains(where: { $0.form != nil }) {
            keys.append(("general.quantization_version", .unsigned(2)))
        }
        let writer = try GGUFWriter(keys, entries)
        return PreparedModel(rounded: rounded, byteCount: writer.fileSize) {
            [types] (path, progress) throws(PithError) in
            try writer.write(to: path) { (index) throws(PithError) in
                progress(index, writer.entries.count)
                guard index < places.count else {
                    return ByteRegion(copying: divisors[index - places.count].values.map(\.bitPattern.littleEndian))
                }
                let place = places[index]
                guard place.parameters.count > 1 else {
                    return try bytes(place.parameters[0], types[place.parameters[0]] ?? .float32, model)
                }
                var joined: [UInt8] = []
                for id in place.parameters {
                    try bytes(id, types[id] ?? .float32, model).withBytes { joined += $0 }
                }
                return ByteRegion(copying: joined)
            }
        }
    }

    /// `general.file_type`, which only people read.
    private static let fileTypes: [GGUFType: UInt64] = [
        .float32: 0, .float16: 1, .q40: 2, .q41: 3, .q80: 7, .q50: 8, .q51: 9, .q2K: 10, .q3K: 12, .q4K: 15, .q5K: 17,
        .q6K: 18, .iq4NL: 25, .iq4XS: 30, .bfloat16: 32, .mxfp4: 38,
    ]

    /// The elements of a parameter, their rows in the order of the file.
    private func bytes(
        _ id: ParameterID, _ type: GGUFType, _ model: ConvertedModel
    ) throws(PithError) -> ByteRegion {
        let (source, spec) = (model.source, model.source.description[id])
        defer { source.releaseMemory(of: id) }
        guard spec.kind != .vector else {
            let values = spec.ggufArrangement.given(try source.vector(id))
            return spec.ggufOrder.reordered(
                StoredTensor(Tensor(shape: [values.count], values: values), as: .float32).region, rows: values.count)
        }
        let matrix = try model.matrix(id)
        let region: ByteRegion
        if let element = type.element {
            if let dense = matrix as? DenseOperator, dense.weight.type == element {
                region = dense.weight.region
            } else {
                region = StoredTensor(matrix.denseWeight(pool: model.pool), as: element).region
            }
        } else if let blocks = matrix as? BlockCodes, blocks.type == type {
            region = blocks.blocks.region
        } else if let codes = AffineCodes(matrix), Self.has(type, roomFor: codes) {
            region = Self.blocks(codes, type)
        } else {
            guard let grid = BlockGrid(type) else { throw .fault("\(type.name) has no grid") }
            guard let blocks = try model.rounded(matrix, to: grid) as? BlockCodes else {
                throw .fault("\(type.name) gave no blocks")
            }
            region = blocks.blocks.region
        }
        return spec.ggufOrder.reordered(region, rows: spec.shape[0])
    }

    /// Codes as blocks of a type that has room for them.
    private static func blocks(_ codes: AffineCodes, _ type: GGUFType) -> ByteRegion {
        guard let form = type.form else { return ByteRegion(copying: [UInt8]()) }
        let (length, perRow) = (type.blockLength, codes.columns / type.blockLength)
        let halves = halfBits(codes.scales)
        let minima = codes.minima.map { halfBits($0) }
        var bytes = [UInt8](repeating: 0, count: codes.rows * perRow * type.blockBytes)
        bytes.withUnsafeMutableBytes { bytes in
            guard let base = bytes.baseAddress else { return }
            GGUFBlockPieces.withPieces { pieces in
                for block in 0..<codes.rows * perRow {
                    let (row, start) = (block / perRow, block * length)
                    let group = row * codes.groups + block % perRow * length / codes.groupSize
                    let shift = minima == nil ? form.zero - Int(codes.zeros[group]) : 0
                    for i in 0..<length {
                        pieces.codes[i] = UInt8(truncatingIfNeeded: Int(codes.codes[start + i]) + shift)
                    }
                    pieces.halves[0] = halves[group]
                    pieces.halves[1] = minima?[group] ?? 0
                    type.join(pieces, into: base + block * type.blockBytes)
                }
            }
        }
        return ByteRegion(copying: bytes)
    }
}
