import PithCore

/// How a text is cut into words, which are then encoded one by one: steps in order.
struct PreTokenizer: Sendable {
    enum Step: Sendable {
        /// Every character of `\p{N}` alone, or every run of them.
        case digits(individually: Bool)
        /// The words of a pattern.
        case words(WordPattern)
        /// Every run of `\p{P}`, `$`, `+`, `<`, `=`, `>`, `^`, `~` and `|` a word of its own.
        case punctuation
        /// Every character that BERT takes for punctuation a word of its own.
        case singlePunctuation
        /// Runs of spaces dropped.
        case withoutSpaces
        /// Threes of the digits 0 to 9, from the left.
        case digitTriples
        /// A literal text, each occurrence a word of its own or dropped.
        case literal([UInt8], isDropped: Bool)
        /// One space before a text that has none.
        case prefixSpace
        /// Spaces become `replacement`, and a text may get one before it.
        case metaspace(replacement: [UInt8], prepend: PrependScheme, splits: Bool)
    }

    /// When Metaspace puts a mark before a text.
    enum PrependScheme: String {
        case always, first, never
    }

    /// A part of a text in UTF-8.
    struct Piece {
        var text: TrackedText
        /// Whether it is the very beginning.
        var isFirst: Bool

        var bytes: ArraySlice<UInt8> { text.bytes }
    }

    private(set) var steps: [Step] = []
    /// Whether the vocabulary stands for bytes.
    private(set) var isByteLevel = false

    /// Some steps, before bytes are encoded or, if not `isByteLevel`, characters.
    init(_ steps: [Step], isByteLevel: Bool) { (self.steps, self.isByteLevel) = (steps, isByteLevel) }

    /// Reads the `pre_tokenizer` of a tokenizer file; nil stands for a missing one.
    init(_ reader: JSONReader?) throws(PithError) {
        if let reader { try append(reader) }
    }

    private mutating func append(_ reader: JSONReader) throws(PithError) {
        let type = try reader.member("type").text()
        guard !isByteLevel else { throw reader.failure("'\(type.shortened)' after ByteLevel is not supported") }
        switch type {
        case "Sequence": for item in try reader.member("pretokenizers").array() { try append(item) }
        case "ByteLevel":
            isByteLevel = true
            if try reader.optional("add_prefix_space")?.flag() ?? true { steps.append(.prefixSpace) }
            if try reader.optional("use_regex")?.flag() ?? true { steps.append(.words(.gpt2)) }
        case "BertPreTokenizer": steps += [.withoutSpaces, .singlePunctuation]
        case "WhitespaceSplit": steps.append(.withoutSpaces)
        case "Digits": steps.append(.digits(individually: try reader.optional("individual_digits")?.flag() ?? false))
        case "Split": steps.append(try Self.split(reader))
        case "Metaspace": steps.append(try Self.metaspace(reader))
        default: throw reader.unsupported("pre-tokenizer", type)
        }
    }

    private static func split(_ reader: JSONReader) throws(PithError) -> Step {
        let behavior = try reader.member("behavior").text()
        let isInverted = try reader.optional("invert")?.flag() ?? false
        guard let expression = try reader.member("pattern").optional("Regex") else {
            guard ["Isolated", "Removed"].contains(behavior), !isInverted else {
                throw reader.unsupported("behaviour", behavior)
            }
            return .literal(Array(try reader.literalPattern().utf8), isDropped: behavior == "Removed")
        }
        guard let pattern = WordPattern(expression: try expression.text()) else {
            throw expression.failure("the expression '\(try expression.text())' is not known")
        }
        // The known patterns leave nothing between their matches, so that these two mean the same.
        guard behavior == "Isolated" || (behavior == "Removed" && isInverted) else {
            throw reader.unsupported("behaviour", behavior)
        }
        return .words(pattern)
    }

    private static func metaspace(_ reader: JSONReader) throws(PithError) -> Step {
        let replacement = try reader.member("replacement")
        guard try replacement.text().unicodeScalars.count == 1 else {
            throw replacement.failure("should be one character")
        }
        return .metaspace(
            replacement: Array(try replacement.text().utf8), prepend: try PrependScheme(metaspace: reader),
            splits: try reader.optional("split")?.flag() ?? true)
    }

    /// The words of a text in UTF-8; `isFirst` tells whether it is the very beginning.
    func words(in text: TrackedText, isFirst: Bool) -> [Piece] {
        guard !text.bytes.isEmpty else { return [] }
        var pieces = [Piece(text: text, isFirst: isFirst)]
        for step in steps {
            var next: [Piece] = []
            next.reserveCapacity(pieces.count)
            for piece in pieces { Self.apply(step, to: piece, into: &next) }
            pieces = next
        }
        return pieces
    }

    private static func apply(_ step: Step, to piece: Piece, into result: inout [Piece]) {
        switch step {
        case .prefixSpace:
            let space = UInt8(ascii: " ")
            result.append(piece.bytes.first == space ? piece : piece.preceded(by: [space]))
        case .words(let pattern):
            piece.bytes.withUnsafeBufferPointer { buffer in
                pattern.forEachWord(in: buffer) { result.append(piece.part($0)) }
            }
        case .digits(let individually): splitDigits(piece, individually: individually, into: &result)
        case .punctuation: split(piece, into: &result, runLength: .max, isMatch: \.isPunctuationOrOperator)
        case .singlePunctuation: split(piece, into: &result, runLength: 1, isMatch: \.isPunctuationOfBert)
        case .withoutSpaces:
            let runs = piece.bytes.runs(where: \.properties.isWhitespace)
            append(runs, of: piece, to: &result, isDropped: true)
        case .digitTriples: split(piece, into: &result, runLength: 3) { ("0"..."9").contains($0) }
        case .literal(let literal, let isDropped):
            append(piece.bytes.occurrences(of: literal), of: piece, to: &result, isDropped: isDropped)
        case .metaspace(let replacement, let prepend, let splits):
            let marked = mark(piece, replacement, prepend)
            guard splits else {
                result.append(marked)
                return
            }
            var start = 0
            for (range, isMatch) in marked.bytes.occurrences(of: replacement) where isMatch && range.lowerBound > 0 {
                result.append(marked.part(start..<range.lowerBound))
                start = range.lowerBound
            }
            result.append(marked.part(start..<marked.bytes.count))
        }
    }

    /// Makes a word of each part; those that match may be dropped.
    private static func append(
        _ parts: [(range: Range<Int>, isMatch: Bool)], of piece: Piece, to result: inout [Piece], isDropped: Bool
    ) {
        var dropped = 0
        for (range, isMatch) in parts {
            var part = piece.part(range)
            if isMatch && isDropped {
                dropped += part.text.count
            } else {
                // What is dropped counts for the word behind it.
                if part.text.addToFirst(dropped) { dropped = 0 }
                result.append(part)
            }
        }
    }

    private static func mark(_ piece: Piece, _ replacement: [UInt8], _ prepend: PrependScheme) -> Piece {
        var rewriter = TextRewriter(piece.text)
        for (range, isMatch) in piece.bytes.occurrences(of: [UInt8(ascii: " ")]) {
            if isMatch { rewriter.write(replacement, for: 1) } else { rewriter.copy(range.count) }
        }
        let marked = Piece(text: rewriter.finish(), isFirst: piece.isFirst)
        let isWanted = prepend == .always || (prepend == .first && piece.isFirst)
        return isWanted && !marked.bytes.starts(with: replacement) ? marked.preceded(by: replacement) : marked
    }

    /// Makes a word of each run of so many characters that match (of any number if it is `.max`), and of what lies
    /// between two.
    private static func split(
        _ piece: Piece, into result: inout [Piece], runLength: Int, isMatch: (Unicode.Scalar) -> Bool
    ) {
        var (start, run, runStart, position) = (0, 0, 0, 0)
        func append(_ range: Range<Int>) { if !range.isEmpty { result.append(piece.part(range)) } }
        func finishRun() {
            if run == runLength || runLength == .max && run > 0 {
                append(start..<runStart)
                append(runStart..<position)
                start = position
            }
            run = 0
        }
        for scalar in Substring(decoding: piece.bytes, as: UTF8.self).unicodeScalars {
            if isMatch(scalar) {
                if run == 0 { runStart = position }
                run += 1
            } else {
                finishRun()
            }
            position += UTF8.width(scalar)
            if run == runLength { finishRun() }
        }
        finishRun()
        append(start..<position)
    }

    private static func splitDigits(_ piece: Piece, individually: Bool, into result: inout [Piece]) {
        piece.bytes.withUnsafeBufferPointer { buffer in
            ClassifiedText.withText(buffer) { text in
                var (start, position) = (0, 0)
                var wasNumber = false
                while position < text.count {
                    let (kind, next) = text.character(at: position)
                    let isNumber = kind == .number
                    if position > start, isNumber != wasNumber || (isNumber && individually) {
                        result.append(piece.part(start..<position))
                        start = position
                    }
                    (wasNumber, position) = (isNumber, next)
                }
                result.append(piece.part(start..<position))
            }
        }
    }
}

extension Unicode.Scalar {
    fileprivate var isPunctuationOrOperator: Bool {
        switch properties.generalCategory {
        case .connectorPunctuation, .dashPunctuation, .openPunctuation, .closePunctuation, .initialPunctuation,
            .finalPunctuation, .otherPunctuation:
            true
        default: "$+<=>^~|".unicodeScalars.contains(self)
        }
    }
}

extension PreTokenizer.PrependScheme {
    /// Reads the scheme of a Metaspace, which was a truth value before it was a name.
    init(metaspace reader: JSONReader) throws(PithError) {
        guard let name = try reader.optional("prepend_scheme") else {
            self = try reader.optional("add_prefix_space")?.flag() == false ? .never : .always
            return
        }
        guard let known = Self(rawValue: try name.text()) else {
            throw name.unsupported("prepend scheme", try name.text())
        }
        self = known
    }
}

extension PreTokenizer.Piece {
    /// The part in a range of offsets from the beginning.
    func part(_ range: Range<Int>) -> PreTokenizer.Piece {
        PreTokenizer.Piece(text: text[range], isFirst: isFirst && range.lowerBound == 0)
    }

    /// The same with bytes before it that stand for nothing.
    fileprivate func preceded(by bytes: [UInt8]) -> PreTokenizer.Piece {
        var rewriter = TextRewriter(text)
        rewriter.write(bytes, for: 0)
        rewriter.copy(text.bytes.count)
        return PreTokenizer.Piece(text: rewriter.finish(), isFirst: isFirst)
    }
}

extension ArraySlice<UInt8> {
    /// The occurrences of `pattern` and what lies between them, as offsets from the beginning; none is empty.
    package func occurrences(of pattern: [UInt8]) -> [(range: Range<Int>, isMatch: Bool)] {
        var result: [(range: Range<Int>, isMatch: Bool)] = []
        var (start, position) = (0, 0)
        while let first = pattern.first, position + pattern.count <= count {
            let index = startIndex + position
            if self[index] == first, self[index..<index + pattern.count].elementsEqual(pattern) {
                if start < position { result.append((start..<position, false)) }
                result.append((position..<position + pattern.count, true))
                position += pattern.count
                start = position
            } else {
                position += 1
            }
        }
        if start < count { result.append((start..<count, false)) }
        return result
    }

    /// The runs of characters that match and what lies between them, as offsets from the beginning; none is empty.
    func runs(where isMatch: (Unicode.Scalar) -> Bool) -> [(range: Range<Int>, isMatch: Bool)] {
        var result: [(range: Range<Int>, isMatch: Bool)] = []
        var (start, position, isRun) = (0, 0, false)
        for scalar in Substring(decoding: self, as: UTF8.self).unicodeScalars {
            let matches = isMatch(scalar)
            if matches != isRun {
                if start < position { result.append((start..<position, isRun)) }
                (start, isRun) = (position, matches)
            }
            position += UTF8.width(scalar)
        }
        if start < position { result.append((start..<position, isRun)) }
        return result
    }
}
