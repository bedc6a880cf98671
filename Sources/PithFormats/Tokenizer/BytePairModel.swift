import PithCore

/// Byte-pair encoding of single words: the `model` of a tokenizer file.
struct BytePairModel: Sendable {
    /// What a file says beside vocabulary and merges.
    struct Options {
        /// Whole words that are tokens are taken without merging.
        var ignoresMerges = false
        /// Whether characters without a token are written in bytes.
        var fallsBackToBytes = false
        var unknownToken: UInt32?
        /// Whether unknown characters that follow each other are one token.
        var fusesUnknown = false
        /// What the tokens begin with that do not begin a word.
        var prefix: [UInt8] = []
        /// What the tokens end with that end a word.
        var suffix: [UInt8] = []
    }

    let merges: BytePairMerges
    private let options: Options
    /// Whether words come as bytes, and tokens are texts of the byte alphabet.
    let takesBytes: Bool
    private let vocabulary: TokenVocabulary
    /// The tokens of single bytes in a byte-level vocabulary: within a word, and what has affixes: at its beginning, at
    /// its end, and of words of one byte.
    private let tokenOfByte: [[UInt32?]]
    /// The tokens `<0x00>`…`<0xFF>` where characters without a token are written in bytes.
    private let fallbackTokens: [UInt32?]

    /// Whether whole words that are tokens are taken without merging.
    var ignoresMerges: Bool { options.ignoresMerges }
    /// Whether characters without a token are written in bytes.
    var fallsBackToBytes: Bool { options.fallsBackToBytes }

    /// A model of merges; see `Options`.
    init(_ options: Options, vocabulary: TokenVocabulary, merges: BytePairMerges, takesBytes: Bool) {
        (self.options, self.vocabulary, self.merges, self.takesBytes) = (options, vocabulary, merges, takesBytes)
        fallbackTokens = (0..<256).map { byte in
            options.fallsBackToBytes ? vocabulary.modelToken(Self.fallbackName(UInt8(byte))) : nil
        }
        guard takesBytes else {
            tokenOfByte = []
            return
        }
        tokenOfByte = [(false, false), (true, false), (false, true), (true, true)].map { isFirst, isLast in
            ByteAlphabet.scalars.map { scalar in
                let text =
                    (isFirst ? [] : options.prefix) + Array(String(scalar).utf8) + (isLast ? options.suffix : [])
                return text.withUnsafeBufferPointer { vocabulary.modelToken($0) }
            }
        }
    }

    /// Whether it joins characters, wherever they stand, and looks up nothing else.
    var joinsCharacters: Bool {
        !takesBytes && !options.ignoresMerges && options.prefix.isEmpty && options.suffix.isEmpty
    }

    /// Reads the options of a model.
    static func options(_ reader: JSONReader, _ vocabulary: TokenVocabulary) throws(PithError) -> Options {
        func affix(_ key: String) throws(PithError) -> [UInt8] {
            Array(try reader.optional(key)?.text().utf8 ?? "".utf8)
        }
        if let dropout = try reader.optional("dropout"), try dropout.real() != 0 {
            throw dropout.failure("random encoding is not supported", remedy: "null is")
        }
        var options = Options()
        (options.prefix, options.suffix) = (try affix("continuing_subword_prefix"), try affix("end_of_word_suffix"))
        options.ignoresMerges = try reader.optional("ignore_merges")?.flag() ?? false
        options.fusesUnknown = try reader.optional("fuse_unk")?.flag() ?? false
        options.fallsBackToBytes = try reader.optional("byte_fallback")?.flag() ?? false
        if let unknown = try reader.optional("unk_token") {
            guard let token = vocabulary.modelToken(try unknown.text()) else {
                throw unknown.failure("'\(try unknown.text().shortened)' is not in the vocabulary")
            }
            options.unknownToken = token
        }
        return options
    }

    /// The name of the token of a byte where characters fall back to bytes.
    static func fallbackName(_ byte: UInt8) -> String {
        let digits = String(byte, radix: 16, uppercase: true)
        return "<0x" + (digits.count < 2 ? "0" : "") + digits + ">"
    }

    /// Appends the tokens of a word in UTF-8.
    func encode(_ word: UnsafeBufferPointer<UInt8>, into sink: inout TokenSink) {
        if options.ignoresMerges, let token = wholeToken(word) {
            sink.append(Int(token), 0, word.count)
            return
        }
        sink.symbols.removeAll(keepingCapacity: true)
        if takesBytes { appendBytes(word, to: &sink.symbols) } else { appendCharacters(word, to: &sink.symbols) }
        merges.apply(to: &sink.symbols)
        var start = 0
        if takesBytes, sink.ranges != nil, sink.symbols.reduce(0, { $0 + Int($1.length) }) != word.count {
            appendWithGaps(word, to: &sink)
            return
        }
        for symbol in sink.symbols {
            let end = start + Int(symbol.length)
            sink.append(Int(symbol.token), start, end)
            start = end
        }
    }

    /// Appends the symbols of a word of which bytes have no token. The reference takes what is missing for the end, in
    /// characters of the byte alphabet, of which some have two bytes.
    private func appendWithGaps(_ word: UnsafeBufferPointer<UInt8>, to sink: inout TokenSink) {
        func width(_ byte: UInt8) -> Int { ByteAlphabet.scalars[Int(byte)].value < 0x80 ? 1 : 2 }
        // The byte of the word that each byte of its characters belongs to.
        let owners = word.indices.flatMap { place in repeatElement(place, count: width(word[place])) }
        let known = word.indices.filter { place in
            tokenOfByte[(place == 0 ? 1 : 0) + (place + 1 == word.count ? 2 : 0)][Int(word[place])] != nil
        }
        var (start, index) = (0, 0)
        for symbol in sink.symbols {
            let end = known[index..<index + Int(symbol.length)].reduce(start) { $0 + width(word[$1]) }
            sink.append(Int(symbol.token), owners[start], owners[end - 1] + 1)
            (start, index) = (end, index + Int(symbol.length))
        }
    }

    private func wholeToken(_ word: UnsafeBufferPointer<UInt8>) -> UInt32? {
        takesBytes ? vocabulary.modelToken(ByteAlphabet.text(of: word)) : vocabulary.modelToken(word)
    }

    private func appendBytes(_ word: UnsafeBufferPointer<UInt8>, to symbols: inout [BytePairMerges.Symbol]) {
        var unknown: UInt32 = 0
        for (place, byte) in word.enumerated() {
            let kind = (place == 0 ? 1 : 0) + (place + 1 == word.count ? 2 : 0)
            if let token = tokenOfByte[kind][Int(byte)] {
                flush(&unknown, to: &symbols)
                symbols.append(.init(token: token, length: 1))
            } else {
                take(1, &unknown, &symbols)
            }
        }
        flush(&unknown, to: &symbols)
    }

    private func appendCharacters(_ word: UnsafeBufferPointer<UInt8>, to symbols: inout [BytePairMerges.Symbol]) {
        // Bytes of unknown characters that have no token yet. They get it before the next that is known, but behind
        // those that are written in bytes: so does the reference.
        var (unknown, place, affixed): (UInt32, Int, [UInt8]) = (0, 0, [])
        while place < word.count {
            let width = min(UTF8.width(leading: word[place]), word.count - place)
            let isPlain =
                (place == 0 || options.prefix.isEmpty) && (place + width < word.count || options.suffix.isEmpty)
            let part = UnsafeBufferPointer(rebasing: word[place..<place + width])
            if isPlain {
                append(part, width, &unknown, &symbols)
            } else {
                affixed = (place == 0 ? [] : options.prefix) + part
                if place + width == word.count { affixed += options.suffix }
                affixed.withUnsafeBufferPointer { append($0, width, &unknown, &symbols) }
            }
            place += width
        }
        flush(&unknown, to: &symbols)
    }

    private func append(
        _ text: UnsafeBufferPointer<UInt8>, _ width: Int, _ unknown: inout UInt32,
        _ symbols: inout [BytePairMerges.Symbol]
    ) {
        if let token = vocabulary.modelToken(text) {
            flush(&unknown, to: &symbols)
            symbols.append(.init(token: token, length: UInt32(width)))
        } else if options.fallsBackToBytes, text.allSatisfy({ fallbackTokens[Int($0)] != nil }) {
            for byte in text {
                if let token = fallbackTokens[Int(byte)] { symbols.append(.init(token: token, length: 1)) }
            }
        } else {
            take(UInt32(width), &unknown, &symbols)
        }
    }

    /// Takes bytes that are unknown.
    private func take(_ width: UInt32, _ unknown: inout UInt32, _ symbols: inout [BytePairMerges.Symbol]) {
        guard options.unknownToken != nil else { return }
        if !options.fusesUnknown { flush(&unknown, to: &symbols) }
        unknown += width
    }

    private func flush(_ unknown: inout UInt32, to symbols: inout [BytePairMerges.Symbol]) {
        guard unknown > 0, let token = options.unknownToken else { return }
        symbols.append(.init(token: token, length: unknown))
        unknown = 0
    }
}

extension BytePairMerges {
    /// Reads merges as they stand in tokenizer files: "left right" or ["left", "right"]. Tokens behind the first of a word
    /// begin with `prefixLength` bytes that the merged ones do not have twice.
    init(
        _ parser: inout JSONParser, _ vocabulary: TokenVocabulary, prefixLength: Int
    ) throws(PithError) {
        var list = MergeList(vocabulary, prefixLength: prefixLength)
        var (left, right): ([UInt8], [UInt8]) = ([], [])
        try parser.readArray { (parser) throws(PithError) in
            left.removeAll(keepingCapacity: true)
            right.removeAll(keepingCapacity: true)
            if parser.peek() == UInt8(ascii: "[") {
                var side = 0
                try parser.readArray { (parser) throws(PithError) in
                    switch side {
                    case 0: try parser.readText(into: &left)
                    case 1: try parser.readText(into: &right)
                    default: throw .data("element \(list.merges.count) is no pair of tokens")
                    }
                    side += 1
                }
                guard side == 2 else { throw .data("element \(list.merges.count) is no pair of tokens") }
                try list.append(left, right)
            } else {
                try parser.readText(into: &left)
                try left.withUnsafeBufferPointer { (bytes) throws(PithError) in
                    try list.append(UnsafeRawBufferPointer(bytes))
                }
            }
        }
        self.init(list.merges)
    }

    /// Reads merges as "left right", as they stand in GGUF files.
    init(_ texts: GGUFArray, _ vocabulary: TokenVocabulary) throws(PithError) {
        var list = MergeList(vocabulary, prefixLength: 0)
        list.merges.reserveCapacity(texts.count)
        try texts.forEachText { (bytes) throws(PithError) in try list.append(bytes) }
        self.init(list.merges)
    }
}

/// Merges while they are read.
private struct MergeList {
    let vocabulary: TokenVocabulary
    let prefixLength: Int
    var merges: [(left: UInt32, right: UInt32, result: UInt32)] = []
    private var joined: [UInt8] = []
    /// What the last merge made: several in a row often make the same.
    private var last: (text: [UInt8], token: UInt32)?

    init(_ vocabulary: TokenVocabulary, prefixLength: Int) {
        (self.vocabulary, self.prefixLength) = (vocabulary, prefixLength)
    }

    /// Adds a merge as "left right".
    mutating func append(_ text: UnsafeRawBufferPointer) throws(PithError) {
        // Nothing, which stands for no token, may be a side.
        guard let space = text.dropFirst().firstIndex(of: UInt8(ascii: " ")), space + 1 < text.count,
            !text[(space + 1)...].contains(UInt8(ascii: " "))
        else { throw .data("element \(merges.count) is no pair of tokens") }
        try append(text[..<space], text[(space + 1)...])
    }

    mutating func append(_ left: some Collection<UInt8>, _ right: some Collection<UInt8>) throws(PithError) {
        guard merges.count < Tokenizer.tokenLimit else { throw .data("has too many elements") }
        joined.removeAll(keepingCapacity: true)
        joined += left
        joined += right
        let tokens = joined.withUnsafeBufferPointer { joined in
            (
                vocabulary.modelToken(UnsafeBufferPointer(rebasing: joined[..<left.count])),
                vocabulary.modelToken(UnsafeBufferPointer(rebasing: joined[left.count...]))
            )
        }
        if prefixLength > 0 { joined.removeSubrange(left.count..<min(left.count + prefixLength, joined.count)) }
        let result = last?.text == joined ? last?.token : joined.withUnsafeBufferPointer { vocabulary.modelToken($0) }
        guard case (let leftToken?, let rightToken?) = tokens, let result else {
            let names = [Array(left), Array(right)].map { "'\(String(decoding: $0, as: UTF8.self).shortened)'" }
            throw .data("element \(merges.count), \(names.joined(separator: " and ")), is not in the vocabulary")
        }
        if last?.token != result { last = (joined, result) }
        merges.append((leftToken, rightToken, result))
    }
}
