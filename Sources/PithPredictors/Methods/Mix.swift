import PithCore

/// Many models of what comes next, mixed bit by bit: slow and strong.
struct Mix: DataMethod {
    static let effort = MethodOption.choice("effort", MixSettings.Effort.default, "how many models")
    static let content = MethodOption.choice(
        "content", MixSettings.Content?.none, of: [nil] + MixSettings.Content.allCases, { $0?.name ?? "auto" },
        "what the bytes are; auto looks at them")
    static let width = MethodOption.integer(
        "width", 0, in: 0...MixSettings.largestWidth,
        "bytes in a record, a row of a picture or a frame of sound")
    static let model = MethodOption.text(
        "model", "none", form: "none, a built-in model or a folder",
        "a language model whose predictions are mixed in: stronger on text, and much slower")
    static let primer = MethodOption.integer(
        "primer", 0, in: 0...1, "the built-in text that is learnt before other text is; 0 for none")
    static let network = MethodOption.integer(
        "network", 0, in: 0...ByteNetworkShape.builtIn.count,
        "the built-in first weights of a network that learns the bytes, the larger 2 or 1; 0 for no network")

    static let entry = MethodEntry(
        identifier: "mix",
        paper: Paper("Adaptive Weighing of Context Models for Lossless Data Compression", 2005),
        summary: "many context models mixed bit by bit: slow and strong",
        options: [effort, content, width, model, primer, network])

    private let effort: MixSettings.Effort
    private let content: MixSettings.Content?
    private let width: Int
    let modelName: String?
    private let primer: Int
    private let network: Int

    init(_ options: OptionValues) throws(PithError) {
        effort = options[Self.effort]
        content = options[Self.content]
        width = options[Self.width]
        modelName = options[Self.model] == "none" ? nil : options[Self.model]
        primer = options[Self.primer]
        network = options[Self.network]
        if let content, width == 0, [.image1, .image8, .image24].contains(content) {
            throw .usage("the width of \(content.name) is missing", remedy: "width=BYTES in a row")
        }
    }

    // The largest of all kinds of content is taken where it is not known, and nothing without a primer at hand.
    private func learntCount(for count: Int, _ context: CodingContext) -> Int {
        let settings = MixSettings(effort: effort, content: content ?? .text, width: width)
        return MixCoder.learntCount((try? primerText(context).count) ?? 0, settings, count: count)
    }

    var costPerByte: Int { effort == .best ? 50_000 : 16_000 }

    func workCount(for count: Int, _ context: CodingContext) -> Int { count + learntCount(for: count, context) }

    func memory(for count: Int, _ context: CodingContext) -> Int {
        let settings = MixSettings(effort: effort, content: content ?? .text, width: width)
        let size = MixSize(settings, count: count + learntCount(for: count, context))
        let model = modelName == nil ? 0 : size.flagMemory
        let shape = hasNetwork(for: count) ? ByteNetworkShape.builtIn[network] : nil
        return size.memory + model + (shape.map { ByteNetworkPredictor.memory($0) } ?? 0)
    }

    /// That of the language model, of the primer and of the network's first weights.
    func fingerprint(for count: Int, _ context: CodingContext) throws(PithError) -> UInt64? {
        let primer = try primerText(context)
        let parts = [
            try modelFingerprint(context), primer.isEmpty ? nil : XXHash64.hash(primer),
            try networkWeights(for: count, context)?.fingerprint,
        ].compactMap { $0 }
        return parts.isEmpty ? nil : parts.reduce(0, ^)
    }

    private func hasNetwork(for count: Int) -> Bool { network > 0 && count >= ByteNetworkPredictor.shortestInput }

    private func networkWeights(for count: Int, _ context: CodingContext) throws(PithError) -> ByteNetworkWeights? {
        hasNetwork(for: count) ? try ByteNetworkWeights(context.models.networkWeights(network)) : nil
    }

    private func primerText(_ context: CodingContext) throws(PithError) -> [UInt8] {
        primer == 0 ? [] : try context.models.primer(primer)
    }

    func encode(_ input: [UInt8], _ context: CodingContext) throws(PithError) -> [UInt8] {
        let (settings, primer) = (settings(for: input), try primerText(context))
        let network = try networkWeights(for: input.count, context)
        guard let modelName else {
            return try MixCoder.encode(input, settings, NoPredictor(), network: network, primer: primer, context)
        }
        let coding = try context.models.open(modelName, pool: context.pool)
        return try MixCoder.encode(
            input, settings, try LanguageModelPredictor(encoding: input, with: coding), network: network,
            primer: primer, context)
    }

    func decode(
        _ payload: CodedPayload, count: Int, into output: inout [UInt8], _ context: CodingContext
    ) throws(PithError) {
        let primer = try primerText(context)
        let network = try networkWeights(for: count, context)
        guard let modelName else {
            return try MixCoder.decode(
                payload, count: count, into: &output, NoPredictor(), network: network, primer: primer, context)
        }
        let coding = try context.models.open(modelName, pool: context.pool)
        try MixCoder.decode(
            payload, count: count, into: &output, try LanguageModelPredictor(decodingWith: coding), network: network,
            primer: primer, context)
    }

    private func settings(for input: [UInt8]) -> MixSettings {
        guard let content else { return ContentDetection.settings(for: input, effort: effort) }
        return MixSettings(effort: effort, content: content, width: width)
    }
}
