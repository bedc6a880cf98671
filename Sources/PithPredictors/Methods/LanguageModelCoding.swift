import PithCore

/// Arithmetic coding of tokens under a language model's predictions.
package struct LanguageModelCoding: DataMethod {
    package static let entry = MethodEntry(
        identifier: "lm", paper: Paper("Language Modeling Is Compression", 2023, identifier: "lm-is-compression"),
        summary: "tokens as a language model predicts them, in arithmetic coding",
        options: LanguageModelOptions.schemas)

    private let options: LanguageModelOptions

    package init(_ options: OptionValues) { self.options = LanguageModelOptions(options) }

    package var modelName: String? { options.modelName }

    package func memory(for count: Int, _ context: CodingContext) -> Int { options.memory(for: count) }

    package func encode(_ input: [UInt8], _ context: CodingContext) throws(PithError) -> [UInt8] {
        try options.encode(input, with: ArithmeticChoiceEncoder.self, context)
    }

    package func decode(
        _ payload: CodedPayload, count: Int, into output: inout [UInt8], _ context: CodingContext
    ) throws(PithError) {
        try options.decode(payload, count: count, with: ArithmeticChoiceDecoder.self, into: &output, context)
    }
}
