import PithCore

/// What is done to a text before it is cut into words: steps in order.
struct Normalizer: Sendable {
    enum Step: Sendable {
        case form(NormalizationForm)
        case lowercase
        /// Control characters dropped, every space a plain one.
        case cleaned
        /// Spaces around each Chinese character.
        case spacedIdeographs
        /// Marks above and below letters dropped, which must stand for themselves.
        case withoutMarks
        case replace(String, by: String)
        case prepend(String)
        case strip(left: Bool, right: Bool)
    }

    private(set) var steps: [Step] = []
    private var growth = 1

    /// Some steps.
    init(_ steps: [Step]) { self.steps = steps }

    /// Reads the `normalizer` of a tokenizer file; nil stands for a missing one.
    init(_ reader: JSONReader?) throws(PithError) {
        if let reader { try append(reader) }
    }

    private mutating func append(_ reader: JSONReader) throws(PithError) {
        switch try reader.member("type").text() {
        case "Sequence": for item in try reader.member("normalizers").array() { try append(item) }
        case "NFC": steps.append(.form(.canonicalComposition))
        case "NFKC": steps.append(.form(.compatibilityComposition))
        case "NFD": steps.append(.form(.canonicalDecomposition))
        case "NFKD": steps.append(.form(.compatibilityDecomposition))
        case "Lowercase": steps.append(.lowercase)
        case "BertNormalizer": try appendBert(reader)
        case "Prepend": steps.append(.prepend(try reader.member("prepend").text()))
        case "Replace":
            let (pattern, content) = try reader.replacement(growth: &growth)
            steps.append(.replace(pattern, by: content))
        case "Strip":
            steps.append(
                .strip(
                    left: try reader.member("strip_left").flag(), right: try reader.member("strip_right").flag()))
        case let type: throw reader.unsupported("normalizer", type)
        }
    }

    private mutating func appendBert(_ reader: JSONReader) throws(PithError) {
        func flag(_ key: String) throws(PithError) -> Bool? { try reader.optional(key)?.flag() }
        let lowercases = try flag("lowercase") ?? true
        if try flag("clean_text") ?? true { steps.append(.cleaned) }
        if try flag("handle_chinese_chars") ?? true { steps.append(.spacedIdeographs) }
        if try flag("strip_accents") ?? lowercases { steps += [.form(.canonicalDecomposition), .withoutMarks] }
        if lowercases { steps.append(.lowercase) }
    }

    /// The text, valid UTF-8, after all steps.
    func apply(_ text: TrackedText) -> TrackedText { steps.reduce(text) { Self.apply($1, to: $0) } }

    private static func apply(_ step: Step, to text: TrackedText) -> TrackedText {
        switch step {
        case .form(let form): return form.apply(to: text)
        case .lowercase: return mapped(text) { $0.lowercase }
        case .cleaned: return mapped(text) { $0.isDroppedByBert ? [] : $0.isSpaceOfBert ? space : nil }
        case .spacedIdeographs:
            return mapped(text) { $0.isIdeographOfBert ? space + Array(String($0).utf8) + space : nil }
        case .withoutMarks: return mapped(text) { $0.isMarkOfBert ? [] : nil }
        case .replace(let pattern, let content): return replaced(text, Array(pattern.utf8), by: Array(content.utf8))
        case .prepend(let prefix):
            guard !text.bytes.isEmpty else { return text }
            var rewriter = TextRewriter(text)
            rewriter.write(prefix.utf8, for: 0)
            rewriter.copy(text.bytes.count)
            return rewriter.finish()
        case .strip(let left, let right): return stripped(text, left: left, right: right)
        }
    }

    private static let space = [UInt8(ascii: " ")]

    /// The text with each character replaced by what `change` makes of it; nil leaves it.
    private static func mapped(_ text: TrackedText, _ change: (Unicode.Scalar) -> [UInt8]?) -> TrackedText {
        var rewriter = TextRewriter(text)
        // What stays is copied in one piece.
        var kept = 0
        for scalar in Substring(decoding: text.bytes, as: UTF8.self).unicodeScalars {
            let width = UTF8.width(scalar)
            if let bytes = change(scalar) {
                rewriter.copy(kept)
                rewriter.write(bytes, for: width)
                kept = 0
            } else {
                kept += width
            }
        }
        rewriter.copy(kept)
        return rewriter.finish()
    }

    private static func replaced(_ text: TrackedText, _ pattern: [UInt8], by content: [UInt8]) -> TrackedText {
        var rewriter = TextRewriter(text)
        for (range, isMatch) in text.bytes.occurrences(of: pattern) {
            if isMatch { rewriter.write(content, for: range.count) } else { rewriter.copy(range.count) }
        }
        return rewriter.finish()
    }

    private static func stripped(_ text: TrackedText, left: Bool, right: Bool) -> TrackedText {
        let bytes = text.bytes
        var (start, end) = (bytes.startIndex, bytes.endIndex)
        while left, start < end, let first = bytes.firstScalar(from: start), first.properties.isWhitespace {
            start += UTF8.width(first)
        }
        while right, start < end, let last = bytes.lastScalar(before: end), last.properties.isWhitespace {
            end -= UTF8.width(last)
        }
        var rewriter = TextRewriter(text)
        rewriter.write([], for: start - bytes.startIndex)
        rewriter.copy(end - start)
        return rewriter.finish()
    }
}

extension Unicode.Scalar {
    /// The small letter, in UTF-8; nil if it is the character itself.
    fileprivate var lowercase: [UInt8]? {
        if value < 0x80 { return (0x41...0x5A).contains(value) ? [UInt8(value) | 0x20] : nil }
        let mapping = properties.lowercaseMapping
        return mapping.unicodeScalars.elementsEqual([self]) ? nil : Array(mapping.utf8)
    }
}

extension JSONReader {
    /// The `pattern` of a Replace: a plain text, or an expression that is one.
    func literalPattern() throws(PithError) -> String {
        let pattern = try member("pattern")
        let literal: String
        if let text = try pattern.optional("String") {
            literal = try text.text()
        } else {
            let expression = try pattern.member("Regex")
            literal = try expression.text()
            guard !literal.contains(where: { #"\^$.|?*+()[]{}"#.contains($0) }) else {
                throw expression.failure(
                    "the expression '\(literal.shortened)' is not supported", remedy: "plain texts are")
            }
        }
        guard !literal.isEmpty else { throw pattern.failure("is empty") }
        return literal
    }

    /// The two sides of a Replace.
    ///
    /// Replacements that follow each other multiply the length of a text; `growth` bounds how much all together may.
    func replacement(growth: inout Int) throws(PithError) -> (pattern: String, content: String) {
        let (pattern, content) = (try literalPattern(), try member("content").text())
        growth *= max(1, (content.utf8.count + pattern.utf8.count - 1) / pattern.utf8.count)
        guard growth <= 1 << 12 else { throw failure("makes texts more than \(1 << 12) times as long") }
        return (pattern, content)
    }

    /// An error that names a part of a tokenizer file that is not known here.
    func unsupported(_ what: String, _ type: String) -> PithError {
        failure("the \(what) '\(type.shortened)' is not supported")
    }
}

extension String {
    /// The text with every occurrence of the bytes of `pattern` replaced.
    func replacingExactly(_ pattern: String, by content: String) -> String {
        let (text, pattern, content) = (Array(utf8), Array(pattern.utf8), Array(content.utf8))
        guard let first = pattern.first, text.count >= pattern.count else { return self }
        var result: [UInt8] = []
        result.reserveCapacity(text.count)
        var i = 0
        while i < text.count {
            if text[i] == first, text[i...].starts(with: pattern) {
                result.append(contentsOf: content)
                i += pattern.count
            } else {
                result.append(text[i])
                i += 1
            }
        }
        return String(decoding: result, as: UTF8.self)
    }
}
