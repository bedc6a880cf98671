import PithCore

/// What cuts words into tokens.
enum SubwordModel: Sendable {
    case bytePairs(BytePairModel)
    case longestMatch(LongestMatchModel)
    case wordPieces(WordPieceModel)
    case scored(ScoredPieceModel)

    /// Reads the `model` of a tokenizer file; old files leave the type out.
    init(_ reader: JSONReader, vocabulary: TokenVocabulary, isByteLevel: Bool) throws(PithError) {
        let type = try reader.optional("type")
        switch try type?.text() {
        case nil, "BPE":
            self = .bytePairs(try BytePairModel(reader, vocabulary: vocabulary, isByteLevel: isByteLevel))
        case LongestMatchModel.type:
            self = .longestMatch(try LongestMatchModel(reader, vocabulary: vocabulary, isByteLevel: isByteLevel))
        case WordPieceModel.type:
            self = .wordPieces(try WordPieceModel(reader, vocabulary: vocabulary, isByteLevel: isByteLevel))
        case let name:
            throw (type ?? reader).failure(
                "the model '\((name ?? "").shortened)' is not supported",
                remedy: "BPE, \(WordPieceModel.type) and \(LongestMatchModel.type) are")
        }
    }

    /// Appends the tokens of a word in UTF-8; `symbols` is scratch.
    func encode(_ word: ArraySlice<UInt8>, into tokens: inout [Int], symbols: inout [UInt32]) {
        switch self {
        case .bytePairs(let model): model.encode(word, into: &tokens, symbols: &symbols)
        case .longestMatch(let model): model.encode(word, into: &tokens)
        case .wordPieces(let model): model.encode(word, into: &tokens)
        case .scored(let model): model.encode(word, into: &tokens)
        }
    }

    /// Where in a word the bytes of each of its tokens begin; what lies before the first has no token.
    func starts(of tokens: ArraySlice<Int>, in word: ArraySlice<UInt8>) -> [Int] {
        switch self {
        case .bytePairs(let model): model.starts(of: tokens, in: word)
        case .longestMatch(let model): model.starts(of: tokens)
        case .wordPieces(let model): model.starts(of: tokens)
        case .scored(let model): model.starts(of: tokens)
        }
    }
}
