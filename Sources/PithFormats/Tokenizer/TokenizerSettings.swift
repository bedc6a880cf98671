import PithCore

/// What `tokenizer_config.json` says that concerns the beginning and the length of texts.
public struct TokenizerSettings: Sendable {
    /// The name of the file in a Hugging Face folder.
    public static let fileName = "tokenizer_config.json"

    /// Whether a beginning is put before texts; nil where the file does not say.
    private let addsBeginning: Bool?
    private let beginningToken: String?
    /// Whether the file names a kind of tokenizer that puts a beginning before texts unless it is told otherwise.
    private let isNamedHeedful: Bool
    private static let usualBeginning = "<s>"
    /// How many tokens a text should have at most; nil where the file does not say, or says that there is no limit.
    let maximumLength: Int?

    /// Kinds of tokenizers that heed the file; others have all that they add in `tokenizer.json`.
    private static let heedfulClasses = ["LlamaTokenizer", "CodeLlamaTokenizer", "GemmaTokenizer", "CohereTokenizer"]

    /// Reads the contents of the file.
    init(_ json: JSONValue) throws(PithError) {
        let reader = JSONReader(json)
        let name = try reader.optional("tokenizer_class")?.text()
        let isHeedful = name.map { name in Self.heedfulClasses.contains { name == $0 || name == $0 + "Fast" } } ?? true
        isNamedHeedful = name != nil && isHeedful
        addsBeginning = isHeedful ? try reader.optional("add_bos_token")?.flag() : nil
        // Writers that know no limit write 10³⁰.
        let length = try reader.optional("model_max_length")?.value
        if case .integer(let number)? = length, (1...1 << 24).contains(number) {
            maximumLength = number
        } else {
            maximumLength = nil
        }
        beginningToken = try reader.optional("bos_token").map { (token) throws(PithError) in
            guard let text = Self.text(ofToken: token.value) else { throw token.failure("should be a token's text") }
            return text
        }
    }

    /// The text of a token as files of tokenizers name it: by itself, or in an object.
    static func text(ofToken value: JSONValue) -> String? {
        switch value {
        case .string(let text): text
        case .object(let object): object["content"].flatMap(text)
        default: nil
        }
    }

    /// The settings of a tokenizer that puts `token` before texts.
    public static func json(beginning token: String) -> JSONValue {
        ["add_bos_token": true, "bos_token": .string(token), "eos_token": .string(token)]
    }

    /// What stands before every text; nil where that is left to the post-processor. `isAlone`: there is no post-processor,
    /// so that what the kind of tokenizer does by itself counts.
    func beginning(_ vocabulary: TokenVocabulary, isAlone: Bool) throws(PithError) -> [Int]? {
        guard let addsBeginning = addsBeginning ?? (isAlone && isNamedHeedful ? true : nil) else { return nil }
        guard addsBeginning else { return [] }
        guard let beginningToken = beginningToken ?? (isAlone ? Self.usualBeginning : nil) else { return nil }
        guard let number = vocabulary.token(beginningToken) else {
            throw .data(
                "'\(beginningToken.shortened)' is to stand before texts, but is no token of tokenizer.json",
                at: "key bos_token", remedy: "both files should come from the same model")
        }
        return [Int(number)]
    }
}
