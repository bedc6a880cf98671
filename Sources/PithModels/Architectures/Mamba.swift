import CPithKernels
import PithCore
import PithFormats

/// Mamba (Gu and Dao 2023): selective state spaces in the place of attention and feed-forward parts.
struct Mamba: Architecture {
    static let modelTypes = ["mamba"]
    static let classNames = ["MambaForCausalLM"]
    static let ggufNames = ["mamba"]

    let configuration: ModelConfiguration
    private let stateSize: Int
    private let rank: Int
    private let convolutionLength: Int
    private let hasBias: Bool
    private let hasConvolutionBias: Bool

    init(_ keys: JSONReader) throws(PithError) {
        let sizes = 1...ModelConfiguration.sizeLimit
        let width = try keys.member("hidden_size", or: "d_model").integer(in: sizes)
        let expansion = try keys.optional("expand")?.integer(in: 1...1 << 12) ?? 2
        let inner = try keys.optional("intermediate_size")?.integer(in: sizes) ?? expansion * width
        configuration = try ModelConfiguration(
            withoutAttention: keys, intermediateSize: inner, normEpsilon: 1e-5, tiesEmbeddings: true, endToken: 0)
        try keys.require("hidden_act", "silu")
        stateSize = try keys.optional("state_size")?.integer(in: 1...Int(PITH_SCAN_LIMIT)) ?? 16
        convolutionLength = try keys.optional("conv_kernel")?.integer(in: 2...256) ?? 4
        let automatic = (width + 15) / 16
        if let key = try keys.optional("time_step_rank"), key.value != .string("auto") {
            rank = try key.integer(in: sizes)
        } else {
            rank = automatic
        }
        hasBias = try keys.optional("use_bias")?.flag() ?? false
        hasConvolutionBias = try keys.optional("use_conv_bias")?.flag() ?? true
    }

    static func complete(_ keys: inout JSONObject, from file: GGUFFile) {
        keys["layer_norm_epsilon"] = keys["rms_norm_eps"]
        for (key, name) in [
            ("conv_kernel", "conv_kernel"), ("inner_size", "intermediate_size"), ("state_size", "state_size"),
            ("time_step_rank", "time_step_rank"),
        ] { keys[name] = file[hyperparameter: "ssm.\(key)"]?.integer.map { .integer($0) } }
        keys["use_bias"] = .bool(file[tensor: "blk.0.ssm_in.bias"] != nil)
        keys["use_conv_bias"] = .bool(file[tensor: "blk.0.ssm_conv1d.bias"] != nil)
    }

    func describe() -> ModelDescription {
        let c = configuration
        return ModelDescription(layerCount: c.layerCount, layers: "backbone.layers") { list in
            TokenInput(
                table: list.table(
                    "backbone.embeddings.weight", gguf: "token_embd.weight", c.vocabularySize, c.hiddenSize))
        } layer: { index, list in
            return layer(&list)
        } output: { input, list in
            TokenOutput(
                norm: .rms(
                    list.normWeight("backbone.norm_f.weight", gguf: "output_norm.weight", c.hiddenSize),
                    epsilon: c.normEpsilon),
                matrix: list.head(c, tiedTo: input))
        }
    }

    private func layer(_ list: inout ModelDescription.Parameters) -> SelectiveStateSpace {
        let (hidden, inner) = (configuration.hiddenSize, configuration.intermediateSize)
        func linear(
            _ name: String, _ gguf: String, _ outputs: Int, _ inputs: Int, _ hasBias: Bool, entersStream: Bool = false
        ) -> Linear {
            list.linear("mixer.\(name)", gguf: gguf, outputs, inputs, hasBias: hasBias, entersStream: entersStream)
        }
        // In the order in which they are used.
        let norm = Norm.rms(
            list.normWeight("norm.weight", gguf: "attn_norm.weight", hidden), epsilon: configuration.normEpsilon)
        let input = linear("in_proj", "ssm_in", 2 * inner, hidden, hasBias)
        let convolution = list.elements(
            "mixer.conv1d.weight", gguf: "ssm_conv1d.weight", [inner, 1, convolutionLength],
            initial: .constant(1 / Float(convolutionLength)))
        let convolutionBias =
            hasConvolutionBias ? list.bias("mixer.conv1d.bias", gguf: "ssm_conv1d.bias", inner) : nil
        let selection = linear("x_proj", "ssm_x", rank + 2 * stateSize, inner, false)
        // Steps of about 0.01 at first.
        let steps = Linear(
            list.matrix("mixer.dt_proj.weight", gguf: "ssm_dt.weight", inner, rank),
            bias: list.elements("mixer.dt_proj.bias", gguf: "ssm_dt.bias", [inner], initial: .constant(-4.6)))
        let rates = list.elements(
            "mixer.A_log", gguf: "ssm_a", [inner, stateSize], initial: .logarithms,
            ggufArrangement: .negativeExponential)
        let skips = list.elements("mixer.D", gguf: "ssm_d", [inner], initial: .ones)
        return SelectiveStateSpace(
            norm: norm, input: input, convolution: convolution, convolutionBias: convolutionBias,
            selection: selection, steps: steps, rates: rates, skips: skips,
            output: linear("out_proj", "ssm_out", hidden, inner, hasBias, entersStream: true),
            widths: (inner, stateSize, rank), window: list.state([convolutionLength - 1, inner]),
            state: list.state([inner, stateSize]))
    }
}
