import Foundation
import PithCore

/// What SentencePiece models say of a tokenizer of pieces, whatever file it stands in.
struct PieceDescription {
    /// The compiled table of replacements; empty where there is none.
    var characterMap: [UInt8] = []
    /// Whether a space is put before texts.
    var addsSpace = true
    /// Whether spaces at the ends are dropped and runs of them become one.
    var removesExtraSpaces = true
    /// Whether characters without a piece are written in bytes.
    var fallsBackToBytes = false
    var unknownToken: Int?
    /// Pieces that are in no text.
    var excluded: Set<Int> = []

    private var normalizer: JSONValue {
        var steps: [JSONValue] = []
        if !characterMap.isEmpty {
            steps.append([
                "type": "Precompiled", "precompiled_charsmap": .string(Data(characterMap).base64EncodedString()),
            ])
        }
        if removesExtraSpaces {
            steps.append(["type": "Strip", "strip_left": true, "strip_right": true])
            steps.append(TokenizerParts.replace(["Regex": " {2,}"], by: " "))
        }
        if addsSpace { steps.append(["type": "Prepend", "prepend": .string(TokenizerParts.mark)]) }
        steps.append(TokenizerParts.replace(["String": " "], by: TokenizerParts.mark))
        return TokenizerParts.sequence(steps, "normalizers")
    }

    /// Texts are cut before runs of marks where no piece goes beyond one: words come again, and texts do not.
    static func preTokenizer(_ vocabulary: TokenVocabulary, excluded: Set<Int> = []) -> JSONValue {
        let mark = Array(TokenizerParts.mark.utf8)
        var isCut = true
        vocabulary.forEachModelToken { number, text in
            guard isCut, text.count > mark.count, !excluded.contains(number) else { return }
            var rest = text
            while rest.starts(with: mark) { rest = rest.dropFirst(mark.count) }
            rest.withUnsafeBufferPointer { $0.forEachOccurrence(of: mark) { _ in isCut = false } }
        }
        return isCut ? TokenizerParts.markSplit : nil
    }

    private func parts(
        _ model: JSONValue, _ vocabulary: TokenVocabulary, _ added: [AddedToken], _ postProcessor: JSONValue
    ) -> JSONValue {
        TokenizerParts.document(
            normalizer: normalizer, preTokenizer: Self.preTokenizer(vocabulary, excluded: excluded),
            postProcessor: postProcessor,
            decoder: TokenizerParts.pieceDecoder(dropsSpace: addsSpace), model: model, added: added)
    }

    /// A tokenizer of pieces whose scores are logarithms of probabilities.
    func unigram(
        _ vocabulary: TokenVocabulary, scores: [Double], added: [AddedToken], postProcessor: JSONValue
    ) throws(PithError) -> Tokenizer {
        let json: JSONValue = [
            "type": .string(UnigramModel.type), "unk_id": unknownToken.map { .integer($0) } ?? .null,
            "byte_fallback": .bool(fallsBackToBytes),
        ]
        let model = try UnigramModel(
            vocabulary: vocabulary, scores: scores, unknownToken: unknownToken, fallsBackToBytes: fallsBackToBytes,
            excluded: excluded)
        return try Tokenizer(
            parts(json, vocabulary, added, postProcessor), vocabulary: vocabulary, model: .unigram(model), added: added,
            takesBytes: false)
    }

    /// A tokenizer of pieces that are joined by their scores.
    func scored(
        _ vocabulary: TokenVocabulary, scores: [Float], added: [AddedToken], postProcessor: JSONValue
    ) throws(PithError) -> Tokenizer {
        let json = TokenizerParts.bytePairs(
            unknown: unknownToken.flatMap(vocabulary.text), fallsBackToBytes: fallsBackToBytes)
        return try Tokenizer(
            parts(json, vocabulary, added, postProcessor), vocabulary: vocabulary,
            model: .scored(ScoredPieceModel(vocabulary, scores: scores, unknownToken: unknownToken)), added: added,
            takesBytes: false)
    }
}
