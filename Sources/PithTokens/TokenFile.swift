import PithCore
import PithFormats

/// Texts that are tokens already, for tokens that no `tokenizer.json` can describe: a safetensors file with the
/// tensors `training` and `heldOut`.
public struct TokenFile: Sendable {
    /// What is learned from.
    public var training: TokenizedText
    /// What is measured on.
    public var heldOut: TokenizedText
    /// One more than the highest token there can be.
    public var vocabularySize: Int
    /// How the tokens were made, for those who want to turn them back.
    public var method: String

    private static let names = ["training", "heldOut"]
    private static let sizeKey = "vocabularySize"
    private static let methodKey = "method"

    /// Tokens, all below `vocabularySize`.
    public init(training: TokenizedText, heldOut: TokenizedText, vocabularySize: Int, method: String) {
        (self.training, self.heldOut) = (training, heldOut)
        (self.vocabularySize, self.method) = (vocabularySize, method)
    }

    /// Reads a file.
    public init(contentsOf path: String) throws(PithError) {
        let file = try SafetensorsFile(path)
        guard let texts = TokenizedText.read(Self.names, from: file) else {
            throw .data(
                "holds no tokens", at: path,
                remedy: "there should be the tensors \(Self.names.joined(separator: ", ")) of int32, "
                    + "and the bytes that they stand for; 'pith tokenize encode' writes such a file")
        }
        guard let size = Int(file.metadata[Self.sizeKey] ?? ""), (1...1 << 24).contains(size) else {
            throw .data("does not say how many tokens there are", at: path, remedy: "'\(Self.sizeKey)' should")
        }
        for text in texts {
            if let wrong = text.tokens.first(where: { !(0..<size).contains(Int($0)) }) {
                throw .data("token \(wrong) is outside the vocabulary of \(size)", at: path)
            }
        }
        self.init(
            training: texts[0], heldOut: texts[1], vocabularySize: size, method: file.metadata[Self.methodKey] ?? "")
    }

    /// Writes the file.
    public func write(to path: String) throws(PithError) {
        try TokenizedText.save(
            Array(zip(Self.names, [training, heldOut])),
            metadata: [Self.sizeKey: "\(vocabularySize)", Self.methodKey: method], to: path)
    }
}
