import PithCore

/// The tokens of one or two texts with what is known of each.
public struct Encoding: Sendable, Equatable {
    /// The numbers of the tokens.
    public internal(set) var ids: [Int] = []
    /// The texts of the tokens; for what the text has in another form than the vocabulary (unknown pieces, added tokens
    /// with spaces around them), that.
    public internal(set) var pieces: [String] = []
    /// The bytes of the text that each token stands for; `0..<0` for what the text does not have.
    public internal(set) var offsets: [Range<Int>] = []
    /// The same in characters (code points).
    public internal(set) var characterOffsets: [Range<Int>] = []
    /// The types of the tokens, by which a model tells the first text from the second.
    public internal(set) var types: [Int] = []
    /// Whether a token was put around the texts.
    public internal(set) var isAdded: [Bool] = []

    init() {}

    /// A token that is put around texts.
    init(added token: Int, type: Int, piece: String = "") {
        (ids, pieces, offsets, characterOffsets) = ([token], [piece], [0..<0], [0..<0])
        (types, isAdded) = ([type], [true])
    }

    static func += (left: inout Encoding, right: Encoding) {
        left.ids += right.ids
        left.pieces += right.pieces
        left.offsets += right.offsets
        left.characterOffsets += right.characterOffsets
        left.types += right.types
        left.isAdded += right.isAdded
    }

    mutating func setType(_ type: Int) { types = [Int](repeating: type, count: ids.count) }
}

/// What is put around the tokens of texts, and what is done to their offsets: steps in order.
struct PostProcessor: Sendable {
    /// A part of what comes out.
    enum Part: Sendable {
        case text(Int, type: Int)
        case token(Int, type: Int)
    }

    enum Step: Sendable {
        /// Spaces at the ends of tokens stand for nothing.
        case trim(addsPrefixSpace: Bool)
        /// All tokens of texts are of type 0.
        case plainTypes
        /// One text or two, and tokens around them. `isIdle`: where no tokens are added, types stay as well.
        case template(single: [Part], pair: [Part]?, isIdle: Bool)
    }

    private(set) var steps: [Step] = []

    /// Tokens before and behind a text.
    init(prefix: [Int], suffix: [Int]) {
        func parts(_ tokens: [Int], _ type: Int) -> [Part] { tokens.map { .token($0, type: type) } }
        steps = [
            .template(
                single: parts(prefix, 0) + [.text(0, type: 0)] + parts(suffix, 0),
                pair: parts(prefix, 0) + [.text(0, type: 0)] + parts(suffix, 0) + parts(prefix, 1)
                    + [.text(1, type: 1)] + parts(suffix, 1), isIdle: false)
        ]
    }

    /// Reads the `post_processor` of a tokenizer file; nil stands for a missing one.
    init(_ reader: JSONReader?) throws(PithError) {
        if let reader { try append(reader) }
    }

    private mutating func append(_ reader: JSONReader) throws(PithError) {
        switch try reader.member("type").text() {
        case "Sequence": for item in try reader.member("processors").array() { try append(item) }
        case "ByteLevel": try appendTrim(reader)
        case "TemplateProcessing": try appendTemplate(reader)
        case "BertProcessing":
            let (start, end) = (try Self.token(reader.member("cls")), try Self.token(reader.member("sep")))
            steps.append(Self.bert(start, end, secondType: 1, between: [end]))
        case "RobertaProcessing":
            let (start, end) = (try Self.token(reader.member("cls")), try Self.token(reader.member("sep")))
            try appendTrim(reader)
            steps += [.plainTypes, Self.bert(start, end, secondType: 0, between: [end, end])]
        case let type: throw reader.unsupported("post-processor", type)
        }
    }

    private mutating func appendTrim(_ reader: JSONReader) throws(PithError) {
        guard try reader.optional("trim_offsets")?.flag() ?? true else { return }
        steps.append(.trim(addsPrefixSpace: try reader.optional("add_prefix_space")?.flag() ?? true))
    }

    private static func bert(_ start: Int, _ end: Int, secondType: Int, between: [Int]) -> Step {
        let first: [Part] = [.token(start, type: 0), .text(0, type: 0)]
        return .template(
            single: first + [.token(end, type: 0)],
            pair: first + between.map { .token($0, type: 0) }
                + [.text(1, type: secondType), .token(end, type: secondType)], isIdle: true)
    }

    /// The number of a token that is given as a pair of its text and number.
    private static func token(_ reader: JSONReader) throws(PithError) -> Int {
        let pair = try reader.array()
        guard pair.count == 2 else { throw reader.failure("should be a text and a number") }
        return try pair[1].integer(in: 0...Tokenizer.tokenLimit)
    }

    private mutating func appendTemplate(_ reader: JSONReader) throws(PithError) {
        let specials = try reader.optional("special_tokens")
        let single = try Self.parts(reader.member("single"), specials)
        guard Self.texts(single) == [0] else { throw reader.failure("the template should hold the text once") }
        let pair = try reader.optional("pair").map { (item) throws(PithError) in try Self.parts(item, specials) }
        if let pair, !pair.isEmpty, Set(Self.texts(pair)) != [0, 1] || Self.texts(pair).count != 2 {
            throw reader.failure("the template of pairs should hold each text once")
        }
        steps.append(.template(single: single, pair: pair?.isEmpty == true ? nil : pair, isIdle: false))
    }

    private static func texts(_ parts: [Part]) -> [Int] {
        parts.compactMap { if case .text(let text, _) = $0 { text } else { nil } }
    }

    private static func parts(_ reader: JSONReader, _ specials: JSONReader?) throws(PithError) -> [Part] {
        var parts: [Part] = []
        let typeRange = 0...1 << 16
        for item in try reader.array() {
            if let text = try item.optional("Sequence") {
                let isFirst = try text.member("id").text() == "A"
                parts.append(
                    .text(isFirst ? 0 : 1, type: try text.optional("type_id")?.integer(in: typeRange) ?? 0))
                continue
            }
            let token = try item.member("SpecialToken")
            let (name, type) = (try token.member("id"), try token.optional("type_id")?.integer(in: typeRange) ?? 0)
            guard let special = try specials?.optional(try name.text()) else {
                throw name.failure("'\(try name.text().shortened)' is not among special_tokens")
            }
            for id in try special.member("ids").array() {
                parts.append(.token(try id.integer(in: 0...Tokenizer.tokenLimit), type: type))
            }
        }
        return parts
    }

    /// All tokens that are put around texts.
    var tokens: [Int] {
        steps.flatMap { step -> [Int] in
            guard case .template(let single, let pair, _) = step else { return [] }
            return (single + (pair ?? [])).compactMap { if case .token(let token, _) = $0 { token } else { nil } }
        }
    }

    /// What stands before a single text, and behind it.
    var surroundings: (prefix: [Int], suffix: [Int]) {
        let ids = apply([Encoding(added: -1, type: 0)], addsTokens: true) { _ in "" }.ids
        let place = ids.firstIndex(of: -1) ?? 0
        return (Array(ids[..<place]), Array(ids[(place + 1)...]))
    }

    /// Puts other tokens before texts than those that stand there.
    mutating func setPrefix(_ tokens: [Int]) {
        func changed(_ parts: [Part]) -> [Part] {
            tokens.map { .token($0, type: 0) }
                + parts.drop { if case .token = $0 { true } else { false } }
        }
        let last = steps.lastIndex { if case .template = $0 { true } else { false } }
        guard let last, case .template(let single, let pair, let isIdle) = steps[last] else {
            steps += PostProcessor(prefix: tokens, suffix: []).steps
            return
        }
        steps[last] = .template(single: changed(single), pair: pair.map(changed), isIdle: isIdle)
    }

    /// What comes out of one text or two; `text` gives the text of a token.
    func apply(_ texts: [Encoding], addsTokens: Bool, text: (Int) -> String) -> Encoding {
        var texts = texts
        for step in steps {
            switch step {
            case .trim(let addsPrefixSpace):
                for index in texts.indices { Self.trim(&texts[index], addsPrefixSpace) }
            case .plainTypes: for index in texts.indices { texts[index].setType(0) }
            case .template(let single, let pair, let isIdle):
                guard addsTokens || !isIdle else { continue }
                let twoTexts: [Part] = pair ?? [.text(0, type: 0), .text(1, type: 1)]
                texts = Self.fill(texts.count == 1 ? single : twoTexts, texts, addsTokens, text)
            }
        }
        return texts.reduce(into: Encoding()) { $0 += $1 }
    }

    private static func fill(
        _ parts: [Part], _ texts: [Encoding], _ addsTokens: Bool, _ text: (Int) -> String
    ) -> [Encoding] {
        parts.compactMap { part in
            switch part {
            case .token(let token, let type):
                return addsTokens ? Encoding(added: token, type: type, piece: text(token)) : nil
            case .text(let index, let type):
                guard texts.indices.contains(index) else { return nil }
                var text = texts[index]
                text.setType(type)
                return text
            }
        }
    }

    private static func trim(_ encoding: inout Encoding, _ addsPrefixSpace: Bool) {
        for index in encoding.ids.indices {
            let scalars = Array(encoding.pieces[index].unicodeScalars)
            func isSpace(_ scalar: Unicode.Scalar) -> Bool { scalar == "\u{120}" || scalar.properties.isWhitespace }
            let leading = scalars.prefix(while: isSpace).count
            let trailing = scalars.reversed().prefix(while: isSpace).count
            guard leading > 0 || trailing > 0 else { continue }
            let isFirst = index == 0 || encoding.characterOffsets[index].lowerBound == 0
            // A single space at the beginning is the one that was put there.
            let dropped = isFirst && addsPrefixSpace && leading == 1 ? 0 : leading
            encoding.offsets[index] = encoding.offsets[index].trimmed(dropped, trailing)
            encoding.characterOffsets[index] = encoding.characterOffsets[index].trimmed(dropped, trailing)
        }
    }
}

extension Range<Int> {
    fileprivate func trimmed(_ leading: Int, _ trailing: Int) -> Range<Int> {
        let lower = Swift.min(lowerBound + leading, upperBound)
        let upper = trailing > 0 && upperBound >= trailing ? Swift.max(upperBound - trailing, lower) : upperBound
        return lower..<upper
    }
}
