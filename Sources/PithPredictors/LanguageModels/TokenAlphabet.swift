import PithFormats

/// What a language model codes bytes with: its tokens, by the bytes that they stand for.
///
/// A *symbol* is a token below `vocabularySize`; a byte b that no token stands for is the symbol `vocabularySize` + b.
/// Symbols mean nothing but their bytes, whatever tokens they came from; so any bytes can be coded with any tokenizer.
struct TokenAlphabet: Sendable {
    /// The tokens that the model predicts.
    let vocabularySize: Int
    /// The symbol of each byte alone, [256].
    let byteSymbols: [Int]
    /// What the model reads in the place of a byte without a token, and before the first token.
    let beginToken: Int
    private let tokenizer: Tokenizer
    // The bytes of token t are those from starts[t] to starts[t + 1].
    private let starts: [Int]
    private let bytes: [UInt8]
    private let trie: ByteTrie

    init(_ coding: CodingModel) {
        let configuration = coding.model.configuration
        (tokenizer, vocabularySize) = (coding.tokenizer, configuration.vocabularySize)
        // By the configuration alone, as in archives that were written when that was all that was read.
        beginToken = min(configuration.bosToken ?? configuration.eosTokens.first ?? 0, vocabularySize - 1)
        var (starts, bytes) = ([0], [UInt8]())
        var byteSymbols = (0..<256).map { configuration.vocabularySize + $0 }
        var trie = ByteTrie()
        for token in 0..<vocabularySize {
            let own = tokenizer.bytes(of: token)
            bytes += own
            starts.append(bytes.count)
            // Of several tokens for a byte the last is the one that text uses: those of byte fallback come first.
            guard !own.isEmpty, !tokenizer.isSpecial(token) else { continue }
            if own.count == 1 { byteSymbols[Int(own[0])] = token }
            trie.insert(own, value: token)
        }
        (self.starts, self.bytes, self.byteSymbols, self.trie) = (starts, bytes, byteSymbols, trie)
    }

    /// Whether there are bytes that no token stands for.
    var hasEscapes: Bool { byteSymbols.contains { $0 >= vocabularySize } }

    /// The bytes of a symbol.
    func bytes(of symbol: Int) -> ArraySlice<UInt8> {
        symbol < vocabularySize
            ? bytes[starts[symbol]..<starts[symbol + 1]] : [UInt8(truncatingIfNeeded: symbol - vocabularySize)]
    }

    /// How many bytes a symbol stands for.
    func byteCount(of symbol: Int) -> Int {
        symbol < vocabularySize ? starts[symbol + 1] - starts[symbol] : 1
    }

    /// The token that the model reads for a symbol.
    func token(of symbol: Int) -> Int { symbol < vocabularySize ? symbol : beginToken }
}

// MARK: Bytes to symbols

extension TokenAlphabet {
    /// Symbols for some bytes: the tokenizer's own tokens where the bytes are text and the tokens mean just these
    /// bytes, else the longest tokens that fit.
    func symbols(of input: ArraySlice<UInt8>) -> [Int] {
        var symbols: [Int] = []
        var start = input.startIndex
        for range in invalidRanges(in: input) {
            appendText(input[start..<range.lowerBound], to: &symbols)
            symbols += input[range].map { byteSymbols[Int($0)] }
            start = range.upperBound
        }
        appendText(input[start...], to: &symbols)
        return symbols
    }

    private func appendText(_ text: ArraySlice<UInt8>, to symbols: inout [Int]) {
        guard !text.isEmpty else { return }
        let tokens = tokenizer.encode(String(decoding: text, as: UTF8.self), .plain)
        let first = tokens.first.map { bytes(of: $0) } ?? []
        if spells(tokens[...], text) {
            symbols += tokens
        } else if first.first == UInt8(ascii: " "), text.starts(with: first.dropFirst()),
            spells(tokens.dropFirst(), text.dropFirst(first.count - 1))
        {
            // A tokenizer that puts a space before each text.
            symbols += longestTokens(first.dropFirst()) + tokens.dropFirst()
        } else {
            symbols += longestTokens(text)
        }
    }

    /// Whether the bytes of some tokens are `text`.
    private func spells(_ tokens: ArraySlice<Int>, _ text: ArraySlice<UInt8>) -> Bool {
        var rest = text
        for token in tokens {
            let own = bytes(of: token)
            guard rest.starts(with: own) else { return false }
            rest = rest.dropFirst(own.count)
        }
        return rest.isEmpty
    }

    /// At each place the longest token that fits.
    private func longestTokens(_ input: ArraySlice<UInt8>) -> [Int] {
        var (symbols, rest) = ([Int](), input)
        while let byte = rest.first {
            let symbol = trie.longestMatch(rest) ?? byteSymbols[Int(byte)]
            symbols.append(symbol)
            rest = rest.dropFirst(byteCount(of: symbol))
        }
        return symbols
    }

    /// Where the bytes are no UTF-8.
    private func invalidRanges(in input: ArraySlice<UInt8>) -> [Range<Int>] {
        var ranges: [Range<Int>] = []
        var position = input.startIndex
        while position < input.endIndex {
            if input[position] < 0x80 {
                position += 1
                continue
            }
            let width = characterWidth(input[position...])
            if width > 0 {
                position += width
            } else {
                if ranges.last?.upperBound == position {
                    ranges[ranges.count - 1] = ranges[ranges.count - 1].lowerBound..<position + 1
                } else {
                    ranges.append(position..<position + 1)
                }
                position += 1
            }
        }
        return ranges
    }

    /// The width of the character of several bytes at the beginning of `input`; 0 if there is none.
    private func characterWidth(_ input: ArraySlice<UInt8>) -> Int {
        let lead = input[input.startIndex]
        let width = lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : lead >= 0xC2 ? 2 : 0
        guard width > 0, input.count >= width else { return 0 }
        return String(validating: input.prefix(width), as: UTF8.self)?.unicodeScalars.count == 1 ? width : 0
    }
}

extension TokenAlphabet {
    /// Bytes that are cut into tokens together.
    static let pieceSize = 1 << 16

    /// Where the piece of `input` that begins at `start` ends: behind a line or a word if one ends near.
    static func endOfPiece(from start: Int, in input: ArraySlice<UInt8>) -> Int {
        let end = start + pieceSize
        guard end < input.endIndex else { return input.endIndex }
        for separator in [UInt8(ascii: "\n"), UInt8(ascii: " ")] {
            // A space belongs to the word behind it, a line break to the line before it.
            if let place = input[end - pieceSize / 16..<end].lastIndex(of: separator) {
                return separator == UInt8(ascii: "\n") ? place + 1 : place
            }
        }
        return end
    }
}
