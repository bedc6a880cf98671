import PithCore

/// A token that is found in the text before anything else is done to it.
struct AddedToken: Sendable {
    var content: String
    var number: Int
    /// Whether it means something to the model and is left out of plain text.
    var isSpecial: Bool
    /// Whether it is looked for after normalisation.
    var isNormalized: Bool
    /// Whether it takes the space before or after it along.
    var stripsLeft: Bool
    var stripsRight: Bool
    /// Whether it may not touch other words.
    var isSingleWord: Bool

    /// A token that is looked for in the text as it came and takes nothing along.
    init(content: String, number: Int, isSpecial: Bool) {
        (self.content, self.number, self.isSpecial) = (content, number, isSpecial)
        (isNormalized, stripsLeft, stripsRight, isSingleWord) = (false, false, false, false)
    }

    /// Those under `added_tokens` of a tokenizer file that have a text.
    static func all(_ reader: JSONReader) throws(PithError) -> [AddedToken] {
        var added: [AddedToken] = []
        for item in try reader.optional("added_tokens")?.array() ?? [] {
            let token = try AddedToken(item)
            if !token.content.isEmpty { added.append(token) }
        }
        return added
    }

    /// As it stands in tokenizer files.
    var json: JSONValue {
        [
            "id": .integer(number), "content": .string(content), "single_word": .bool(isSingleWord),
            "lstrip": .bool(stripsLeft), "rstrip": .bool(stripsRight), "normalized": .bool(isNormalized),
            "special": .bool(isSpecial),
        ]
    }

    init(_ reader: JSONReader) throws(PithError) {
        content = try reader.member("content").text()
        number = try reader.member("id").integer(in: 0...Tokenizer.tokenLimit)
        isSpecial = try reader.optional("special")?.flag() ?? false
        isNormalized = try reader.optional("normalized")?.flag() ?? !isSpecial
        stripsLeft = try reader.optional("lstrip")?.flag() ?? false
        stripsRight = try reader.optional("rstrip")?.flag() ?? false
        isSingleWord = try reader.optional("single_word")?.flag() ?? false
    }
}

/// Finds added tokens in a text: the leftmost, and of several there the longest.
struct AddedTokenFinder: Sendable {
    /// A part of a text: a token, or what lies between two.
    struct Part {
        var range: Range<Int>
        var token: Int?
    }

    private let tokens: [AddedToken]
    /// Their places in `tokens`, by their bytes.
    private var places = ByteTrie(capacity: 64)
    private var firstBytes = ByteSet()

    /// A finder of tokens whose texts are taken through `normalize`; of those with one text the first is found.
    init(_ tokens: [AddedToken], normalize: (String) -> String = { $0 }) throws(PithError) {
        self.tokens = tokens
        for (place, token) in tokens.enumerated() {
            let bytes = normalize(token.content).utf8
            guard let first = bytes.first, places.node(bytes).flatMap(places.token) == nil else { continue }
            do { try places.insert(bytes, place) } catch { throw error.within("key added_tokens") }
            firstBytes.insert(first)
        }
    }

    /// Cuts a text in UTF-8 into tokens and the rest; `matchesSpecial` says whether special tokens are found.
    func split(_ text: [UInt8], matchesSpecial: Bool) -> [Part] {
        var parts: [Part] = []
        var start = 0
        if !tokens.isEmpty {
            forEachMatch(in: text) { range, token in
                guard matchesSpecial || !token.isSpecial,
                    let wide = Self.extent(of: range, token, in: text, notBefore: start)
                else { return }
                if start < wide.lowerBound { parts.append(Part(range: start..<wide.lowerBound)) }
                parts.append(Part(range: wide, token: token.number))
                start = wide.upperBound
            }
        }
        if start < text.count { parts.append(Part(range: start..<text.count)) }
        return parts
    }

    private func forEachMatch(in text: [UInt8], _ body: (Range<Int>, AddedToken) -> Void) {
        text.withUnsafeBufferPointer { text in
            var position = 0
            while position < text.count {
                // Most bytes begin no token.
                guard firstBytes.contains(text[position]) else {
                    position += 1
                    continue
                }
                guard let match = places.longestMatch(in: text, from: position) else {
                    position += 1
                    continue
                }
                body(position..<match.end, tokens[match.token])
                position = match.end
            }
        }
    }

    /// The range that a match takes; nil if it touches a word and may not.
    private static func extent(
        of match: Range<Int>, _ token: AddedToken, in text: [UInt8], notBefore start: Int
    ) -> Range<Int>? {
        if token.isSingleWord {
            let before = text.lastScalar(before: match.lowerBound)
            let after = text.firstScalar(from: match.upperBound)
            if before?.isOfWord == true || after?.isOfWord == true { return nil }
        }
        var (lower, upper) = (max(match.lowerBound, start), match.upperBound)
        while token.stripsLeft, lower > start, let scalar = text.lastScalar(before: lower),
            scalar.properties.isWhitespace
        {
            lower -= UTF8.width(scalar)
        }
        while token.stripsRight, let scalar = text.firstScalar(from: upper), scalar.properties.isWhitespace {
            upper += UTF8.width(scalar)
        }
        return upper > lower ? lower..<upper : nil
    }
}

extension RandomAccessCollection<UInt8> where Index == Int, SubSequence: Collection<UInt8> {
    /// The scalar that begins at `index` of valid UTF-8; nil at the end.
    func firstScalar(from index: Int) -> Unicode.Scalar? {
        guard index < endIndex else { return nil }
        if self[index] < 0x80 { return Unicode.Scalar(self[index]) }
        return Substring(decoding: self[index..<Swift.min(index + 4, endIndex)], as: UTF8.self).unicodeScalars.first
    }

    /// The scalar that ends before `offset`; nil at the beginning.
    func lastScalar(before offset: Int) -> Unicode.Scalar? {
        var start = offset - 1
        guard start >= startIndex else { return nil }
        while start > startIndex, self[start] & 0xC0 == 0x80 { start -= 1 }
        return Substring(decoding: self[start..<offset], as: UTF8.self).unicodeScalars.first
    }
}

extension UTF8 {
    static func width(_ scalar: Unicode.Scalar) -> Int {
        scalar.value < 0x80 ? 1 : scalar.value < 0x800 ? 2 : scalar.value < 0x10000 ? 3 : 4
    }
}

extension Unicode.Scalar {
    /// Whether it is `\w`: a letter, a mark, a decimal digit, a connector or a joiner.
    fileprivate var isOfWord: Bool {
        if properties.isAlphabetic || properties.isJoinControl { return true }
        switch properties.generalCategory {
        case .nonspacingMark, .spacingMark, .enclosingMark, .decimalNumber, .connectorPunctuation: return true
        default: return false
        }
    }
}
