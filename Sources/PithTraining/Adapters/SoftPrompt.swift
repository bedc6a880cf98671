import PithCore
import PithModels

/// Vectors that are read in front of each text, as if they were those of tokens.
struct SoftPrompt: AdapterMethod {
    static let count = MethodOption.integer("count", 16, in: 1...4096, "vectors")

    static let entry = MethodEntry(
        identifier: "soft",
        paper: Paper("The Power of Scale for Parameter-Efficient Prompt Tuning", 2021, identifier: "2104.08691"),
        summary: "vectors that learn, in front of each text", options: [count])

    private let count: Int

    init(_ options: OptionValues) throws(PithError) { count = options[Self.count] }

    func parts(of description: ModelDescription) throws(PithError) -> AdapterParts {
        AdapterParts(parts: [.prompt(count: count)])
    }
}
