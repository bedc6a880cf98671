import PithCore
import PithFormats

extension ModelSource {
    /// How the model wants conversations to be written; nil for a model that was not made for them.
    public func chatTemplate() throws(PithError) -> ChatTemplate? {
        switch weights {
        case .archive: try ChatTemplate.open(folder: path)
        case .gguf(let file): try ChatTemplate.open(gguf: file.metadata, tokenizer)
        }
    }

    /// The tokens that end a message: those that end a text, the one that the tokenizer names as its end, and those of
    /// the vocabulary that are known to stand behind a message.
    public func chatEndTokens(_ template: ChatTemplate) -> [Int] {
        var ends = Set(endTokens)
        if case .string(let text)? = template.specialTokens["eos_token"], let end = tokenizer.identifier(of: text) {
            ends.insert(end)
        }
        for text in GGUFTokenizerSettings.endTexts {
            if let end = tokenizer.identifier(of: text), tokenizer.isSpecial(end) { ends.insert(end) }
        }
        return ends.sorted()
    }
}
