import PithCore

/// Tokens as their ranks in a language model's ordering, which are then coded.
struct LLMZip: DataMethod {
    static let coder = MethodOption.choice(
        "coder", Coder.huffman,
        "of ranks: Huffman codes as deflate has them, adaptive models; or arithmetic coding without ranks")

    static let entry = MethodEntry(
        identifier: "llmzip",
        paper: Paper("LLMZip: Lossless Text Compression using Large Language Models", 2023, identifier: "llmzip"),
        summary: "the ranks of tokens in a language model's ordering, in Huffman or other codes",
        options: LanguageModelOptions.schemas + [coder])

    enum Coder: String, CaseIterable { case huffman, adaptive, arithmetic }

    private let options: LanguageModelOptions
    private let coder: Coder

    init(_ options: OptionValues) {
        self.options = LanguageModelOptions(options)
        coder = options[Self.coder]
    }

    var modelName: String? { options.modelName }

    func memory(for count: Int, _ context: CodingContext) -> Int { options.memory(for: count) }

    func encode(_ input: [UInt8], _ context: CodingContext) throws(PithError) -> [UInt8] {
        switch coder {
        case .huffman: try options.encode(input, with: HuffmanRankEncoder.self, context)
        case .adaptive: try options.encode(input, with: AdaptiveRankEncoder.self, context)
        case .arithmetic: try options.encode(input, with: ArithmeticChoiceEncoder.self, context)
        }
    }

    func decode(
        _ payload: CodedPayload, count: Int, into output: inout [UInt8], _ context: CodingContext
    ) throws(PithError) {
        switch coder {
        case .huffman:
            try options.decode(payload, count: count, with: HuffmanRankDecoder.self, into: &output, context)
        case .adaptive:
            try options.decode(payload, count: count, with: AdaptiveRankDecoder.self, into: &output, context)
        case .arithmetic:
            try options.decode(payload, count: count, with: ArithmeticChoiceDecoder.self, into: &output, context)
        }
    }
}
