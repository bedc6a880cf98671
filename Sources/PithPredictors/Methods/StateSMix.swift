import PithCoding
import PithCore

/// A state-space model that learns the stream it codes, mixed with counted n-grams.
struct StateSMix: DataMethod {
    static let width = MethodOption.integer("width", 32, in: 16...128, "width of the model, a multiple of 16")
    static let layers = MethodOption.integer("layers", 2, in: 0...6, "layers of the model; 0 leaves the n-grams alone")
    static let learningRate = MethodOption.real(
        "learningRate", 0.004, in: 0.0001...0.05, "size of the model's first steps")
    static let ngrams = MethodOption.flag("ngrams", true, "whether counted n-grams take part")
    static let seed = MethodOption.integer("seed", 1, in: 0...1_000_000, "of the model's first weights")

    static let entry = MethodEntry(
        identifier: "statesmix",
        paper: Paper(
            "StateSMix: Online Lossless Compression via Mamba State Space Models and Sparse N-gram Context Mixing",
            2026, identifier: "statesmix"),
        summary: "a small state-space model that learns the bytes as it codes them, with biases of counted n-grams",
        options: [width, layers, learningRate, ngrams, seed])

    private let configuration: StateSpacePredictor.Configuration?
    private let grams: Bool

    init(_ options: OptionValues) throws(PithError) {
        let (width, layers) = (options[Self.width], options[Self.layers])
        grams = options[Self.ngrams]
        guard width % 16 == 0 else {
            throw .usage("a width of \(width)", at: "method statesmix", remedy: "a multiple of 16")
        }
        guard layers > 0 || grams else {
            throw .usage("without layers and n-grams nothing predicts", at: "method statesmix")
        }
        configuration =
            layers == 0
            ? nil
            : StateSpacePredictor.Configuration(
                shape: StateSpaceShape(width: width, layers: layers),
                learningRate: Float(options[Self.learningRate]), seed: UInt64(options[Self.seed]))
    }

    func memory(for count: Int, _ context: CodingContext) -> Int {
        let network = configuration.map { 16 * $0.shape.parameterCount + $0.memoryOfBlocks } ?? 0
        return network + (grams ? ContextCounts.memory(for: count, kinds: 6) : 0)
    }

    func encode(_ input: [UInt8], _ context: CodingContext) throws(PithError) -> [UInt8] {
        var encoder = RangeEncoder()
        var model = StateSpaceMixture(network: configuration, grams: grams)
        for (offset, byte) in input.enumerated() {
            let table = try model.predict()
            table.encode(Int(byte), to: &encoder)
            if let trace = context.trace {
                let share = UInt64(table.share(of: Int(byte)).frequency)
                trace.add(bits: FixedPoint.idealBits(of: share, totalBits: Int(table.totalBits)), at: offset)
            }
            model.update(byte)
            if offset & 1023 == 1023 { context.advance(1024) }
        }
        context.advance(input.count & 1023)
        return encoder.finish()
    }

    func decode(
        _ payload: CodedPayload, count: Int, into output: inout [UInt8], _ context: CodingContext
    ) throws(PithError) {
        var decoder = try RangeDecoder(payload.region, isCut: payload.isCut)
        var model = StateSpaceMixture(network: configuration, grams: grams)
        for offset in 0..<count {
            let byte = UInt8(truncatingIfNeeded: try model.predict().decode(from: &decoder))
            output.append(byte)
            model.update(byte)
            if offset & 1023 == 1023 { context.advance(1024) }
        }
        context.advance(count & 1023)
    }
}
