import PithCore

/// What is done to a text before it is cut into words: steps in order.
struct Normalizer: Sendable {
    enum Step: Sendable {
        case form(NormalizationForm)
        case lowercase
        /// Characters of a set dropped.
        case dropped(ScalarSet)
        /// Characters of a set become spaces.
        case spaced(ScalarSet)
        /// Spaces around each Chinese character.
        case spacedIdeographs
        case replace(TextPattern, by: [UInt8])
        case prepend([UInt8])
        case strip(left: Bool, right: Bool)
        case precompiled(PrecompiledMap)
        /// The characters of the byte alphabet.
        case byteLevel
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
        case "NFC": steps.append(.form(.canonicalComposition))
        case "NFKC": steps.append(.form(.compatibilityComposition))
        case "NFD": steps.append(.form(.canonicalDecomposition))
        case "NFKD": steps.append(.form(.compatibilityDecomposition))
        case "Lowercase": steps.append(.lowercase)
        case "StripAccents": steps.append(.dropped(ScalarSet { $0.isCombiningMark }))
        case "Nmt": steps += [.dropped(Self.droppedByNmt), .spaced(Self.spacesOfNmt)]
        case "BertNormalizer": try appendBert(reader)
        case "ByteLevel": steps.append(.byteLevel)
        case "Precompiled":
            let map = try reader.member("precompiled_charsmap")
            do { steps.append(.precompiled(try PrecompiledMap(base64: map.text()))) } catch {
                throw map.failure(error.message)
            }
        case "Prepend": steps.append(.prepend(Array(try reader.member("prepend").text().utf8)))
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
        if try flag("clean_text") ?? true {
            steps += [
                .dropped(ScalarSet { $0.isDroppedByBert }), .spaced(ScalarSet { $0.isSpaceOfBert }),
            ]
        }
        if try flag("handle_chinese_chars") ?? true { steps.append(.spacedIdeographs) }
        if try flag("strip_accents") ?? lowercases {
            steps += [.form(.canonicalDecomposition), .dropped(ScalarSet { $0.isMarkOfBert })]
        }
        if lowercases { steps.append(.lowercase) }
    }

    private static let droppedByNmt = ScalarSet(
        ranges: [0x01...0x08, 0x0B...0x0B, 0x0E...0x1F, 0x7F...0x7F, 0x8F...0x8F, 0x9F...0x9F])
    private static let spacesOfNmt = ScalarSet(
        ranges: [
            0x09...0x0A, 0x0C...0x0D, 0x1680...0x1680, 0x200B...0x200F, 0x2028...0x2029, 0x2581...0x2581,
            0xFEFF...0xFEFF, 0xFFFD...0xFFFD,
        ])

    /// The text, valid UTF-8, after all steps.
    func apply(_ text: AlignedText) -> AlignedText { steps.reduce(text) { Self.apply($1, to: $0) } }

    /// The text after all steps.
    func apply(_ text: String) -> String {
        String(decoding: apply(AlignedText(Array(text.utf8)[...], origin: 0, isTracked: false)).bytes, as: UTF8.self)
    }

    private static func apply(_ step: Step, to text: AlignedText) -> AlignedText {
        switch step {
        case .form(let form): return form.apply(to: text)
        case .lowercase: return lowercased(text)
        case .dropped(let set): return mapped(text, where: set.contains) { writer, _, width in writer.skip(width) }
        case .spaced(let set):
            return mapped(text, where: set.contains) { writer, _, _ in writer.write(" ", change: 0) }
        case .spacedIdeographs:
            return mapped(text) {
                $0 >= 0x3400 && Unicode.Scalar($0)?.isIdeographOfBert == true
            } _: { writer, scalar, _ in
                writer.write(" ", change: 0)
                writer.write(scalar, change: 1)
                writer.write(" ", change: 1)
            }
        case .replace(let pattern, let content): return replaced(text, pattern, by: content)
        case .prepend(let prefix): return prepended(text, prefix)
        case .strip(let left, let right): return stripped(text, left: left, right: right)
        case .precompiled(let map): return map.apply(to: text)
        case .byteLevel: return ByteAlphabet.apply(to: text)
        }
    }

    /// The text with each character that `isChanged` takes written by `write`.
    private static func mapped(
        _ text: AlignedText, where isChanged: (UInt32) -> Bool,
        _ write: (inout AlignedWriter, Unicode.Scalar, Int) -> Void
    ) -> AlignedText {
        var writer = AlignedWriter(text)
        text.bytes.withUnsafeBufferPointer { bytes in
            // What stays is copied in one piece.
            var place = 0
            while place < bytes.count {
                let (value, width) = character(bytes, at: place)
                if isChanged(value), let scalar = Unicode.Scalar(value) {
                    writer.keep(place - writer.position)
                    write(&writer, scalar, width)
                }
                place += width
            }
            writer.keep(place - writer.position)
        }
        return writer.finish()
    }

    private static func lowercased(_ text: AlignedText) -> AlignedText {
        mapped(text) { value in
            if value < 0x80 { return (0x41...0x5A).contains(value) }
            return Unicode.Scalar(value).map { $0.properties.changesWhenLowercased } ?? false
        } _: { writer, scalar, _ in
            for (index, small) in scalar.lowercase.enumerated() { writer.write(small, change: min(index, 1)) }
        }
    }

    private static func replaced(_ text: AlignedText, _ pattern: TextPattern, by content: [UInt8]) -> AlignedText {
        var writer = AlignedWriter(text)
        text.bytes.withUnsafeBufferPointer { bytes in
            pattern.forEachMatch(in: bytes) { match in
                writer.keep(match.lowerBound - writer.position)
                writer.skip(match.count)
                writer.insert(content)
            }
        }
        writer.keep(text.bytes.count - writer.position)
        return writer.finish()
    }

    private static func prepended(_ text: AlignedText, _ prefix: [UInt8]) -> AlignedText {
        guard !text.bytes.isEmpty, !prefix.isEmpty else { return text }
        var writer = AlignedWriter(text)
        writer.prepend(prefix)
        writer.keep(text.bytes.count - writer.position)
        return writer.finish()
    }

    private static func stripped(_ text: AlignedText, left: Bool, right: Bool) -> AlignedText {
        let bytes = text.bytes
        var (start, end) = (0, bytes.count)
        while left, start < end, let first = bytes.firstScalar(from: start), first.properties.isWhitespace {
            start += UTF8.width(first)
        }
        while right, start < end, let last = bytes.lastScalar(before: end), last.properties.isWhitespace {
            end -= UTF8.width(last)
        }
        var writer = AlignedWriter(text)
        writer.skip(start)
        writer.keep(end - start)
        return writer.finish()
    }
}

/// What is looked for in a text: a literal or an expression.
enum TextPattern: Sendable {
    case literal([UInt8])
    case expression(Expression)

    /// Calls `body` with each match in valid UTF-8, in order.
    func forEachMatch(in bytes: UnsafeBufferPointer<UInt8>, _ body: (Range<Int>) -> Void) {
        switch self {
        case .literal(let literal): bytes.forEachOccurrence(of: literal, body)
        case .expression(let expression): expression.forEachMatch(in: bytes, body)
        }
    }
}

extension UnsafeBufferPointer<UInt8> {
    /// Calls `body` with each place of some bytes, from the left; they do not overlap.
    func forEachOccurrence(of literal: [UInt8], _ body: (Range<Int>) -> Void) {
        guard let first = literal.first else { return }
        var place = 0
        while place + literal.count <= count {
            if self[place] == first, literal.indices.allSatisfy({ self[place + $0] == literal[$0] }) {
                body(place..<place + literal.count)
                place += literal.count
            } else {
                place += 1
            }
        }
    }
}

extension ArraySlice<UInt8> {
    /// The occurrences of `pattern` and what lies between them, as offsets from the beginning; none is empty.
    package func occurrences(of pattern: [UInt8]) -> [(range: Range<Int>, isMatch: Bool)] {
        var (result, end) = ([(range: Range<Int>, isMatch: Bool)](), 0)
        withUnsafeBufferPointer { bytes in
            bytes.forEachOccurrence(of: pattern) { match in
                if end < match.lowerBound { result.append((end..<match.lowerBound, false)) }
                result.append((match, true))
                end = match.upperBound
            }
        }
        if end < count { result.append((end..<count, false)) }
        return result
    }
}

extension Unicode.Scalar {
    /// The small letter, or letters.
    fileprivate var lowercase: String.UnicodeScalarView { properties.lowercaseMapping.unicodeScalars }

    fileprivate var isCombiningMark: Bool {
        switch properties.generalCategory {
        case .nonspacingMark, .spacingMark, .enclosingMark: true
        default: false
        }
    }
}

extension JSONReader {
    /// The `pattern` of a Replace or a Split: a text or an expression.
    func textPattern() throws(PithError) -> TextPattern {
        let pattern = try member("pattern")
        if let text = try pattern.optional("String") {
            guard try !text.text().isEmpty else { throw text.failure("is empty") }
            return .literal(Array(try text.text().utf8))
        }
        let expression = try pattern.member("Regex")
        let text = try expression.text()
        if !text.isEmpty, !text.contains(where: { #"\^$.|?*+()[]{}"#.contains($0) }) {
            return .literal(Array(text.utf8))
        }
        do { return .expression(try Expression(text)) } catch { throw expression.failure(error.message) }
    }

    /// The two sides of a Replace.
    ///
    /// Replacements that follow each other multiply the length of a text; `growth` bounds how much all together may.
    func replacement(growth: inout Int) throws(PithError) -> (pattern: TextPattern, content: [UInt8]) {
        let (pattern, content) = (try textPattern(), Array(try member("content").text().utf8))
        if case .literal(let literal) = pattern {
            growth *= max(1, (content.count + literal.count - 1) / literal.count)
        } else {
            growth *= content.count + 1
        }
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
        replacing(.literal(Array(pattern.utf8)), by: Array(content.utf8))
    }

    /// The text with every match replaced.
    func replacing(_ pattern: TextPattern, by content: [UInt8]) -> String {
        let text = Array(utf8)
        var (result, place) = ([UInt8](), 0)
        text.withUnsafeBufferPointer { bytes in
            pattern.forEachMatch(in: bytes) { match in
                result += bytes[place..<match.lowerBound]
                result += content
                place = match.upperBound
            }
        }
        guard place > 0 || !result.isEmpty else { return self }
        result += text[place...]
        return String(decoding: result, as: UTF8.self)
    }
}
