import PithCore
import PithFormats
import PithTensor

/// Turns a model of rwkv.cpp into a folder with the names that `RWKV` describes. A vocabulary of 256 is bytes; any
/// other needs the `tokenizer.json` that belongs to it.
///
/// Blocks of codes become the numbers that they stand for, in 32 bits. The file is checked to the last byte before
/// anything is written.
public func importRWKV(model: String, tokenizer: String? = nil, into folder: String) throws(PithError) {
    let file = try RWKVFile(model)
    let (tensors, configuration): ([(name: String, tensor: StoredTensor)], JSONValue)
    do {
        let conversion = try RWKVConversion(file)
        (tensors, configuration) = (try conversion.tensors(), .object(conversion.keys))
    } catch { throw error.within(model) }
    guard tokenizer != nil || file.vocabularySize == 256 else {
        throw .usage("a vocabulary of \(file.vocabularySize) needs a tokenizer", remedy: "give its tokenizer.json")
    }
    try Files.makeFolder(folder)
    try SafetensorsWriter.write(
        tensors, metadata: ["format": "pt"], to: joinPath(folder, TensorArchive.fileName))
    let target = joinPath(folder, Tokenizer.fileName)
    if let tokenizer { try Files.copy(tokenizer, to: target) } else { try byteTokenizer.write(to: target) }
    try configuration.write(to: joinPath(folder, ModelConfiguration.fileName))
}

/// A token for each byte, by its number.
private var byteTokenizer: JSONValue {
    var vocabulary = JSONObject()
    for byte in UInt8.min...UInt8.max { vocabulary[ByteAlphabet.text(of: [byte])] = .integer(Int(byte)) }
    return [
        "version": "1.0", "truncation": nil, "padding": nil, "added_tokens": [], "normalizer": nil,
        "pre_tokenizer": ["type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": false],
        "post_processor": nil,
        "decoder": ["type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": false],
        "model": ["type": "BPE", "vocab": .object(vocabulary), "merges": []],
    ]
}

/// The tensors of a file under the names of a folder, and what the folder's configuration says.
private struct RWKVConversion {
    let keys: JSONObject
    private let file: RWKVFile
    private let version: RWKV.Version

    init(_ file: RWKVFile) throws(PithError) {
        self.file = file
        func has(_ name: String) -> Bool { file.entries["blocks.0.att.\(name)"] != nil }
        version =
            has("k_k")
            ? .seven : has("time_maa_x") ? .six : !has("ln_x.weight") ? .four : has("gate.weight") ? .fiveTwo : .fiveOne
        // All other sizes are bounded by what the file holds.
        let table = try file.entry("emb.weight").shape
        guard table == [file.vocabularySize, file.width] else {
            throw .data(
                "has the shape \(table)", at: "tensor emb.weight",
                remedy: "the header says \([file.vocabularySize, file.width])")
        }
        keys = try Self.keys(of: file, version)
    }

    /// What follows from the header and from the shapes of the first layers.
    private static func keys(of file: RWKVFile, _ version: RWKV.Version) throws(PithError) -> JSONObject {
        var keys: JSONObject = [
            "model_type": "rwkv", "rwkv_version": .string(version.rawValue), "torch_dtype": "float32",
            "architectures": ["RWKV"], "vocab_size": .integer(file.vocabularySize),
            "hidden_size": .integer(file.width), "num_hidden_layers": .integer(file.layerCount),
            "intermediate_size": .integer(try file.entry("blocks.0.ffn.key.weight").shape[0]),
            "tie_word_embeddings": false,
        ]
        func extent(_ name: String, _ place: Int, layer: Int = 0) throws(PithError) -> Int {
            let shape = try file.entry("blocks.\(layer).att.\(name)").shape
            guard shape.count > place else {
                throw .data("has the shape \(shape)", at: "tensor blocks.\(layer).att.\(name)")
            }
            return shape[place]
        }
        func headDimension(_ count: Int) throws(PithError) -> JSONValue {
            guard file.width % count == 0 else { throw .data("\(count) heads do not divide the width \(file.width)") }
            return .integer(file.width / count)
        }
        switch version {
        case .four: break
        case .fiveOne, .fiveTwo: keys["head_size"] = try headDimension(try extent("time_decay", 0))
        case .six:
            keys["head_size"] = try headDimension(try extent("time_faaaa", 0))
            keys["time_mix_extra_dim"] = .integer(try extent("time_maa_w2", 2))
            keys["time_decay_extra_dim"] = .integer(try extent("time_decay_w1", 0))
        case .seven:
            keys["head_size"] = try headDimension(try extent("r_k", 0))
            keys["decay_low_rank_dim"] = .integer(try extent("w1", 0))
            keys["a_low_rank_dim"] = .integer(try extent("a1", 0))
            if file.layerCount > 1 { keys["v_low_rank_dim"] = .integer(try extent("v1", 0, layer: 1)) }
            keys["gate_low_rank_dim"] = .integer(try extent("g1", 0))
        }
        return keys
    }

    /// A tensor for each parameter that the family describes.
    func tensors() throws(PithError) -> [(name: String, tensor: StoredTensor)] {
        let description = try RWKV(JSONReader(.object(keys))).describe()
        var result: [(name: String, tensor: StoredTensor)] = []
        // The first layer has nobody's values to mix its own with, though some checkpoints have weights for it.
        var used = Set(version == .seven ? ["v0", "v1", "v2"].map { "blocks.0.att.\($0)" } : [])
        for spec in description.parameters {
            let source = try source(of: spec.name)
            used.insert(source.name)
            result.append((spec.name, try source.tensor(spec, in: file)))
        }
        if let other = file.entries.keys.filter({ !used.contains($0) }).min() {
            throw .data("is no part of RWKV \(version.rawValue)", at: "tensor \(other.shortened)")
        }
        return result
    }

    /// Where a file has the numbers of a parameter.
    private struct Source {
        /// The tensor.
        var name: String
        /// Which part of its outermost extent it is, of how many.
        var part = (index: 0, count: 1)
        /// Whether there may be one number for each head, which all channels of the head get.
        var isByHead = false
        /// What is done with each number.
        var change: (@Sendable (Float) -> Float)?

        func tensor(_ spec: ParameterSpec, in file: RWKVFile) throws(PithError) -> StoredTensor {
            let entry = try file.entry(name)
            if part.count == 1, change == nil, let element = entry.type.element, entry.shape == spec.shape {
                return StoredTensor(type: element, shape: entry.shape, region: entry.region)
            }
            let all = try file.values(name)
            let isMatrix = spec.kind != .vector
            let size = all.count / part.count
            let fits =
                isMatrix
                ? all.shape == (part.count > 1 ? [part.count] : []) + spec.shape
                : part.count * size == all.count && (size == spec.count || isByHead && spec.count % size == 0)
            guard fits else { throw .data("has the shape \(all.shape)", at: "tensor \(name)") }
            var values = Array(all.values[part.index * size..<(part.index + 1) * size])
            if let change { values = values.map(change) }
            if size < spec.count { values = values.flatMap { [Float](repeating: $0, count: spec.count / size) } }
            return StoredTensor(Tensor(shape: spec.shape, values: values))
        }
    }

    private func source(of name: String) throws(PithError) -> Source {
        var source = Source(name: name)
        let stem = name.split(separator: ".").prefix(2).joined(separator: ".")
        let member = name.dropFirst(stem.count + 1)
        switch (version, member) {
        case (.four, "att.time_decay"): source.change = { logarithmOfSpeed(-Double($0)) }
        case (.fiveOne, "att.time_decay"), (.fiveTwo, "att.time_decay"):
            source.change = { logarithmOfSpeed(ofDecay: $0) }
            source.isByHead = version == .fiveOne
        case (.fiveOne, "att.time_faaaa"):
            source.name = "\(stem).att.time_first"
            source.isByHead = true
        case (.six, _) where member.hasPrefix("att.time_maa_w2."):
            source.name = "\(stem).att.time_maa_w2"
            source.part = (Int(member.split(separator: ".")[2]) ?? 0, 5)
        case (.seven, _) where member.hasPrefix("att.x_"):
            source.name = "\(stem).att.x_rwkvag"
            source.part = (Array("rwkvag").firstIndex(of: member.last ?? "r") ?? 0, 6)
        // Matrices of low rank are no `.weight` in files.
        default:
            let other = String(name.dropLast(".weight".count))
            if file.entries[name] == nil, file.entries[other] != nil { source.name = other }
        }
        return source
    }
}

/// x where `speed` is exp(x), within bounds beyond which a state is kept whole or not at all.
private func logarithmOfSpeed(_ speed: Double) -> Float { Float(min(max(naturalLogarithm(speed), -30), 5)) }

/// x where `decay` is exp(-exp(x)).
private func logarithmOfSpeed(ofDecay decay: Float) -> Float { logarithmOfSpeed(-naturalLogarithm(Double(decay))) }
