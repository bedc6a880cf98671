import Foundation
import PithCore

/// What is done to a text before it is cut into words: steps in order.
struct Normalizer: Sendable {
    enum Step: Sendable {
        case composeCanonically
        case composeCompatibly
        case decomposeCanonically
        case decomposeCompatibly
        case lowercase
        case replace(String, by: String)
        case prepend(String)
        case strip(left: Bool, right: Bool)
    }

    private(set) var steps: [Step] = []
    private var growth = 1

    /// Reads the `normalizer` of a tokenizer file; nil stands for a missing one.
    init(_ reader: JSONReader?) throws(PithError) {
        if let reader { try append(reader) }
    }

    private mutating func append(_ reader: JSONReader) throws(PithError) {
        switch try reader.member("type").text() {
        case "Sequence": for item in try reader.member("normalizers").array() { try append(item) }
        case "NFC": steps.append(.composeCanonically)
        case "NFKC": steps.append(.composeCompatibly)
        case "NFD": steps.append(.decomposeCanonically)
        case "NFKD": steps.append(.decomposeCompatibly)
        case "Lowercase": steps.append(.lowercase)
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

    /// The text after all steps.
    func apply(_ text: String) -> String { steps.reduce(text) { Self.apply($1, to: $0) } }

    private static func apply(_ step: Step, to text: String) -> String {
        switch step {
        case .composeCanonically: return text.precomposedStringWithCanonicalMapping
        case .composeCompatibly: return text.precomposedStringWithCompatibilityMapping
        case .decomposeCanonically: return text.decomposedStringWithCanonicalMapping
        case .decomposeCompatibly: return text.decomposedStringWithCompatibilityMapping
        case .lowercase: return text.unicodeScalars.reduce(into: "") { $0 += $1.properties.lowercaseMapping }
        case .replace(let pattern, let content): return text.replacingExactly(pattern, by: content)
        case .prepend(let prefix): return text.isEmpty ? text : prefix + text
        case .strip(let left, let right):
            var scalars = Substring(text).unicodeScalars
            while left, let first = scalars.first, first.properties.isWhitespace { scalars.removeFirst() }
            while right, let last = scalars.last, last.properties.isWhitespace { scalars.removeLast() }
            return String(scalars)
        }
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
