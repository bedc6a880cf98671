import PithCore

/// How a text is cut into words, which are then encoded one by one: steps in order.
struct PreTokenizer: Sendable {
    enum Step: Sendable {
        /// The words of a pattern, which leave nothing between them.
        case words(WordPattern)
        /// The matches of something and what lies between them.
        case split(Splitter, SplitBehavior, isInverted: Bool)
        /// One space before a text that has none.
        case prefixSpace
        /// The characters of the byte alphabet in the place of bytes.
        case byteLevel
        /// Spaces become `replacement`, and a text may get one before it.
        case metaspace(replacement: [UInt8], prepend: PrependScheme, splits: Bool)
        /// Pieces of so many characters.
        case fixedLength(Int)
        /// Pieces of one script.
        case scripts
    }

    /// What a text is cut at.
    enum Splitter: Sendable {
        case pattern(TextPattern)
        case characters(ScalarSet)
    }

    /// What becomes of matches.
    enum SplitBehavior: String {
        case removed = "Removed"
        case isolated = "Isolated"
        case mergedWithPrevious = "MergedWithPrevious"
        case mergedWithNext = "MergedWithNext"
        case contiguous = "Contiguous"
    }

    /// When Metaspace puts a mark before a text.
    enum PrependScheme: String {
        case always, first, never
    }

    private(set) var steps: [Step] = []
    /// Whether the last step makes characters of bytes, so that a byte-level model may take the bytes themselves.
    private(set) var endsByteLevel = false

    /// Reads the `pre_tokenizer` of a tokenizer file; nil stands for a missing one.
    init(_ reader: JSONReader?) throws(PithError) {
        if let reader { try append(reader) }
        if case .byteLevel? = steps.last { endsByteLevel = true }
    }

    /// The same without the last step, for a model that takes bytes.
    func takingBytes() -> PreTokenizer {
        var copy = self
        if endsByteLevel { copy.steps.removeLast() }
        return copy
    }

    /// Whether words depend on where in the text as it came they begin, and more than the first piece is concerned.
    var needsOrigins: Bool {
        steps.dropFirst().contains { if case .metaspace(_, .first, _) = $0 { true } else { false } }
    }

    /// Whether words depend on where in the text as it came they begin.
    var usesOrigins: Bool {
        steps.contains { if case .metaspace(_, .first, _) = $0 { true } else { false } }
    }

    private mutating func append(_ reader: JSONReader) throws(PithError) {
        let type = try reader.member("type").text()
        switch type {
        case "Sequence": for item in try reader.member("pretokenizers").array() { try append(item) }
        case "ByteLevel":
            if try reader.optional("add_prefix_space")?.flag() ?? true { steps.append(.prefixSpace) }
            if try reader.optional("use_regex")?.flag() ?? true { steps.append(.words(.gpt2)) }
            steps.append(.byteLevel)
        case "BertPreTokenizer":
            steps.append(.split(.characters(.spaces), .removed, isInverted: false))
            steps.append(.split(.characters(.punctuationOfBert), .isolated, isInverted: false))
        case "Whitespace":
            // Its words are those of Unicode, and not those of expressions.
            let kinds = [ScalarSet.unicodeWordCodes, ~ScalarSet.unicodeWordCodes & ~ScalarSet.spaceCodes]
            let runs = kinds.map { Expression.Node.loop(.set(ScalarSet(codes: $0)), least: 1, most: .max, .greedy) }
            let words = TextPattern.expression(try Expression(.alternatives(runs), type))
            steps.append(.split(.pattern(words), .removed, isInverted: true))
        case "WhitespaceSplit": steps.append(.split(.characters(.spaces), .removed, isInverted: false))
        case "Punctuation":
            let behavior = try reader.optional("behavior").map { (item) throws(PithError) in try Self.behavior(item) }
            steps.append(.split(.characters(.punctuationOfBert), behavior ?? .isolated, isInverted: false))
        case "Digits":
            let individually = try reader.optional("individual_digits")?.flag() ?? false
            steps.append(.split(.characters(.numbers), individually ? .isolated : .contiguous, isInverted: false))
        case "CharDelimiterSplit":
            let delimiter = try Self.character(reader.member("delimiter"))
            steps.append(.split(.pattern(.literal(delimiter)), .removed, isInverted: false))
        case "Split": steps.append(try Self.split(reader))
        case "Metaspace":
            steps.append(
                .metaspace(
                    replacement: try Self.character(reader.member("replacement")),
                    prepend: try PrependScheme(metaspace: reader),
                    splits: try reader.optional("split")?.flag() ?? true))
        case "FixedLength":
            steps.append(.fixedLength(try reader.optional("length")?.integer(in: 1...Int.max) ?? 5))
        case "UnicodeScripts": steps.append(.scripts)
        default: throw reader.unsupported("pre-tokenizer", type)
        }
    }

    private static func character(_ reader: JSONReader) throws(PithError) -> [UInt8] {
        let text = try reader.text()
        guard text.unicodeScalars.count == 1 else { throw reader.failure("should be one character") }
        return Array(text.utf8)
    }

    private static func behavior(_ reader: JSONReader) throws(PithError) -> SplitBehavior {
        guard let behavior = SplitBehavior(rawValue: try reader.text()) else {
            throw reader.unsupported("behaviour", try reader.text())
        }
        return behavior
    }

    private static func split(_ reader: JSONReader) throws(PithError) -> Step {
        let behavior = try behavior(reader.member("behavior"))
        let isInverted = try reader.optional("invert")?.flag() ?? false
        // The known patterns leave nothing between their matches, so that these two mean the same.
        if (behavior == .isolated && !isInverted) || (behavior == .removed && isInverted),
            let expression = try reader.member("pattern").optional("Regex"),
            let pattern = WordPattern(expression: try expression.text())
        {
            return .words(pattern)
        }
        return .split(.pattern(try reader.textPattern()), behavior, isInverted: isInverted)
    }

    /// Cuts the pieces of a text into words, in place; pieces that are tokens already stay.
    func apply(to text: inout PieceText) { for step in steps { Self.apply(step, to: &text) } }

    private static func apply(_ step: Step, to text: inout PieceText) {
        switch step {
        case .words(let pattern):
            text.cut { bytes, _, add in pattern.forEachWord(in: bytes) { add($0) } }
        case .split(let splitter, let behavior, let isInverted):
            text.cut { bytes, _, add in
                var joiner = SplitJoiner(behavior, isInverted: isInverted)
                splitter.forEachPart(in: bytes) { range, isMatch in joiner.take(range, isMatch, add) }
                joiner.finish(add)
            }
        case .fixedLength(let length):
            text.cut { bytes, _, add in
                var (start, place, count) = (0, 0, 0)
                while place < bytes.count {
                    place += UTF8.width(leading: bytes[place])
                    count += 1
                    guard count == length || place >= bytes.count else { continue }
                    add(start..<place)
                    (start, count) = (place, 0)
                }
            }
        case .scripts: text.cut { bytes, _, add in forEachWordOfOneScript(in: bytes, add) }
        case .prefixSpace:
            text.rewrite { writer, piece in
                if writer.source.bytes[piece.start] != UInt8(ascii: " ") { writer.prepend([UInt8(ascii: " ")]) }
                writer.keep(piece.end - writer.position)
            }
        case .byteLevel:
            text.rewrite { writer, piece in ByteAlphabet.rewrite(&writer, to: piece.end) }
        case .metaspace(let replacement, let prepend, let splits):
            mark(&text, replacement, prepend)
            guard splits else { return }
            let splitter = Splitter.pattern(.literal(replacement))
            text.cut { bytes, _, add in
                var joiner = SplitJoiner(.mergedWithNext, isInverted: false)
                splitter.forEachPart(in: bytes) { range, isMatch in joiner.take(range, isMatch, add) }
                joiner.finish(add)
            }
        }
    }

    private static func mark(_ text: inout PieceText, _ replacement: [UInt8], _ prepend: PrependScheme) {
        text.rewrite { writer, piece in
            let bytes = writer.source.bytes
            let part = bytes[piece.start..<piece.end]
            let isMarked = bytes[piece.start] == UInt8(ascii: " ") || part.starts(with: replacement)
            let isWanted = prepend == .always || (prepend == .first && piece.origin == 0)
            if isWanted && !isMarked { writer.prepend(replacement) }
            while let space = bytes[writer.position..<piece.end].firstIndex(of: UInt8(ascii: " ")) {
                writer.keep(space - writer.position)
                writer.replace(1, by: replacement)
            }
            writer.keep(piece.end - writer.position)
        }
    }
}

extension PreTokenizer.Splitter {
    /// Calls `body` with all matches and what lies between them, in order.
    fileprivate func forEachPart(in bytes: UnsafeBufferPointer<UInt8>, _ body: (Range<Int>, Bool) -> Void) {
        var end = 0
        func take(_ match: Range<Int>) {
            if end < match.lowerBound { body(end..<match.lowerBound, false) }
            body(match, true)
            end = match.upperBound
        }
        switch self {
        case .pattern(let pattern): pattern.forEachMatch(in: bytes, take)
        case .characters(let set):
            var place = 0
            while place < bytes.count {
                let (value, width) = character(bytes, at: place)
                if set.contains(value) { take(place..<place + width) }
                place += width
            }
        }
        if end < bytes.count { body(end..<bytes.count, false) }
    }
}

/// Calls `add` with the parts of a text between which the script changes. What stands before the first character of a
/// script is left out, as by the reference.
private func forEachWordOfOneScript(in bytes: UnsafeBufferPointer<UInt8>, _ add: (Range<Int>) -> Void) {
    var (start, script, place) = (Int?.none, UInt8(0), 0)
    while place < bytes.count {
        let (value, width) = character(bytes, at: place)
        let next = ScriptTable.script(of: value)
        if next != 0, next != script {
            if let start { add(start..<place) }
            (start, script) = (place, next)
        }
        place += width
    }
    if let start { add(start..<bytes.count) }
}

/// Makes words of matches and what lies between them.
private struct SplitJoiner {
    private let behavior: PreTokenizer.SplitBehavior
    private let isInverted: Bool
    /// What may still grow, and whether the part taken last was a match.
    private var open: Range<Int>?
    private var wasMatch = false

    init(_ behavior: PreTokenizer.SplitBehavior, isInverted: Bool) {
        (self.behavior, self.isInverted) = (behavior, isInverted)
    }

    mutating func take(_ range: Range<Int>, _ isFound: Bool, _ add: (Range<Int>) -> Void) {
        let isMatch = isFound != isInverted
        switch behavior {
        case .isolated: add(range)
        case .removed: if !isMatch { add(range) }
        case .contiguous: extend(range, isMatch == wasMatch, add)
        case .mergedWithPrevious: extend(range, isMatch && !wasMatch, add)
        // The first of several matches is a word of its own; only the last belongs to what follows.
        case .mergedWithNext: extend(range, wasMatch && !isMatch, add)
        }
        wasMatch = isMatch
    }

    private mutating func extend(_ range: Range<Int>, _ isJoined: Bool, _ add: (Range<Int>) -> Void) {
        if isJoined, let open {
            self.open = open.lowerBound..<range.upperBound
        } else {
            finish(add)
            open = range
        }
    }

    mutating func finish(_ add: (Range<Int>) -> Void) {
        if let open { add(open) }
        open = nil
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
