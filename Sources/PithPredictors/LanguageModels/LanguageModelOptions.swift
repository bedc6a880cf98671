import PithCore

/// The options of methods that code under a language model's predictions.
struct LanguageModelOptions: Sendable {
    static let model = MethodOption.text(
        "model", "nano", form: "a built-in model or a folder", "the model that predicts")
    static let window = MethodOption.integer(
        "window", 1024, in: 4...1 << 24, "tokens that the model reads before it begins anew")
    static let overlap = MethodOption.real("overlap", 0.5, in: 0...0.9, "the share of them that it then reads again")
    static let chunks = MethodOption.integer(
        "chunks", 1, in: 1...256, "parts that are coded by themselves; more are opened faster")
    static let symbols = MethodOption.choice(
        "symbols", TokenCoding.Choices.tokens,
        "what is predicted: tokens, or single bytes as for images and sound")

    /// What the methods' entries say of them.
    static let schemas: [any DeclaredOption] = [model, window, overlap, chunks, symbols]

    let modelName: String
    private let window: Int
    private let overlap: Double
    private let chunks: Int
    private let choices: TokenCoding.Choices

    init(_ options: OptionValues) {
        modelName = options[Self.model]
        window = options[Self.window]
        overlap = options[Self.overlap]
        chunks = options[Self.chunks]
        choices = options[Self.symbols]
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
