import HeapModule
import PithCore
import PithFormats

/// Learns the merges of a byte-level BPE tokenizer from text.
///
/// Words are cut as GPT-2 cuts them. At each step the most frequent pair of neighbours is merged, of equally frequent
/// ones the pair of lowest tokens: the same text always gives the same tokenizer.
public enum BytePairTrainer {
    /// A tokenizer file with at most `vocabularySize` tokens, the special ones first, then the bytes.
    ///
    /// Fewer are made when no pair is left that occurs `minimumCount` times.
    public static func train(
        on texts: [String], vocabularySize: Int, specialTokens: [String] = ["<|endoftext|>"], minimumCount: Int = 2,
        quiet: Bool = false
    ) throws(PithError) -> JSONValue {
        let smallest = specialTokens.count + 256
        guard (smallest...1 << 24).contains(vocabularySize) else {
            throw .usage(
                "a vocabulary of \(vocabularySize) tokens",
                remedy: "it should have \(smallest)…\(1 << 24), bytes included")
        }
        guard Set(specialTokens.map { ExactString($0) }).count == specialTokens.count,
            specialTokens.allSatisfy({ $0.utf8.count > 1 })
        else { throw .usage("the special tokens are not different texts of more than one byte") }
        let counts = WordCounts(texts, leavingOut: specialTokens, quiet: quiet)
        var tokenOfByte = [UInt32](repeating: 0, count: 256)
        for (i, byte) in alphabet.enumerated() { tokenOfByte[Int(byte)] = UInt32(specialTokens.count + i) }
        var learner = PairLearner(
            words: counts.words.map { word in (word.text.utf8.map { tokenOfByte[Int($0)] }, word.count) },
            tokens: specialTokens + alphabet.map { ByteAlphabet.text(of: [$0]) })
        learner.learn(upTo: vocabularySize, minimumCount: max(1, minimumCount), quiet: quiet)
        return document(learner, specialTokens: specialTokens)
    }

    /// Merges neighbours in words that are cut into `tokens` already until there are `vocabularySize` of them, or no
    /// pair occurs `minimumCount` times; returns all tokens. Words are numbers of tokens, in a fixed order.
    package static func extend(
        _ tokens: [String], words: [(tokens: [UInt32], count: Int)], to vocabularySize: Int, minimumCount: Int = 2,
        quiet: Bool = false
    ) -> [String] {
        var learner = PairLearner(words: words, tokens: tokens)
        learner.learn(upTo: vocabularySize, minimumCount: max(1, minimumCount), quiet: quiet)
        return learner.tokens
    }

    /// All bytes in the order of their characters, which is that of the tokens.
    private static let alphabet = (UInt8.min...UInt8.max).sorted {
        ByteAlphabet.scalars[Int($0)].value < ByteAlphabet.scalars[Int($1)].value
    }

    private static func document(_ learner: PairLearner, specialTokens: [String]) -> JSONValue {
        var vocabulary = JSONObject()
        for (number, token) in learner.tokens.enumerated() { vocabulary[token] = .integer(number) }
        let added: [JSONValue] = specialTokens.enumerated().map { number, token in
            [
                "id": .integer(number), "content": .string(token), "single_word": false, "lstrip": false,
                "rstrip": false, "normalized": false, "special": true,
            ]
        }
        let merges = learner.merges.map { pair in
            JSONValue.string(learner.tokens[Int(pair.left)] + " " + learner.tokens[Int(pair.right)])
        }
        let byteLevel: JSONValue = [
            "type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": true,
        ]
        return [
            "version": "1.0", "truncation": nil, "padding": nil, "added_tokens": .array(added), "normalizer": nil,
            "pre_tokenizer": byteLevel, "post_processor": nil, "decoder": byteLevel,
            "model": [
                "type": "BPE", "dropout": nil, "unk_token": nil, "continuing_subword_prefix": nil,
                "end_of_word_suffix": nil, "fuse_unk": false, "byte_fallback": false, "ignore_merges": false,
                "vocab": .object(vocabulary), "merges": .array(merges),
            ],
        ]
    }
}

/// The different words of some texts and how often each occurs.
private struct WordCounts {
    private(set) var words: [(text: String, count: Int)] = []

    init(_ texts: [String], leavingOut tokens: [String], quiet: Bool) {
        var counts: [ExactString: Int] = [:]
        let total = texts.reduce(0) { $0 + $1.utf8.count }
        var progress = Progress("Counting words", total: total, quiet: quiet)
        var done = 0
        for text in texts {
            for part in Self.parts(of: text, without: tokens) {
                part.withUnsafeBufferPointer { bytes in
                    WordPattern.gpt2.forEachWord(in: bytes) { range in
                        let word = String(decoding: UnsafeBufferPointer(rebasing: bytes[range]), as: UTF8.self)
                        counts[ExactString(word), default: 0] += 1
                    }
                }
                done += part.count
                progress.update(done)
            }
        }
        progress.finish()
        // The order decides nothing, but a fixed one makes each run alike.
        words = counts.sorted { $0.key < $1.key }.map { ($0.key.text, $0.value) }
    }

    /// What lies between special tokens.
    private static func parts(of text: String, without tokens: [String]) -> [ArraySlice<UInt8>] {
        var parts = [Array(text.utf8)[...]]
        for token in tokens {
            parts = parts.flatMap { part in
                part.occurrences(of: Array(token.utf8)).filter { !$0.isMatch }.map { match in
                    part[part.startIndex + match.range.lowerBound..<part.startIndex + match.range.upperBound]
                }
            }
        }
        return parts
    }
}

/// Two neighbouring tokens.
private struct TokenPair: Hashable, Comparable {
    var left: UInt32
    var right: UInt32

    private var bits: UInt64 { UInt64(left) << 32 | UInt64(right) }
    static func < (a: TokenPair, b: TokenPair) -> Bool { a.bits < b.bits }
    func hash(into hasher: inout Hasher) { hasher.combine(bits) }
}

/// Merges pairs in words and keeps the counts of all pairs up to date.
private struct PairLearner {
    /// The tokens by number.
    private(set) var tokens: [String]
    /// The merges in the order in which they were learned.
    private(set) var merges: [TokenPair] = []

    private var numberOfToken: [String: UInt32] = [:]
    private var words: [[UInt32]]
    private let wordCounts: [Int]
    private var pairCounts: [TokenPair: Int] = [:]
    /// Words that hold a pair, or held it once.
    private var wordsOfPair: [TokenPair: [Int32]] = [:]
    private var queue = Heap<CountedPair>()

    init(words: [(tokens: [UInt32], count: Int)], tokens: [String]) {
        self.tokens = tokens
        for (number, token) in tokens.enumerated() { numberOfToken[token] = UInt32(number) }
        self.words = words.map(\.tokens)
        wordCounts = words.map(\.count)
        countPairs()
    }

    private mutating func countPairs() {
        for (index, word) in words.enumerated() {
            for (left, right) in zip(word, word.dropFirst()) {
                let pair = TokenPair(left: left, right: right)
                pairCounts[pair, default: 0] += wordCounts[index]
                wordsOfPair[pair, default: []].append(Int32(index))
            }
        }
        for (pair, count) in pairCounts { queue.insert(CountedPair(count: count, pair: pair)) }
    }

    /// Merges until there are so many tokens, or no pair is frequent enough.
    mutating func learn(upTo tokenCount: Int, minimumCount: Int, quiet: Bool) {
        let start = tokens.count
        var progress = Progress("Learning tokens", total: tokenCount - start, quiet: quiet)
        while tokens.count < tokenCount, let entry = queue.popMax() {
            // Counts fall while entries wait; each is looked at again with the count that it has now.
            let count = pairCounts[entry.pair] ?? 0
            if count != entry.count {
                if count > 0 { queue.insert(CountedPair(count: count, pair: entry.pair)) }
                continue
            }
            if count < minimumCount { break }
            merge(entry.pair)
            progress.update(tokens.count - start)
        }
        progress.finish()
    }

    private mutating func merge(_ pair: TokenPair) {
        let text = tokens[Int(pair.left)] + tokens[Int(pair.right)]
        let token = numberOfToken[text] ?? UInt32(tokens.count)
        if token == tokens.count {
            tokens.append(text)
            numberOfToken[text] = token
        }
        merges.append(pair)
        var touched: Set<TokenPair> = []
        for index in wordsOfPair.removeValue(forKey: pair) ?? [] {
            replace(pair, by: token, inWord: Int(index), touched: &touched)
        }
        pairCounts[pair] = nil
        for pair in touched {
            if let count = pairCounts[pair], count > 0 { queue.insert(CountedPair(count: count, pair: pair)) }
        }
    }

    /// Replaces all occurrences of a pair in a word; `touched` gathers the pairs that are new there.
    private mutating func replace(
        _ pair: TokenPair, by token: UInt32, inWord index: Int, touched: inout Set<TokenPair>
    ) {
        var word = words[index]
        words[index] = []
        let count = wordCounts[index]
        func isMatch(_ i: Int) -> Bool { i + 1 < word.count && word[i] == pair.left && word[i + 1] == pair.right }
        func lower(_ left: UInt32, _ right: UInt32) {
            pairCounts[TokenPair(left: left, right: right)]? -= count
        }
        func raise(_ left: UInt32, _ right: UInt32) {
            let pair = TokenPair(left: left, right: right)
            pairCounts[pair, default: 0] += count
            if wordsOfPair[pair]?.last != Int32(index) { wordsOfPair[pair, default: []].append(Int32(index)) }
            touched.insert(pair)
        }
        var (read, write) = (0, 0)
        while read < word.count {
            guard isMatch(read) else {
                word[write] = word[read]
                (read, write) = (read + 1, write + 1)
                continue
            }
            if write > 0 {
                lower(word[write - 1], pair.left)
                raise(word[write - 1], token)
            }
            if read + 2 < word.count {
                lower(pair.right, word[read + 2])
                raise(token, word[read + 2])
            }
            word[write] = token
            (read, write) = (read + 2, write + 1)
        }
        word.removeLast(word.count - write)
        words[index] = word
    }
}

/// A pair with its count; the greatest is the most frequent one, of equal ones the lowest pair.
private struct CountedPair: Comparable {
    var count: Int
    var pair: TokenPair

    static func < (left: Self, right: Self) -> Bool {
        left.count != right.count ? left.count < right.count : right.pair < left.pair
    }
}
