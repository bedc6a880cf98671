import PithCore
import PithFormats

/// RWKV, versions 4 (Peng et al. 2023), 5.1, 5.2 and 6 (Peng et al. 2024) and 7 (Peng et al. 2025).
///
/// Parameters have the names of the authors' checkpoints. Matrices of low rank lie as all matrices do, [outputs,
/// inputs], and are called `.weight` for it; decays are numbers before they go through exp(-exp(x)). `importRWKV` makes
/// such folders.
struct RWKV: Architecture {
    static let modelTypes = ["rwkv"]
    static let classNames = ["RWKV"]
    static let ggufNames: [String] = []

    /// What the versions differ in.
    enum Version: String, CaseIterable {
        case four = "4", fiveOne = "5.1", fiveTwo = "5.2", six = "6", seven = "7"
    }

    let configuration: ModelConfiguration
    private let version: Version
    private let headDimension: Int
    private let groupNormEpsilon: Double
    private let ranks: (mixing: Int, decay: Int, rate: Int, value: Int, gate: Int)

    init(_ keys: JSONReader) throws(PithError) {
        let name = try keys.member("rwkv_version")
        guard let version = Version(rawValue: try name.text()) else {
            throw name.failure(
                "'\(try name.text().shortened)' is not known",
                remedy: "known are \(Version.allCases.map(\.rawValue).joined(separator: ", "))")
        }
        self.version = version
        let sizes = 1...ModelConfiguration.sizeLimit
        configuration = try ModelConfiguration(
            withoutAttention: keys, intermediateSize: try keys.member("intermediate_size").integer(in: sizes),
            normEpsilon: 1e-5, tiesEmbeddings: false)
        let width = configuration.hiddenSize
        headDimension = version == .four ? width : try keys.member("head_size").integer(in: 1...1 << 12)
        guard width % headDimension == 0 else {
            throw .data("is \(headDimension), which does not divide the width \(width)", at: "key head_size")
        }
        let isOld = version == .fiveOne || version == .fiveTwo
        groupNormEpsilon = try keys.optional("group_norm_epsilon")?.real(in: 0...1) ?? (isOld ? 1e-5 : 64e-5)
        func rank(_ key: String, _ versions: Version...) throws(PithError) -> Int {
            versions.contains(version) ? try keys.member(key).integer(in: sizes) : 0
        }
        ranks = (
            try rank("time_mix_extra_dim", .six),
            version == .seven
                ? try rank("decay_low_rank_dim", .seven) : try rank("time_decay_extra_dim", .six),
            try rank("a_low_rank_dim", .seven),
            configuration.layerCount > 1 ? try rank("v_low_rank_dim", .seven) : 0,
            try rank("gate_low_rank_dim", .seven)
        )
    }

    private var copies: Int { version == .seven ? 2 : 1 }

    func describe() -> ModelDescription {
        let c = configuration
        return ModelDescription(layerCount: c.layerCount, layers: "blocks") { list in
            TokenInput(
                table: list.table("emb.weight", gguf: nil, c.vocabularySize, c.hiddenSize),
                norm: norm("blocks.0.ln0", c.normEpsilon, &list), copies: copies)
        } layer: { index, list in
            return layer(index, &list)
        } output: { input, list in
            TokenOutput(
                norm: norm("ln_out", c.normEpsilon, &list),
                matrix: list.head(c, tiedTo: input, name: "head.weight", gguf: nil),
                parts: copies == 1 ? nil : [c.hiddenSize, c.hiddenSize])
        }
    }

    private typealias List = ModelDescription.Parameters

    private func layer(_ index: Int, _ list: inout List) -> RecurrentLayer {
        let width = configuration.hiddenSize
        let timeNorm = norm("ln1", configuration.normEpsilon, &list)
        let timeMix: any TimeMix =
            switch version {
            case .four: averagingMix(&list)
            case .fiveOne, .fiveTwo, .six: matrixMix(&list)
            case .seven: deltaMix(index, &list)
            }
        return RecurrentLayer(
            timeNorm: timeNorm, timeMix: timeMix,
            output: matrix("att.output", width, width, &list, entersStream: true),
            channelNorm: norm("ln2", configuration.normEpsilon, &list), channelMix: channelMix(&list),
            part: copies == 1 ? nil : width)
    }

    private func averagingMix(_ list: inout List) -> AveragingTimeMix {
        let width = configuration.hiddenSize
        let shift = shift(&list)
        let shares = (share("att.time_mix_k", &list), share("att.time_mix_v", &list), share("att.time_mix_r", &list))
        return AveragingTimeMix(
            shift: shift, shares: shares, key: square("key", &list), value: square("value", &list),
            receptance: square("receptance", &list),
            decays: vector("att.time_decay", .constant(-1), &list), bonuses: vector("att.time_first", .zeros, &list),
            state: list.state([3, width]))
    }

    private func matrixMix(_ list: inout List) -> MatrixTimeMix {
        let width = configuration.hiddenSize
        let shift = shift(&list)
        let shares: MatrixTimeMix.Shares
        if version == .six {
            let names = ["w", "k", "v", "r", "g"]
            let share = share("att.time_maa_x", &list)
            let down = matrix("att.time_maa_w1", names.count * ranks.mixing, width, &list)
            let up = names.enumerated().map { place, name in
                Linear(
                    list.matrix("att.time_maa_w2.\(place).weight", gguf: nil, width, ranks.mixing),
                    bias: self.share("att.time_maa_\(name)", &list))
            }
            shares = .learned(share: share, down: down, up: up, rank: ranks.mixing)
        } else {
            shares = .fixed(
                key: share("att.time_mix_k", &list), value: share("att.time_mix_v", &list),
                receptance: share("att.time_mix_r", &list),
                gate: version == .fiveTwo ? share("att.time_mix_g", &list) : nil)
        }
        let (receptance, key, value) = (
            square("receptance", &list), square("key", &list), square("value", &list)
        )
        let gate = version == .fiveOne ? nil : square("gate", &list)
        let decayDown = version == .six ? matrix("att.time_decay_w1", ranks.decay, width, &list) : nil
        let decayUp = version == .six ? list.matrix("att.time_decay_w2.weight", gguf: nil, width, ranks.decay) : nil
        let decay = vector("att.time_decay", .constant(-1), &list)
        return MatrixTimeMix(
            shift: shift, shares: shares, key: key, value: value, receptance: receptance, gate: gate,
            decays: (decayUp == nil ? decay : nil, decayDown, decayUp.map { Linear($0, bias: decay) }),
            heads: heads(bonus: "att.time_faaaa", &list))
    }

    private func deltaMix(_ index: Int, _ list: inout List) -> DeltaTimeMix {
        let width = configuration.hiddenSize
        let shift = shift(&list)
        func lowRank(_ name: String, _ rank: Int, bias: ParameterSpec.Initial?) -> DeltaTimeMix.LowRank {
            let down = matrix("att.\(name)1", rank, width, &list)
            let up = list.matrix("att.\(name)2.weight", gguf: nil, width, rank)
            return .init(down: down, up: Linear(up, bias: bias.map { vector("att.\(name)0", $0, &list) }))
        }
        let shares = (
            share("att.x_r", &list), share("att.x_w", &list), share("att.x_k", &list), share("att.x_v", &list),
            share("att.x_a", &list), share("att.x_g", &list)
        )
        let (receptance, key, value) = (
            square("receptance", &list), square("key", &list), square("value", &list)
        )
        let (decay, rate) = (
            lowRank("w", ranks.decay, bias: .constant(-1)), lowRank("a", ranks.rate, bias: .zeros)
        )
        return DeltaTimeMix(
            shift: shift, shares: shares, receptance: receptance, key: key, value: value, decay: decay, rate: rate,
            gate: lowRank("g", ranks.gate, bias: nil),
            mixing: index == 0 ? nil : lowRank("v", ranks.value, bias: .ones),
            removal: vector("att.k_k", .constant(0.85), &list), replacement: vector("att.k_a", .ones, &list),
            heads: heads(bonus: "att.r_k", &list))
    }

    private func channelMix(_ list: inout List) -> ChannelMix {
        let (width, units) = (configuration.hiddenSize, configuration.intermediateSize)
        let prefix = version == .seven ? "ffn.x" : version == .six ? "ffn.time_maa" : "ffn.time_mix"
        let shift = shift(&list)
        let keyShare = share("\(prefix)_k", &list)
        let receptanceShare = version == .seven ? nil : share("\(prefix)_r", &list)
        return ChannelMix(
            shift: shift, shares: (keyShare, receptanceShare), key: matrix("ffn.key", units, width, &list),
            value: matrix("ffn.value", width, units, &list, entersStream: true),
            receptance: version == .seven ? nil : matrix("ffn.receptance", width, width, &list))
    }

    // MARK: Parameters

    private func shift(_ list: inout List) -> TokenShift {
        TokenShift(
            state: list.state([configuration.hiddenSize]), isOwn: ![.six, .seven].contains(version))
    }

    private func heads(bonus: String, _ list: inout List) -> MatrixHeads {
        let count = configuration.hiddenSize / headDimension
        return MatrixHeads(
            count: count, bonus: vector(bonus, .zeros, &list), norm: norm("att.ln_x", groupNormEpsilon, &list),
            state: list.state([count, headDimension, headDimension]))
    }

    private func norm(_ name: String, _ epsilon: Double, _ list: inout List) -> Norm {
        list.layerNorm(name, gguf: nil, configuration.hiddenSize, epsilon: epsilon)
    }

    private func vector(_ name: String, _ initial: ParameterSpec.Initial, _ list: inout List) -> ParameterID {
        list.elements(name, gguf: nil, [configuration.hiddenSize], initial: initial)
    }

    private func share(_ name: String, _ list: inout List) -> ParameterID { vector(name, .constant(0.5), &list) }

    private func matrix(
        _ name: String, _ outputs: Int, _ inputs: Int, _ list: inout List, entersStream: Bool = false
    ) -> Linear {
        list.linear(name, gguf: nil, outputs, inputs, hasBias: false, entersStream: entersStream)
    }

    private func square(_ name: String, _ list: inout List) -> Linear {
        matrix("att.\(name)", configuration.hiddenSize, configuration.hiddenSize, &list)
    }
}
