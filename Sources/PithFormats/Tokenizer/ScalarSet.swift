/// What patterns ask of characters, as one number for each: the general category and whether `\w` takes it.
enum CharacterTable {
    /// Kinds of characters; each is a bit in masks.
    enum Kind: UInt8 {
        case uppercaseLetter, lowercaseLetter, titlecaseLetter, modifierLetter, otherLetter
        case nonspacingMark, spacingMark, enclosingMark
        case decimalNumber, letterNumber, otherNumber
        case connectorPunctuation, dashPunctuation, openPunctuation, closePunctuation
        case initialPunctuation, finalPunctuation, otherPunctuation
        case mathSymbol, currencySymbol, modifierSymbol, otherSymbol
        case spaceSeparator, lineSeparator, paragraphSeparator
        case control, format, surrogate, privateUse, unassigned
        /// Control characters that are spaces.
        case controlSpace
    }

    static let wordBit: UInt8 = 32
    /// The codes of the planes that are in use; the others hold ideographs and nothing else that matters.
    static let codes: [UInt8] = (0..<UInt32(0x20000)).map { Unicode.Scalar($0).map(code) ?? Kind.surrogate.rawValue }

    /// The code of any character: a kind, and `wordBit`.
    static func code(_ scalar: Unicode.Scalar) -> UInt8 {
        let kind = kind(scalar)
        return kind.rawValue | (isOfWord(scalar, kind) ? wordBit : 0)
    }

    /// The version of Unicode that the reference implementation knows; what came later is nothing to it.
    private static let newestVersion = 16

    private static func kind(_ scalar: Unicode.Scalar) -> Kind {
        if scalar.value > 0x2FF, let age = scalar.properties.age, age.major > newestVersion { return .unassigned }
        return switch scalar.properties.generalCategory {
        case .uppercaseLetter: .uppercaseLetter
        case .lowercaseLetter: .lowercaseLetter
        case .titlecaseLetter: .titlecaseLetter
        case .modifierLetter: .modifierLetter
        case .otherLetter: .otherLetter
        case .nonspacingMark: .nonspacingMark
        case .spacingMark: .spacingMark
        case .enclosingMark: .enclosingMark
        case .decimalNumber: .decimalNumber
        case .letterNumber: .letterNumber
        case .otherNumber: .otherNumber
        case .connectorPunctuation: .connectorPunctuation
        case .dashPunctuation: .dashPunctuation
        case .openPunctuation: .openPunctuation
        case .closePunctuation: .closePunctuation
        case .initialPunctuation: .initialPunctuation
        case .finalPunctuation: .finalPunctuation
        case .otherPunctuation: .otherPunctuation
        case .mathSymbol: .mathSymbol
        case .currencySymbol: .currencySymbol
        case .modifierSymbol: .modifierSymbol
        case .otherSymbol: .otherSymbol
        case .spaceSeparator: .spaceSeparator
        case .lineSeparator: .lineSeparator
        case .paragraphSeparator: .paragraphSeparator
        case .control: scalar.properties.isWhitespace ? .controlSpace : .control
        case .format: .format
        case .surrogate: .surrogate
        case .privateUse: .privateUse
        case .unassigned: .unassigned
        @unknown default: .unassigned
        }
    }

    /// `\w`: letters, marks, decimal digits, connectors, joiners and whatever else is alphabetic.
    private static func isOfWord(_ scalar: Unicode.Scalar, _ kind: Kind) -> Bool {
        switch kind {
        case .nonspacingMark, .spacingMark, .enclosingMark, .decimalNumber, .connectorPunctuation: true
        case .unassigned: false
        default: scalar.properties.isAlphabetic || scalar.properties.isJoinControl
        }
    }
}

/// A set of characters: kinds, ranges, or whatever a function says.
struct ScalarSet: Sendable {
    /// The answers for ASCII.
    private var ascii: (UInt64, UInt64) = (0, 0)
    /// A bit for each code of `CharacterTable`.
    private let codes: UInt64
    private let ranges: [ClosedRange<UInt32>]
    private let isInverted: Bool
    private let test: (@Sendable (Unicode.Scalar) -> Bool)?

    /// The characters of some kinds or ranges, or all others.
    init(codes: UInt64 = 0, ranges: [ClosedRange<UInt32>] = [], isInverted: Bool = false) {
        (self.codes, self.ranges, self.isInverted, test) = (codes, ranges, isInverted, nil)
        fillASCII()
    }

    /// The characters that a function says.
    init(_ test: @escaping @Sendable (Unicode.Scalar) -> Bool) {
        (codes, ranges, isInverted, self.test) = (0, [], false, test)
        fillASCII()
    }

    private mutating func fillASCII() {
        for value in 0..<UInt32(64) {
            if slowlyContains(value) { ascii.0 |= 1 << UInt64(value) }
            if slowlyContains(value + 64) { ascii.1 |= 1 << UInt64(value) }
        }
    }

    /// Whether a character is one of the set.
    @inline(__always) func contains(_ value: UInt32) -> Bool {
        if value < 64 { return ascii.0 >> UInt64(value) & 1 != 0 }
        if value < 128 { return ascii.1 >> UInt64(value - 64) & 1 != 0 }
        return slowlyContains(value)
    }

    private func slowlyContains(_ value: UInt32) -> Bool {
        if let test { return Unicode.Scalar(value).map(test) ?? false }
        let code =
            value < CharacterTable.codes.count
            ? CharacterTable.codes[Int(value)] : Unicode.Scalar(value).map(CharacterTable.code) ?? 0
        return (codes >> UInt64(code) & 1 != 0 || ranges.contains { $0.contains(value) }) != isInverted
    }

    /// Whether characters beyond ASCII may be among it.
    var mayHaveOthers: Bool { test != nil || isInverted || codes != 0 || ranges.contains { $0.upperBound >= 0x80 } }

    /// The codes of some kinds.
    static func codes(_ kinds: [CharacterTable.Kind]) -> UInt64 {
        kinds.reduce(0) { $0 | 1 << UInt64($1.rawValue) | 1 << UInt64($1.rawValue | CharacterTable.wordBit) }
    }

    /// What Unicode takes for parts of words.
    static let unicodeWordCodes: UInt64 = 0xFFFF_FFFF_0000_0000
    /// `\w` of expressions: letters, marks, numbers of all kinds and connectors.
    static let wordCodes = codes([
        .uppercaseLetter, .lowercaseLetter, .titlecaseLetter, .modifierLetter, .otherLetter, .nonspacingMark,
        .spacingMark, .enclosingMark, .decimalNumber, .letterNumber, .otherNumber, .connectorPunctuation,
    ])
    /// `\s`.
    static let spaceCodes = codes([.spaceSeparator, .lineSeparator, .paragraphSeparator, .controlSpace])
    /// `\d`.
    static let digitCodes = codes([.decimalNumber])

    /// Spaces of all kinds.
    static let spaces = ScalarSet(codes: spaceCodes)
    /// Numbers of all kinds.
    static let numbers = ScalarSet(codes: codes([.decimalNumber, .letterNumber, .otherNumber]))
    /// Characters that BERT takes for punctuation.
    static let punctuationOfBert = ScalarSet { $0.isPunctuationOfBert }

    /// The kinds of a property such as `L` or `Lu`; nil if it is not known.
    static func codes(ofProperty name: String) -> UInt64? {
        let kinds: [String: [CharacterTable.Kind]] = [
            "Lu": [.uppercaseLetter], "Ll": [.lowercaseLetter], "Lt": [.titlecaseLetter], "Lm": [.modifierLetter],
            "Lo": [.otherLetter], "Mn": [.nonspacingMark], "Mc": [.spacingMark], "Me": [.enclosingMark],
            "Nd": [.decimalNumber], "Nl": [.letterNumber], "No": [.otherNumber], "Pc": [.connectorPunctuation],
            "Pd": [.dashPunctuation], "Ps": [.openPunctuation], "Pe": [.closePunctuation],
            "Pi": [.initialPunctuation], "Pf": [.finalPunctuation], "Po": [.otherPunctuation], "Sm": [.mathSymbol],
            "Sc": [.currencySymbol], "Sk": [.modifierSymbol], "So": [.otherSymbol], "Zs": [.spaceSeparator],
            "Zl": [.lineSeparator], "Zp": [.paragraphSeparator], "Cc": [.control, .controlSpace], "Cf": [.format],
            "Cs": [.surrogate], "Co": [.privateUse], "Cn": [.unassigned],
        ]
        let matches = kinds.filter { $0.key == name || (name.count == 1 && $0.key.hasPrefix(name)) }
        return matches.isEmpty ? nil : codes(matches.values.flatMap { $0 })
    }
}
