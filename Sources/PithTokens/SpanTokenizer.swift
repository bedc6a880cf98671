import PithCore
import PithFormats

/// Learns a subword vocabulary from where a byte model finds text predictable (ByteSpan).
///
/// The steps: a byte model is learnt from the text and says for each byte of it how much information it brings;
/// within words, runs of predictable bytes become spans; the most frequent spans are the vocabulary, all bytes
/// besides; words are cut by longest match. A part of the vocabulary can be left to byte-pair merges on top of the
/// spans.
public struct SpanTokenizer: Sendable {
    /// What is asked about a byte.
    public enum Signal: String, CaseIterable, Sendable {
        /// −log2 of the share that the byte had.
        case surprisal
        /// The entropy of what could have come.
        case entropy
    }

    /// Which bytes go on with the span of the byte before.
    public enum Constraint: String, CaseIterable, Sendable {
        /// Those that bring less information than the threshold.
        case threshold
        /// Those that bring less than the byte before.
        case falling
        /// Those that do either.
        case either
    }

    /// What decides the vocabulary.
    public struct Settings: Sendable {
        /// What is asked about a byte.
        public var signal = Signal.surprisal
        /// Which bytes go on with a span.
        public var constraint = Constraint.either
        /// The threshold in bits.
        public var threshold = 2.0
        /// The part of the vocabulary, bytes aside, that comes from spans; byte-pair merges make the rest.
        public var spanShare = 1.0
        /// The longest context of the byte model.
        public var order = 5
        /// Shows no progress.
        public var isQuiet = false

        /// The usual settings.
        public init() {}
    }

    /// Longer spans are cut, so that no one is learnt but once.
    static let longestSpan = 32

    /// A tokenizer file with at most `vocabularySize` tokens: the special ones first, the bytes, the rest by rank.
    public static func train(
        on texts: [String], vocabularySize: Int, specialTokens: [String] = [TrainingText.separator],
        settings: Settings = Settings()
    ) throws(PithError) -> JSONValue {
        let smallest = specialTokens.count + 256
        guard (smallest...1 << 24).contains(vocabularySize) else {
            throw .usage("a vocabulary of \(vocabularySize) tokens", remedy: "it should have \(smallest)…\(1 << 24)")
        }
        guard (0...1).contains(settings.spanShare), (0...24).contains(settings.threshold) else {
            throw .usage(
                "a span share of \(settings.spanShare), a threshold of \(settings.threshold) bits",
                remedy: "the share should be in 0…1, the threshold in 0…24")
        }
        let counts = try SpanCounts(texts, settings)
        let room = Int((Double(vocabularySize - smallest) * settings.spanShare).rounded())
        var tokens = (UInt8.min...UInt8.max).map { [$0] } + counts.mostFrequent(room)
        if tokens.count + specialTokens.count < vocabularySize, settings.spanShare < 1 {
            tokens = extended(
                tokens, by: counts.words, to: vocabularySize - specialTokens.count, quiet: settings.isQuiet)
        }
        return LongestMatchVocabulary.document(tokens, specialTokens: specialTokens, cutsWords: true)
    }

    /// Byte-pair merges of what longest match makes of the words, until there are `count` tokens.
    private static func extended(
        _ tokens: [[UInt8]], by words: [[UInt8]: Int], to count: Int, quiet: Bool
    ) -> [[UInt8]] {
        let numbers = Dictionary(uniqueKeysWithValues: tokens.enumerated().map { ($1[...], UInt32($0)) })
        let cut = words.sorted { $0.key.lexicographicallyPrecedes($1.key) }.map { word, count in
            (tokens: longestMatches(in: word, numbers), count: count)
        }
        let texts = BytePairTrainer.extend(
            tokens.map { ByteAlphabet.text(of: $0) }, words: cut, to: count, quiet: quiet)
        return texts.compactMap { ByteAlphabet.bytes(of: $0) }
    }

    private static func longestMatches(in word: [UInt8], _ numbers: [ArraySlice<UInt8>: UInt32]) -> [UInt32] {
        var (tokens, start) = ([UInt32](), 0)
        while start < word.count {
            var end = min(word.count, start + longestSpan)
            while end > start + 1, numbers[word[start..<end]] == nil { end -= 1 }
            if let token = numbers[word[start..<end]] { tokens.append(token) }
            start = end
        }
        return tokens
    }
}

/// How often each span and each word occurs.
package struct SpanCounts {
    private(set) var spans: [[UInt8]: Int] = [:]
    private(set) var words: [[UInt8]: Int] = [:]

    init(_ texts: [String], _ settings: SpanTokenizer.Settings) throws(PithError) {
        let documents = texts.map { Array($0.utf8) }
        let model = try ByteContextModel(learning: documents.map { $0[...] }, order: settings.order, minimumCount: 1)
        var progress = Progress(
            "Finding spans", total: documents.reduce(0) { $0 + $1.count }, quiet: settings.isQuiet)
        var done = 0
        for document in documents {
            let information = Self.information(document, model, settings.signal)
            document.withUnsafeBufferPointer { bytes in
                WordPattern.gpt2.forEachWord(in: bytes) { word in
                    words[Array(document[word]), default: 0] += 1
                    for span in Self.spans(of: word, in: document, information, settings) where span.count > 1 {
                        spans[Array(document[span]), default: 0] += 1
                    }
                }
            }
            done += document.count
            progress.update(done)
        }
        progress.finish()
    }

    /// What each byte brings, in bits with 16 behind the point, after a model that has not seen it there.
    static func information(
        _ text: [UInt8], _ model: ByteContextModel, _ signal: SpanTokenizer.Signal
    ) -> [Int] {
        var context = ByteContextModel.Context()
        var shares = [UInt32](repeating: 0, count: 256)
        return text.map { byte in
            defer { model.advance(&context, by: byte) }
            switch signal {
            case .surprisal: return BitCost.of(model.share(of: byte, after: context, leavingOut: true))
            case .entropy:
                model.predict(context, leavingOut: byte, into: &shares)
                return BitCost.entropy(shares)
            }
        }
    }

    /// Cuts a word where the constraint does not hold. The space before a word stays with its first letter.
    package static func spans(
        of word: Range<Int>, in text: [UInt8], _ information: [Int], _ settings: SpanTokenizer.Settings
    ) -> [Range<Int>] {
        let threshold = Int(settings.threshold * Double(BitCost.bit))
        var (spans, start) = ([Range<Int>](), word.lowerBound)
        for place in word.dropFirst() {
            let (now, before) = (information[place], information[place - 1])
            let goesOn =
                switch settings.constraint {
                case .threshold: now < threshold
                case .falling: now < before
                case .either: now < threshold || now < before
                }
            let followsSpace = place == word.lowerBound + 1 && text[word.lowerBound] == UInt8(ascii: " ")
            if !(goesOn || followsSpace) || place - start == SpanTokenizer.longestSpan {
                spans.append(start..<place)
                start = place
            }
        }
        if start < word.upperBound { spans.append(start..<word.upperBound) }
        return spans
    }

    /// The most frequent spans of those that occur twice; of equally frequent ones the first in byte order.
    func mostFrequent(_ count: Int) -> [[UInt8]] {
        spans.filter { $0.value > 1 }
            .sorted { $0.value != $1.value ? $0.value > $1.value : $0.key.lexicographicallyPrecedes($1.key) }
            .prefix(count).map(\.key)
    }
}

/// Tokenizer files of the type `LongestMatch`.
package enum LongestMatchVocabulary {
    /// A file with these tokens behind the special ones; `cutsWords` says whether no token goes beyond a word.
    package static func document(_ tokens: [[UInt8]], specialTokens: [String], cutsWords: Bool) -> JSONValue {
        var vocabulary = JSONObject()
        for (number, token) in tokens.enumerated() {
            vocabulary[ByteAlphabet.text(of: token)] = .integer(specialTokens.count + number)
        }
        let added: [JSONValue] = specialTokens.enumerated().map { number, token in
            ["id": .integer(number), "content": .string(token), "special": true]
        }
        let byteLevel: JSONValue = ["type": "ByteLevel", "add_prefix_space": false, "use_regex": .bool(cutsWords)]
        return [
            "version": "1.0", "added_tokens": .array(added), "normalizer": nil, "pre_tokenizer": byteLevel,
            "post_processor": nil, "decoder": byteLevel,
            "model": ["type": "LongestMatch", "vocab": .object(vocabulary)],
        ]
    }
}
