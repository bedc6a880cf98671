/// What BERT's normaliser and pre-tokenizer take characters for.
///
/// The reference implementation knows the categories of Unicode 8: characters that came later are of none, and few have
/// changed theirs since.
extension Unicode.Scalar {
    /// The general category as of Unicode 8.
    private var oldCategory: Unicode.GeneralCategory {
        switch value {
        case 0x166D, 0x111C9: return .otherPunctuation
        case 0x1734, 0x1171E: return .nonspacingMark
        case 0x1885, 0x1886: return .otherLetter
        case 0xA9BD: return .spacingMark
        default: break
        }
        guard let age = properties.age, age.major <= 8 else { return .unassigned }
        return properties.generalCategory
    }

    /// Nothing, a mark for what is no text, and control characters but those that are spaces.
    var isDroppedByBert: Bool {
        switch value {
        case 0x09, 0x0A, 0x0D: return false
        case 0, 0xFFFD: return true
        case 0x20..<0x7F: return false
        default: break
        }
        switch oldCategory {
        case .control, .format, .privateUse, .surrogate: return true
        default: return false
        }
    }

    /// Spaces of all kinds but the plain one; what is a control character as well is dropped before.
    var isSpaceOfBert: Bool {
        value > 0x7F ? properties.isWhitespace : [0x09, 0x0A, 0x0D].contains(value)
    }

    /// Chinese characters, which are words of their own. A gap in what the reference takes for them is kept.
    var isIdeographOfBert: Bool {
        switch value {
        case 0..<0x3400: false
        case 0x4E00...0x9FFF, 0x3400...0x4DBF, 0x20000...0x2A6DF, 0x2A700...0x2B73F, 0x2B740...0x2B81F,
            0x2B920...0x2CEAF,
            0xF900...0xFAFF, 0x2F800...0x2FA1F:
            true
        default: false
        }
    }

    /// Marks that take no room of their own.
    var isMarkOfBert: Bool {
        value >= 0x300 && oldCategory == .nonspacingMark
    }

    /// Whatever ASCII has that is no letter, digit, space or control character, and `\p{P}`.
    var isPunctuationOfBert: Bool {
        if value < 0x80 {
            return (0x21...0x2F).contains(value) || (0x3A...0x40).contains(value) || (0x5B...0x60).contains(value)
                || (0x7B...0x7E).contains(value)
        }
        switch oldCategory {
        case .connectorPunctuation, .dashPunctuation, .openPunctuation, .closePunctuation, .initialPunctuation,
            .finalPunctuation, .otherPunctuation:
            return true
        default: return false
        }
    }
}
