import PithCore
import PithFormats

/// The experts of a layer: how many, how wide, and what files call them.
struct Experts {
    /// The names of one family's folders; GGUF files call them alike.
    struct Names {
        let router: String
        /// In front of the number of an expert.
        let expert: String
        let gate: String
        let up: String
        let down: String

        /// Mixtral's.
        static let mixtral = Names(
            router: "block_sparse_moe.gate", expert: "block_sparse_moe.experts", gate: "w1", up: "w3", down: "w2")
        /// Qwen's.
        static let qwen = Names(
            router: "mlp.gate", expert: "mlp.experts", gate: "gate_proj", up: "up_proj", down: "down_proj")
    }

    let names: Names
    let routing: RoutingOptions
    /// Hidden units of each expert.
    let intermediateSize: Int
    /// Hidden units of the expert that all rows go to; nil where there is none.
    var sharedSize: Int?

    /// No model has more experts in all its layers.
    private static let limit = 1 << 16

    /// Reads the sizes; `isNormalized` stands for a missing `norm_topk_prob`.
    init(
        _ keys: JSONReader, _ names: Names, layerCount: Int, intermediateSize: Int, isNormalized: Bool
    ) throws(PithError) {
        let key = try keys.optional("num_experts") == nil ? "num_local_experts" : "num_experts"
        let count = try keys.member(key).integer(in: 1...Self.limit / layerCount)
        let active = try keys.member("num_experts_per_tok").integer(in: 1...count)
        let flag = try keys.optional("norm_topk_prob")?.flag()
        (self.names, self.intermediateSize) = (names, intermediateSize)
        routing = RoutingOptions(expertCount: count, activeCount: active, isNormalized: flag ?? isNormalized)
    }

    func describe(
        hiddenSize: Int, _ activation: Activation, _ list: inout ModelDescription.Parameters
    ) -> MixtureFeedForward {
        let router = Linear(
            list.router("\(names.router).weight", gguf: "ffn_gate_inp.weight", routing.expertCount, hiddenSize))
        func expert(_ folder: String, _ kind: String, slice: Int?, _ units: Int) -> GatedFeedForward {
            func matrix(_ name: String, _ gguf: String, _ outputs: Int, _ inputs: Int, entersStream: Bool) -> Linear {
                Linear(
                    list.matrix(
                        "\(folder).\(name).weight", gguf: "\(gguf)_\(kind).weight", outputs, inputs,
                        entersStream: entersStream, ggufSlice: slice))
            }
            return GatedFeedForward(
                input: .separate(
                    gate: matrix(names.gate, "ffn_gate", units, hiddenSize, entersStream: false),
                    up: matrix(names.up, "ffn_up", units, hiddenSize, entersStream: false)),
                down: matrix(names.down, "ffn_down", hiddenSize, units, entersStream: true), activation: activation)
        }
        let experts = (0..<routing.expertCount).map {
            expert("\(names.expert).\($0)", "exps", slice: $0, intermediateSize)
        }
        let shared = sharedSize.map { size in
            MixtureFeedForward.Shared(
                expert: expert("mlp.shared_expert", "shexp", slice: nil, size),
                gate: Linear(
                    list.router("mlp.shared_expert_gate.weight", gguf: "ffn_gate_inp_shexp.weight", 1, hiddenSize)))
        }
        return MixtureFeedForward(router: router, experts: experts, options: routing, shared: shared)
    }
}

/// The experts of a Qwen, in each `decoder_sparse_step`-th layer that is not among `mlp_only_layers`.
struct SparseExperts {
    private let options: Experts
    private let step: Int
    private let dense: Set<Int>

    /// Reads where they are and how many; the sizes are those of an expert and of the shared one, nil for none.
    init(_ keys: JSONReader, layerCount: Int, intermediateSize: Int, sharedSize: Int? = nil) throws(PithError) {
        var experts = try Experts(
            keys, .qwen, layerCount: layerCount, intermediateSize: intermediateSize, isNormalized: false)
        experts.sharedSize = sharedSize
        options = experts
        step = try keys.optional("decoder_sparse_step")?.integer(in: 1...1 << 20) ?? 1
        var layers: Set<Int> = []
        for layer in try keys.optional("mlp_only_layers")?.array() ?? [] {
            layers.insert(try layer.integer(in: 0...1 << 20))
        }
        dense = layers
    }

    /// Those of a layer; nil where it has one feed-forward part for all rows.
    func experts(ofLayer layer: Int) -> Experts? {
        !dense.contains(layer) && (layer + 1) % step == 0 ? options : nil
    }
}
