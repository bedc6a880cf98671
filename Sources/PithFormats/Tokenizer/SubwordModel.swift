import PithCore

/// What cuts words into tokens.
enum SubwordModel: Sendable {
    case bytePairs(BytePairModel)
    case longestMatch(LongestMatchModel)
    case wordPieces(WordPieceModel)
    case words(WordLevelModel)
    case unigram(UnigramModel)
    case scored(ScoredPieceModel)

    /// Whether it does nothing but join characters to tokens, so that `WordSeams` cut nothing that belongs together.
    var joinsCharacters: Bool {
        switch self {
        case .bytePairs(let model): model.joinsCharacters
        case .scored: true
        default: false
        }
    }

    /// Appends the tokens of a word in UTF-8.
    func encode(_ word: UnsafeBufferPointer<UInt8>, into sink: inout TokenSink) {
        switch self {
        case .bytePairs(let model): model.encode(word, into: &sink)
        case .longestMatch(let model): model.encode(word, into: &sink)
        case .wordPieces(let model): model.encode(word, into: &sink)
        case .words(let model): model.encode(word, into: &sink)
        case .unigram(let model): model.encode(word, into: &sink)
        case .scored(let model): model.encode(word, into: &sink)
        }
    }
}
