import PithCore
import PithTensor

/// Turns a model of rwkv.cpp into a folder with the names that `RWKV` describes. A vocabulary of 256 is bytes; any
/// other needs the `tokenizer.json` that belongs to it.
///
/// Blocks of codes become the numbers that they stand for, in 32 bits. The file is checked to the last byte before
/// anything is written.
public func importRWKV(model: String, tokenizer: String? = nil, into folder: String) throws(PithError) {
    let file = try RWKVFile(model)
    let contents: (tensors: [(name: String, tensor: StoredTensor)], configuration: JSONValue)
    do { contents = try RWKVConversion(file).contents() } catch { throw error.within(model) }
    guard tokenizer != nil || file.vocabularySize == 256 else {
        throw .usage("a vocabulary of \(file.vocabularySize) needs a tokenizer", remedy: "give its tokenizer.json")
    }
    try Files.makeFolder(folder)
    try SafetensorsWriter.write(
        contents.tensors, metadata: ["format": "pt"], to: joinPath(folder, TensorArchive.fileName))
    let target = joinPath(folder, Tokenizer.fileName)
    if let tokenizer { try Files.copy(tokenizer, to: target) } else { try byteTokenizer.write(to: target) }
    try contents.configuration.write(to: joinPath(folder, ModelConfiguration.fileName))
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
    private let file: RWKVFile
    private let version: String
    private var tensors: [(name: String, tensor: StoredTensor)] = []
    private var keys = JSONObject()
    private var used: Set<String> = []

    init(_ file: RWKVFile) {
        self.file = file
        func has(_ name: String) -> Bool { file.entries["blocks.0.att.\(name)"] != nil }
        version =
            has("k_k")
            ? "7" : has("time_maa_x") ? "6" : !has("ln_x.weight") ? "4" : has("gate.weight") ? "5.2" : "5.1"
    }

    /// All of both.
    func contents() throws(PithError) -> (tensors: [(name: String, tensor: StoredTensor)], configuration: JSONValue) {
        var copy = self
        try copy.convert()
        return (copy.tensors, .object(copy.keys))
    }

    private mutating func convert() throws(PithError) {
        // All other sizes are bounded by what the file holds.
        let table = try file.entry("emb.weight").shape
        guard table == [file.vocabularySize, file.width] else {
            throw .data(
                "has the shape \(table)", at: "tensor emb.weight",
                remedy: "the header says \([file.vocabularySize, file.width])")
        }
        let units = try file.entry("blocks.0.ffn.key.weight").shape[0]
        for (key, value) in [
            ("model_type", "rwkv"), ("rwkv_version", .string(version)), ("torch_dtype", "float32"),
            ("architectures", ["RWKV"]), ("vocab_size", .integer(file.vocabularySize)),
            ("hidden_size", .integer(file.width)), ("num_hidden_layers", .integer(file.layerCount)),
            ("intermediate_size", .integer(units)), ("tie_word_embeddings", false),
        ] as [(String, JSONValue)] { keys[key] = value }
        try addSizes()
        try copy("emb.weight")
        for layer in 0..<file.layerCount { try convertLayer("blocks.\(layer).", isFirst: layer == 0) }
        for name in ["ln_out.weight", "ln_out.bias", "head.weight"] { try copy(name) }
        if let other = file.entries.keys.filter({ !used.contains($0) }).min() {
            throw .data("is no part of RWKV \(version)", at: "tensor \(other.shortened)")
        }
    }

    /// What follows from the shapes of the first layer.
    private mutating func addSizes() throws(PithError) {
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
        case "4": break
        case "6":
            keys["head_size"] = try headDimension(try extent("time_faaaa", 0))
            keys["time_mix_extra_dim"] = .integer(try extent("time_maa_w2", 2))
            keys["time_decay_extra_dim"] = .integer(try extent("time_decay_w1", 0))
        case "7":
            keys["head_size"] = try headDimension(try extent("r_k", 0))
            keys["decay_low_rank_dim"] = .integer(try extent("w1", 0))
            keys["a_low_rank_dim"] = .integer(try extent("a1", 0))
            if file.layerCount > 1 { keys["v_low_rank_dim"] = .integer(try extent("v1", 0, layer: 1)) }
            keys["gate_low_rank_dim"] = .integer(try extent("g1", 0))
        default: keys["head_size"] = try headDimension(try extent("time_decay", 0))
        }
    }

    private mutating func convertLayer(_ prefix: String, isFirst: Bool) throws(PithError) {
        for norm in (isFirst ? ["ln0"] : []) + ["ln1", "ln2"] {
            try copy("\(prefix)\(norm).weight")
            try copy("\(prefix)\(norm).bias")
        }
        let hasReceptance = version != "7"
        for name in ["att.key", "att.value", "att.receptance", "att.output", "ffn.key", "ffn.value"]
            + (hasReceptance ? ["ffn.receptance"] : []) + (["5.2", "6"].contains(version) ? ["att.gate"] : [])
        {
            try copy("\(prefix)\(name).weight")
        }
        if version != "4" {
            try copy("\(prefix)att.ln_x.weight")
            try copy("\(prefix)att.ln_x.bias")
        }
        switch version {
        case "6": try convertSix(prefix)
        case "7": try convertSeven(prefix, isFirst: isFirst)
        default: try convertOlder(prefix)
        }
    }

    private mutating func convertOlder(_ prefix: String) throws(PithError) {
        let gate = version == "5.2" ? ["att.time_mix_g"] : []
        for name in ["att.time_mix_k", "att.time_mix_v", "att.time_mix_r", "ffn.time_mix_k", "ffn.time_mix_r"] + gate {
            try addVector(prefix + name)
        }
        // Files of these versions have exp(-exp(x)), in version 4 -exp(x), in the place of x.
        let isFour = version == "4"
        let isByHead = version == "5.1"
        try addVector("\(prefix)att.time_decay", isByHead: isByHead) {
            isFour ? logarithmOfSpeed(-Double($0)) : logarithmOfSpeed(ofDecay: $0)
        }
        switch version {
        case "5.1": try addVector("\(prefix)att.time_first", as: "\(prefix)att.time_faaaa", isByHead: isByHead)
        case "5.2": try addVector("\(prefix)att.time_faaaa")
        default: try addVector("\(prefix)att.time_first")
        }
    }

    private mutating func convertSix(_ prefix: String) throws(PithError) {
        for name in ["x", "w", "k", "v", "r", "g"] { try addVector("\(prefix)att.time_maa_\(name)") }
        for name in ["ffn.time_maa_k", "ffn.time_maa_r", "att.time_decay", "att.time_faaaa"] {
            try addVector(prefix + name)
        }
        for name in ["time_maa_w1", "time_decay_w1", "time_decay_w2"] {
            try copy("\(prefix)att.\(name)", as: "\(prefix)att.\(name).weight")
        }
        let name = "\(prefix)att.time_maa_w2"
        let all = try values(name)
        guard all.shape.count == 3, all.shape[0] == 5 else {
            throw .data("has the shape \(all.shape)", at: "tensor \(name)")
        }
        let size = all.count / 5
        for part in 0..<5 {
            let values = Array(all.values[part * size..<(part + 1) * size])
            let tensor = StoredTensor(Tensor(shape: Array(all.shape[1...]), values: values))
            tensors.append(("\(name).\(part).weight", tensor))
        }
    }

    private mutating func convertSeven(_ prefix: String, isFirst: Bool) throws(PithError) {
        // The first layer has nobody's values to mix its own with, though some checkpoints have weights for it.
        if isFirst { for name in ["v0", "v1", "v2"] { used.insert("\(prefix)att.\(name)") } }
        for name in ["att.k_k", "att.k_a", "att.r_k", "att.w0", "att.a0", "ffn.x_k"] + (isFirst ? [] : ["att.v0"]) {
            try addVector(prefix + name)
        }
        for name in ["w1", "w2", "a1", "a2", "g1", "g2"] + (isFirst ? [] : ["v1", "v2"]) {
            try copy("\(prefix)att.\(name)", as: "\(prefix)att.\(name).weight")
        }
        let name = "\(prefix)att.x_rwkvag"
        let all = try values(name)
        guard all.count == 6 * file.width else { throw .data("has the shape \(all.shape)", at: "tensor \(name)") }
        for (place, letter) in ["r", "w", "k", "v", "a", "g"].enumerated() {
            let part = Array(all.values[place * file.width..<(place + 1) * file.width])
            tensors.append(("\(prefix)att.x_\(letter)", StoredTensor(Tensor(shape: [file.width], values: part))))
        }
    }

    // MARK: Tensors

    private mutating func values(_ name: String) throws(PithError) -> Tensor {
        used.insert(name)
        return try file.values(name)
    }

    /// A tensor with its own extents.
    private mutating func copy(_ name: String, as other: String? = nil) throws(PithError) {
        let entry = try file.entry(name)
        if let element = entry.type.element {
            used.insert(name)
            tensors.append(
                (other ?? name, StoredTensor(type: element, shape: entry.shape, region: entry.region)))
        } else {
            tensors.append((other ?? name, StoredTensor(try values(name))))
        }
    }

    /// A number for each channel; where the file has one for each head, all channels of the head get that.
    private mutating func addVector(
        _ name: String, as other: String? = nil, isByHead: Bool = false, _ change: (Float) -> Float = { $0 }
    ) throws(PithError) {
        let all = try values(name)
        guard all.count == file.width || isByHead && file.width % all.count == 0 else {
            throw .data("has the shape \(all.shape)", at: "tensor \(name)")
        }
        let repeats = file.width / all.count
        let values = all.values.flatMap { [Float](repeating: change($0), count: repeats) }
        tensors.append((other ?? name, StoredTensor(Tensor(shape: [file.width], values: values))))
    }
}

/// x where `speed` is exp(x), within bounds beyond which a state is kept whole or not at all.
private func logarithmOfSpeed(_ speed: Double) -> Float { Float(min(max(naturalLogarithm(speed), -30), 5)) }

/// x where `decay` is exp(-exp(x)).
private func logarithmOfSpeed(ofDecay decay: Float) -> Float { logarithmOfSpeed(-naturalLogarithm(Double(decay))) }
