import PithCore

/// What `generation_config.json` says of the ends of texts. How tokens are chosen is the caller's to say, not a file's.
public struct GenerationSettings: Equatable, Sendable {
    /// The name of the file in a Hugging Face folder.
    public static let fileName = "generation_config.json"

    /// Tokens that end a text, besides those of `config.json`.
    public var endTokens: [Int]

    /// Given ends.
    public init(endTokens: [Int]) { self.endTokens = endTokens }

    /// Reads `generation_config.json` in `folder`, if it is there, for a vocabulary of so many tokens.
    public init(folder: String, vocabularySize: Int) throws(PithError) {
        let path = joinPath(folder, Self.fileName)
        guard Files.exists(path) else {
            self.init(endTokens: [])
            return
        }
        let document = try JSONValue(contentsOf: path)
        do { try self.init(json: document, vocabularySize: vocabularySize) } catch { throw error.within(path) }
    }

    /// Reads the contents of the file.
    public init(json: JSONValue, vocabularySize: Int) throws(PithError) {
        self.init(endTokens: try JSONReader(json).optional("eos_token_id")?.tokens(below: vocabularySize) ?? [])
    }
}

extension JSONReader {
    /// A token's number or several, each below `count`.
    func tokens(below count: Int = Int.max) throws(PithError) -> [Int] {
        let range = 0...max(0, count - 1)
        guard case .array = value else { return [try integer(in: range)] }
        var tokens: [Int] = []
        for token in try array() { tokens.append(try token.integer(in: range)) }
        return tokens
    }
}
