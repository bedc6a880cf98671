import Foundation
import PithCore
import PithFormats

/// What a tokenizer makes of a text, and how its cuts agree with morphemes.
public struct TokenizerMeasures: Sendable, Equatable {
    /// Tokens of the vocabulary.
    public var vocabularySize: Int
    /// Bytes of text for each token.
    public var bytesPerToken: Double
    /// Rényi's entropy of order 2.5 of the tokens' frequencies, divided by log2 of the vocabulary's size: how evenly
    /// the vocabulary is used.
    public var renyiEfficiency: Double
    /// Of the boundaries between tokens inside the listed words, the part that lies between morphemes.
    public var boundaryPrecision: Double
    /// Of the boundaries between morphemes, the part that lies between tokens.
    public var boundaryRecall: Double
    /// Words of the list.
    public var wordCount: Int

    /// The harmonic mean of precision and recall.
    public var boundaryF1: Double {
        let sum = boundaryPrecision + boundaryRecall
        return sum > 0 ? 2 * boundaryPrecision * boundaryRecall / sum : 0
    }

    /// Measures on texts, none of which may be what the vocabulary was learnt from if the figures shall be fair.
    public init(_ tokenizer: Tokenizer, on texts: [String], renyiOrder: Double = 2.5) throws(PithError) {
        let byteCount = texts.reduce(0) { $0 + $1.utf8.count }
        guard byteCount > 0 else { throw .usage("there is no text to measure on") }
        var counts: [Int: Int] = [:]
        for text in texts {
            for token in tokenizer.encode(text, .plain) { counts[token, default: 0] += 1 }
        }
        let tokens = counts.values.reduce(0, +)
        vocabularySize = tokenizer.vocabularySize
        bytesPerToken = Double(byteCount) / Double(max(1, tokens))
        renyiEfficiency =
            Self.renyiEntropy(Array(counts.values), order: renyiOrder) / log2(Double(max(2, vocabularySize)))
        (boundaryPrecision, boundaryRecall, wordCount) = Self.boundaries(tokenizer)
    }

    /// log2(Σ pᵅ) / (1 − α) of frequencies, for α other than 1.
    static func renyiEntropy(_ counts: [Int], order: Double) -> Double {
        let total = Double(max(1, counts.reduce(0, +)))
        // In a fixed order, so that the figure is the same in each run.
        let sum = counts.sorted().reduce(0.0) { $0 + pow(Double($1) / total, order) }
        return sum > 0 ? log2(sum) / (1 - order) : 0
    }

    /// Words are cut as they stand in a text, with a space before them.
    private static func boundaries(_ tokenizer: Tokenizer) -> (precision: Double, recall: Double, words: Int) {
        var (cuts, seams, hits) = (0, 0, 0)
        for word in Morphemes.words {
            let (bytes, boundaries) = Morphemes.parse(word)
            let text = " " + String(decoding: bytes, as: UTF8.self)
            var (found, place) = (Set<Int>(), -1)
            for token in tokenizer.encode(text, .plain) {
                if place > 0 { found.insert(place) }
                place += tokenizer.byteCount(of: token)
            }
            cuts += found.count
            seams += boundaries.count
            hits += found.intersection(boundaries).count
        }
        return (Double(hits) / Double(max(1, cuts)), Double(hits) / Double(max(1, seams)), Morphemes.words.count)
    }
}

extension Tokenizer {
    /// The bytes that a token of a byte-level vocabulary stands for.
    fileprivate func byteCount(of identifier: Int) -> Int {
        token(identifier).map { ByteAlphabet.bytes(of: $0)?.count ?? $0.utf8.count } ?? 0
    }
}
