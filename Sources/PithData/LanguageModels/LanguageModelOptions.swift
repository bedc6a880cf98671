import PithCore

/// The options of methods that code under a language model's predictions.
struct LanguageModelOptions: Sendable {
    /// What the methods' entries say of them.
    static let schemas: [OptionSchema] = [
        .text("model", "nano", form: "a built-in model or a folder", "the model that predicts"),
        .integer("window", 1024, in: 4...1 << 24, "tokens that the model reads before it begins anew"),
        .real("overlap", 0.5, in: 0...0.9, "the share of them that it then reads again"),
        .integer("chunks", 1, in: 1...256, "parts that are coded by themselves; more are opened faster"),
        .choice(
            "symbols", "tokens", of: TokenCoding.Choices.allCases.map(\.rawValue),
            "what is predicted: tokens, or single bytes as for images and sound"),
    ]

    let modelName: String
    private let window: Int
    private let overlap: Double
    private let chunks: Int
    private let choices: TokenCoding.Choices

    init(_ options: OptionValues) {
        modelName = options.text("model")
        window = options.integer("window")
        overlap = options.real("overlap")
        chunks = options.integer("chunks")
        choices = TokenCoding.Choices(rawValue: options.text("symbols")) ?? .tokens
    }

    /// About how many bytes are needed beside the model.
    func memory(for count: Int) -> Int { 2 * count + chunks << 22 + 64 << 20 }

    private func coding(_ context: CodingContext) throws(PithError) -> TokenCoding {
        let opened = try context.models.open(modelName, pool: context.pool)
        return TokenCoding(
            model: opened.model, alphabet: TokenAlphabet(opened),
            window: try ContextWindow(length: window, overlap: overlap, of: opened.model), choices: choices)
    }

    /// Codes `input` in chunks.
    func encode<Encoder: ChoiceEncoder>(
        _ input: [UInt8], with type: Encoder.Type, _ context: CodingContext
    ) throws(PithError) -> [UInt8] {
        guard !input.isEmpty else { return [] }
        let coding = try coding(context)
        var streams: [[UInt8]] = []
        for range in ChunkedStreams.ranges(of: input.count, chunks) {
            streams.append(try coding.encode(input[range], to: Encoder(), context))
        }
        return ChunkedStreams.joined(streams)
    }

    /// Appends the `count` bytes that `encode` coded.
    func decode<Decoder: ChoiceDecoder>(
        _ payload: CodedPayload, count: Int, with type: Decoder.Type, into output: inout [UInt8],
        _ context: CodingContext
    ) throws(PithError) {
        guard count > 0 else {
            guard payload.region.count == 0 else { throw .invalidStream("bytes are left behind the last") }
            return
        }
        let coding = try coding(context)
        let counts = ChunkedStreams.ranges(of: count, chunks).map(\.count)
        try coding.decode(
            try ChunkedStreams.split(payload, into: counts.count), counts: counts, with: type, into: &output, context)
    }
}
