import PithCore

/// Reads the text of a regular expression.
struct ExpressionParser {
    private let text: String
    private let scalars: [Unicode.Scalar]
    private var place = 0
    private var ignoresCase = false
    private var depth = 0

    private static let largestCount = 1000
    private static let depthLimit = 64

    init(_ text: String) { (self.text, scalars) = (text, Array(text.unicodeScalars)) }

    private func unsupported(_ what: String) -> PithError {
        .data("the expression '\(text.shortened)' has \(what) at character \(place), which is not supported")
    }

    private var next: Unicode.Scalar? { place < scalars.count ? scalars[place] : nil }

    private mutating func take(_ literal: String) -> Bool {
        guard scalars[place...].starts(with: literal.unicodeScalars) else { return false }
        place += literal.unicodeScalars.count
        return true
    }

    mutating func parse() throws(PithError) -> Expression.Node {
        let node = try parseAlternatives()
        guard next == nil else { throw unsupported("an unmatched ')'") }
        return node
    }

    private mutating func parseAlternatives() throws(PithError) -> Expression.Node {
        depth += 1
        defer { depth -= 1 }
        guard depth <= Self.depthLimit else { throw unsupported("groups nested too deep") }
        var alternatives = [try parseSequence()]
        while take("|") { alternatives.append(try parseSequence()) }
        return alternatives.count == 1 ? alternatives[0] : .alternatives(alternatives)
    }

    private mutating func parseSequence() throws(PithError) -> Expression.Node {
        var nodes: [Expression.Node] = []
        while let scalar = next, scalar != "|", scalar != ")" {
            // A flag without a group of its own holds for the rest of the group.
            if take("(?i)") {
                ignoresCase = true
                continue
            }
            nodes.append(try parseRepetition(of: try parseItem()))
        }
        return nodes.count == 1 ? nodes[0] : .sequence(nodes)
    }

    private mutating func parseRepetition(of item: Expression.Node) throws(PithError) -> Expression.Node {
        var node = item
        while let (least, most, isCounted) = try parseCounts() {
            var style = Expression.Style.greedy
            if take("?") {
                // Oniguruma takes {n}? for an optional {n}.
                guard !(isCounted && least == most) else { throw unsupported("a '?' behind a count") }
                style = .lazy
            } else if !isCounted, take("+") {
                style = .possessive
            }
            guard most <= Self.largestCount || most == .max, least <= Self.largestCount else {
                throw unsupported("a count above \(Self.largestCount)")
            }
            guard !node.firstBytes.mayBeEmpty else { throw unsupported("a repetition of what may be empty") }
            guard !(most > 1 && node.isEndless) else { throw unsupported("a loop in a loop") }
            node = .loop(node, least: least, most: most, style)
        }
        return node
    }

    private mutating func parseCounts() throws(PithError) -> (least: Int, most: Int, isCounted: Bool)? {
        if take("*") { return (0, .max, false) }
        if take("+") { return (1, .max, false) }
        if take("?") { return (0, 1, false) }
        let start = place
        guard take("{") else { return nil }
        let least = parseInteger()
        var most = least
        if take(",") { most = parseInteger() ?? .max }
        guard take("}"), least != nil || most != nil else {
            place = start
            throw unsupported("a '{' that begins no count")
        }
        guard let most, (least ?? 0) <= most else { throw unsupported("a count") }
        return (least ?? 0, most, true)
    }

    private mutating func parseInteger() -> Int? {
        var value: Int?
        while let scalar = next, let digit = Int(String(scalar)), scalar.isASCII {
            value = min((value ?? 0) * 10 + digit, 1 << 30)
            place += 1
        }
        return value
    }

    private mutating func parseItem() throws(PithError) -> Expression.Node {
        guard let scalar = next else { throw unsupported("no end") }
        switch scalar {
        case "(": return try parseGroup()
        case "[":
            place += 1
            return .set(try parseClass())
        case "\\": return try parseEscape()
        case ".":
            place += 1
            return .set(ScalarSet(ranges: [0x0A...0x0A], isInverted: true))
        case "^":
            place += 1
            return .anchor(.lineStart)
        case "$":
            place += 1
            return .anchor(.lineEnd)
        case "*", "+", "?": throw unsupported("a '\(scalar)' behind nothing")
        default:
            place += 1
            return literal(scalar)
        }
    }

    private func literal(_ scalar: Unicode.Scalar) -> Expression.Node {
        .set(ScalarSet(ranges: ignoresCase ? Self.cases(of: scalar) : [scalar.value...scalar.value]))
    }

    /// The character in all cases.
    private static func cases(of scalar: Unicode.Scalar) -> [ClosedRange<UInt32>] {
        var all: Set<UInt32> = [scalar.value]
        for text in [scalar.properties.lowercaseMapping, scalar.properties.uppercaseMapping] {
            if let only = text.unicodeScalars.first, text.unicodeScalars.count == 1 { all.insert(only.value) }
        }
        // The long s and the sign of Kelvin are letters of another case.
        if all.contains(0x73) { all.insert(0x17F) }
        if all.contains(0x6B) { all.insert(0x212A) }
        return all.sorted().map { $0...$0 }
    }

    private mutating func parseGroup() throws(PithError) -> Expression.Node {
        let outer = ignoresCase
        defer { ignoresCase = outer }
        let wrap: (Expression.Node) -> Expression.Node
        if take("(?:") {
            wrap = { $0 }
        } else if take("(?i:") {
            ignoresCase = true
            wrap = { $0 }
        } else if take("(?=") {
            wrap = { .look($0, isBehind: false, isNegated: false) }
        } else if take("(?!") {
            wrap = { .look($0, isBehind: false, isNegated: true) }
        } else if take("(?<=") {
            wrap = { .look($0, isBehind: true, isNegated: false) }
        } else if take("(?<!") {
            wrap = { .look($0, isBehind: true, isNegated: true) }
        } else if take("(?>") {
            wrap = { .atomic($0) }
        } else if take("(?") {
            throw unsupported("a kind of group")
        } else {
            place += 1
            wrap = { $0 }
        }
        let node = try parseAlternatives()
        guard take(")") else { throw unsupported("a group without an end") }
        return wrap(node)
    }

    private mutating func parseEscape() throws(PithError) -> Expression.Node {
        let anchors: [(String, Expression.Anchor)] = [
            ("\\b", .wordBoundary), ("\\B", .noWordBoundary), ("\\A", .textStart), ("\\z", .textEnd),
            ("\\Z", .lastLineEnd),
        ]
        for (name, anchor) in anchors where take(name) { return .anchor(anchor) }
        switch try parseEscapedItem() {
        case .codes(let codes): return .set(ScalarSet(codes: codes))
        case .ranges(let ranges): return .set(ScalarSet(ranges: ranges))
        case .scalar(let scalar): return literal(scalar)
        }
    }

    /// What stands for itself or for a class.
    private enum Item {
        case scalar(Unicode.Scalar)
        case codes(UInt64)
        case ranges([ClosedRange<UInt32>])
    }

    /// At a backslash.
    private mutating func parseEscapedItem() throws(PithError) -> Item {
        place += 1
        guard let scalar = next else { throw unsupported("a backslash at its end") }
        place += 1
        switch scalar {
        case "s": return .codes(ScalarSet.spaceCodes)
        case "S": return .codes(~ScalarSet.spaceCodes)
        case "d": return .codes(ScalarSet.digitCodes)
        case "D": return .codes(~ScalarSet.digitCodes)
        case "w": return .codes(ScalarSet.wordCodes)
        case "W": return .codes(~ScalarSet.wordCodes)
        case "p", "P": return try parseProperty(isNegated: scalar == "P")
        case "n": return .scalar("\n")
        case "r": return .scalar("\r")
        case "t": return .scalar("\t")
        case "f": return .scalar("\u{C}")
        case "v": return .scalar("\u{B}")
        case "x": return .scalar(try parseCodePoint(digits: 1...2))
        case "u": return .scalar(try parseCodePoint(digits: 4...4))
        default:
            let isLetter = scalar.isASCII && (scalar.properties.isAlphabetic || scalar.properties.numericType != nil)
            guard !isLetter else { throw unsupported("the escape '\\\(scalar)'") }
            return .scalar(scalar)
        }
    }

    private mutating func parseCodePoint(digits: ClosedRange<Int>) throws(PithError) -> Unicode.Scalar {
        let isBraced = take("{")
        var (value, count) = (UInt32(0), 0)
        while let scalar = next, count < (isBraced ? 8 : digits.upperBound), let digit = Character(scalar).hexDigitValue
        {
            value = value << 4 | UInt32(digit)
            place += 1
            count += 1
        }
        guard count >= (isBraced ? 1 : digits.lowerBound), !isBraced || take("}"), let scalar = Unicode.Scalar(value)
        else { throw unsupported("a code point") }
        return scalar
    }

    /// Behind `\p`.
    private mutating func parseProperty(isNegated: Bool) throws(PithError) -> Item {
        guard take("{") else { throw unsupported("a property without braces") }
        let isNegated = take("^") != isNegated
        var name = ""
        while let scalar = next, scalar != "}" {
            name.unicodeScalars.append(scalar)
            place += 1
        }
        guard take("}") else { throw unsupported("a property without an end") }
        if name == "Han" || name == "IsHan" {
            guard !isNegated else { throw unsupported("what is not Han") }
            return .ranges(Self.han)
        }
        guard let codes = ScalarSet.codes(ofProperty: name) else {
            throw unsupported("the property '\(name.shortened)'")
        }
        return .codes(isNegated ? ~codes : codes)
    }

    /// Source: Unicode, Scripts.txt.
    private static let han: [ClosedRange<UInt32>] = [
        0x2E80...0x2E99, 0x2E9B...0x2EF3, 0x2F00...0x2FD5, 0x3005...0x3005, 0x3007...0x3007, 0x3021...0x3029,
        0x3038...0x303B, 0x3400...0x4DBF, 0x4E00...0x9FFF, 0xF900...0xFA6D, 0xFA70...0xFAD9, 0x16FE2...0x16FE3,
        0x16FF0...0x16FF1, 0x20000...0x2A6DF, 0x2A700...0x2B739, 0x2B740...0x2B81D, 0x2B820...0x2CEA1,
        0x2CEB0...0x2EBE0, 0x2F800...0x2FA1D, 0x30000...0x3134A, 0x31350...0x323AF,
    ]

    /// A class in brackets, behind the opening one.
    private mutating func parseClass() throws(PithError) -> ScalarSet {
        let (codes, ranges, isInverted) = try parseClassItems()
        return ScalarSet(codes: codes, ranges: ranges, isInverted: isInverted)
    }

    /// What a class names, and whether it takes all others.
    private mutating func parseClassItems() throws(PithError) -> (
        codes: UInt64, ranges: [ClosedRange<UInt32>], isInverted: Bool
    ) {
        depth += 1
        defer { depth -= 1 }
        guard depth <= Self.depthLimit else { throw unsupported("classes nested too deep") }
        let isInverted = take("^")
        var (codes, ranges, isFirst) = (UInt64(0), [ClosedRange<UInt32>](), true)
        while let scalar = next, scalar != "]" || isFirst {
            isFirst = false
            if take("&&") { throw unsupported("an intersection") }
            if scalar == "[" {
                guard !take("[:") else { throw unsupported("a class in '[:'") }
                place += 1
                let inner = try parseClassItems()
                guard !inner.isInverted || inner.ranges.isEmpty else {
                    throw unsupported("an inverted class in a class")
                }
                codes |= inner.isInverted ? ~inner.codes : inner.codes
                ranges += inner.ranges
                continue
            }
            switch try parseClassItem() {
            case .codes(let more): codes |= more
            case .ranges(let more): ranges += more
            case .scalar(let lower): ranges += try parseRange(from: lower)
            }
        }
        guard take("]") else { throw unsupported("a class without an end") }
        return (codes, ranges, isInverted)
    }

    /// A character of a class, or the range that it begins.
    private mutating func parseRange(from lower: Unicode.Scalar) throws(PithError) -> [ClosedRange<UInt32>] {
        guard place + 1 < scalars.count, scalars[place] == "-", scalars[place + 1] != "]" else {
            return ignoresCase ? Self.cases(of: lower) : [lower.value...lower.value]
        }
        place += 1
        guard case .scalar(let upper) = try parseClassItem(), lower.value <= upper.value else {
            throw unsupported("a range")
        }
        return [lower.value...upper.value] + (ignoresCase ? try bothCases(lower, upper) : [])
    }

    private func bothCases(
        _ lower: Unicode.Scalar, _ upper: Unicode.Scalar
    ) throws(PithError) -> [ClosedRange<UInt32>] {
        guard upper.isASCII else { throw unsupported("a range without case") }
        return (lower.value...upper.value).flatMap { Unicode.Scalar($0).map(Self.cases) ?? [] }
    }

    private mutating func parseClassItem() throws(PithError) -> Item {
        guard let scalar = next else { throw unsupported("a class without an end") }
        if scalar == "\\" {
            if take("\\b") { return .scalar("\u{8}") }
            return try parseEscapedItem()
        }
        place += 1
        return .scalar(scalar)
    }
}
