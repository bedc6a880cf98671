import PithCore
import PithFormats

/// What several families read in the same way.
extension JSONReader {
    /// Refuses another text than `expected`; a missing key is taken for it.
    func require(_ key: String, _ expected: String...) throws(PithError) {
        guard let value = try optional(key), !expected.contains(try value.text()) else { return }
        throw value.failure(
            "'\(try value.text().shortened)' is not supported", remedy: "\(expected.joined(separator: ", ")) is")
    }

    /// Refuses other gates than the approximated GELU, which is called by either key.
    func requireGELU() throws(PithError) {
        try require("hidden_activation", "gelu_pytorch_tanh")
        // Older files say `gelu` and mean it.
        if try optional("hidden_activation") == nil { try require("hidden_act", "gelu_pytorch_tanh", "gelu") }
    }

    /// Refuses a flag that is set.
    func refuseFlag(_ key: String) throws(PithError) {
        guard let value = try optional(key), try value.flag() else { return }
        throw value.failure("is not supported for this family", remedy: "false is")
    }

    /// The function that a key names, by the names that `transformers` has.
    func activation(_ key: String, default missing: Activation) throws(PithError) -> Activation {
        guard let value = try optional(key) else { return missing }
        switch try value.text() {
        case "silu", "swish": return .silu
        case "gelu": return .gelu
        case "gelu_new", "gelu_pytorch_tanh", "gelu_fast": return .geluTanh
        case "relu": return .relu
        case "sigmoid": return .sigmoid
        case let name:
            throw value.failure(
                "'\(name.shortened)' is not supported",
                remedy: "silu, gelu, gelu_new, gelu_pytorch_tanh, gelu_fast, relu and sigmoid are")
        }
    }

    /// How many elements of each head are turned: the share that a key names, of any generation of files.
    func rotatedSize(headDimension: Int, default missing: Double) throws(PithError) -> Int {
        var share = missing
        for keys in [self, try optional("rope_scaling"), try optional("rope_parameters")] {
            if let part = try keys?.optional("partial_rotary_factor", "rotary_pct") { share = try part.real(in: 0...1) }
        }
        let size = Int(Double(headDimension) * share)
        guard size >= 2, size % 2 == 0 else {
            throw failure("\(share) of a head of \(headDimension) elements cannot be turned")
        }
        return size
    }

    /// A width; nil where it is missing or null.
    func size(_ key: String) throws(PithError) -> Int? {
        try optional(key)?.integer(in: 1...ModelConfiguration.sizeLimit)
    }

    /// Refuses rotation of a part of each head.
    func refusePartialRotation() throws(PithError) {
        for keys in [self, try optional("rope_scaling"), try optional("rope_parameters")] {
            if let part = try keys?.optional("partial_rotary_factor"), try part.real() != 1 {
                throw part.failure("rotation of a part of each head is not supported", remedy: "1 is")
            }
        }
    }

    /// A number of positions or the like; nil where it is missing or null.
    func positive(_ key: String) throws(PithError) -> Int? {
        try optional(key)?.integer(in: 1...Int.max)
    }

    /// A cap: null is none, a missing key the family's own.
    func softcap(_ key: String, default missing: Float?) throws(PithError) -> Float? {
        guard try object()[key] != nil else { return missing }
        return try optional(key).map { (cap) throws(PithError) in Float(try cap.real(in: 1e-3...1e6)) }
    }
}

/// The windows of a model some of whose layers see all positions.
struct LayerWindows: Sendable {
    private let windows: [Int?]

    private init(windows: [Int?]) { self.windows = windows }

    /// The window of a layer; nil where it sees all positions.
    func window(_ layer: Int) -> Int? { windows[layer] }

    /// `layer_types` says which layers have the window `sliding_window`; where it is missing, `isLocal` does.
    init(
        _ keys: JSONReader, _ configuration: ModelConfiguration, default missing: Int?, isLocal: (Int) -> Bool
    ) throws(PithError) {
        let isLeftOut = try keys.object()["sliding_window"] == nil
        let window = isLeftOut ? missing : try keys.positive("sliding_window")
        guard let types = try keys.optional("layer_types") else {
            windows = (0..<configuration.layerCount).map { isLocal($0) ? window : nil }
            return
        }
        var list: [Int?] = []
        for type in try types.array() {
            switch try type.text() {
            case "full_attention": list.append(nil)
            case "sliding_attention":
                guard let window else { throw type.failure("there is no sliding_window") }
                list.append(window)
            case let name: throw type.failure("'\(name.shortened)' is not supported")
            }
        }
        guard list.count == configuration.layerCount else {
            throw types.failure("has \(list.count) entries", remedy: "the model has \(configuration.layerCount) layers")
        }
        windows = list
    }

    /// Qwen's: a window only where `use_sliding_window` is set, in the layers that `isLocal` names unless the
    /// configuration does.
    init(used keys: JSONReader, _ configuration: ModelConfiguration, isLocal: (Int) -> Bool) throws(PithError) {
        guard try keys.optional("use_sliding_window")?.flag() ?? false else {
            self.init(windows: Array(repeating: nil, count: configuration.layerCount))
            return
        }
        try self.init(keys, configuration, default: 4096, isLocal: isLocal)
    }

    /// That of the dense ones: from layer `max_window_layers` on.
    init(qwen keys: JSONReader, _ configuration: ModelConfiguration) throws(PithError) {
        let first = try keys.optional("max_window_layers")?.integer(in: 0...Int.max) ?? 28
        try self.init(used: keys, configuration) { $0 >= first }
    }
}
