/// What a reader of text keeps in mind: words, lines, sentences, how characters look.
struct TextState {
    /// Of the letters of the word that is being written, case aside; 0 between words.
    private(set) var word: UInt64 = 0
    /// The words before it, the last first.
    private(set) var words: (UInt64, UInt64, UInt64, UInt64, UInt64) = (0, 0, 0, 0, 0)
    /// The first letter of the word, or of the one before between words.
    private(set) var firstLetter: UInt32 = 0
    /// Letters of the word so far.
    private(set) var wordLength = 0
    /// What stands between the last word and the place, or the word and the one before it.
    private(set) var gap: UInt64 = 0
    /// Digits of the number that is being written.
    private(set) var number: UInt64 = 0
    /// Kinds of the last sixteen characters, four bits each.
    private(set) var shape: UInt64 = 0
    /// The kinds without repetition: four bits for each run.
    private(set) var runs: UInt64 = 0
    /// Bytes since the line began.
    private(set) var column = 0
    /// The first byte of the line, and the first word.
    private(set) var lineStart: UInt32 = 0
    private(set) var lineWord: UInt64 = 0
    /// Where the line before began, in bytes coded.
    private(set) var aboveStart = 0
    private(set) var currentStart = 0
    /// The first word of the sentence; words in it.
    private(set) var sentenceWord: UInt64 = 0
    private(set) var sentenceLength = 0
    /// Brackets, quotes and tags that are open, the innermost lowest, a byte each.
    private(set) var open: UInt64 = 0
    /// The last byte that is neither letter nor digit nor space.
    private(set) var punctuation: UInt32 = 0
    /// Hash of the last two words' first letters... and of capitals: whether each of the last words began with one.
    private(set) var capitals: UInt32 = 0
    /// Length of the words before, in four bits each.
    private(set) var lengths: UInt32 = 0
    /// Consonant and vowel skeleton: the current word without vowels.
    private(set) var skeleton: UInt64 = 0
    private var previousByte: UInt32 = 0

    /// Kinds of characters.
    enum Kind: UInt64 {
        case other, lower, upper, digit, space, newline, stop, comma, quote, opening, closing, dash, high, slash, mark,
            underscore
    }

    static let kinds: [Kind] = (0..<256).map { byte in
        switch UInt8(byte) {
        case UInt8(ascii: "a")...UInt8(ascii: "z"): .lower
        case UInt8(ascii: "A")...UInt8(ascii: "Z"): .upper
        case UInt8(ascii: "0")...UInt8(ascii: "9"): .digit
        case UInt8(ascii: " "), 9: .space
        case 10, 13: .newline
        case UInt8(ascii: "."), UInt8(ascii: "!"), UInt8(ascii: "?"): .stop
        case UInt8(ascii: ","), UInt8(ascii: ";"), UInt8(ascii: ":"): .comma
        case UInt8(ascii: "\""), UInt8(ascii: "'"), UInt8(ascii: "`"): .quote
        case UInt8(ascii: "("), UInt8(ascii: "["), UInt8(ascii: "{"), UInt8(ascii: "<"): .opening
        case UInt8(ascii: ")"), UInt8(ascii: "]"), UInt8(ascii: "}"), UInt8(ascii: ">"): .closing
        case UInt8(ascii: "-"): .dash
        case UInt8(ascii: "/"), UInt8(ascii: "\\"), UInt8(ascii: "|"): .slash
        case UInt8(ascii: "_"): .underscore
        case UInt8(ascii: "*"), UInt8(ascii: "="), UInt8(ascii: "+"), UInt8(ascii: "#"), UInt8(ascii: "~"): .mark
        case 128...: .high
        default: .other
        }
    }

    private let kindTable: UnsafeMutablePointer<UInt8>

    init(_ arena: Arena) { kindTable = arena.copy(Self.kinds.map { UInt8($0.rawValue) }) }

    /// The kind of a byte.
    @inline(__always)
    func kind(_ byte: UInt32) -> UInt64 { UInt64(kindTable[Int(byte)]) }

    /// Reads the byte that was coded last.
    mutating func read(_ history: History) {
        let byte = history.byte(1)
        let kind = Kind(rawValue: kind(byte))!
        shape = shape << 4 | kind.rawValue
        if runs & 15 != kind.rawValue { runs = runs << 4 | kind.rawValue }
        readWord(byte, kind)
        readLine(byte, history)
        readMarks(byte, kind)
        previousByte = byte
    }

    private mutating func readWord(_ byte: UInt32, _ kind: Kind) {
        switch kind {
        case .lower, .upper, .high:
            if word == 0 {
                firstLetter = byte
                capitals = capitals << 1 | (kind == .upper ? 1 : 0)
                sentenceLength += 1
            }
            let letter = kind == .upper ? byte + 32 : byte
            word = Hash.combine(word, UInt64(letter))
            wordLength += 1
            if ![97, 101, 105, 111, 117].contains(letter) { skeleton = Hash.combine(skeleton, UInt64(letter)) }
        default:
            if word != 0 { endWord() }
            gap = Hash.combine(gap, UInt64(byte))
        }
        number = kind == .digit ? Hash.combine(number, UInt64(byte)) : 0
    }

    private mutating func endWord() {
        if lineWord == 0 { lineWord = word }
        if sentenceWord == 0 { sentenceWord = word }
        words = (word, words.0, words.1, words.2, words.3)
        lengths = lengths << 4 | UInt32(min(wordLength, 15))
        (word, wordLength, gap, skeleton) = (0, 0, 0, 0)
    }

    private mutating func readLine(_ byte: UInt32, _ history: History) {
        if byte == 10 {
            (aboveStart, currentStart) = (currentStart, history.position)
            (column, lineStart, lineWord) = (0, 0, 0)
        } else {
            column += 1
            if column == 1 { lineStart = byte }
        }
    }

    private mutating func readMarks(_ byte: UInt32, _ kind: Kind) {
        switch kind {
        case .stop: (sentenceWord, sentenceLength) = (0, 0)
        case .newline: if previousByte == 10 { (sentenceWord, sentenceLength, open) = (0, 0, 0) }
        case .opening: open = open << 8 | UInt64(byte)
        case .closing: open >>= 8
        case .quote where byte == 34: open = open & 255 == 34 ? open >> 8 : open << 8 | 34
        default: break
        }
        if kind.rawValue > Kind.newline.rawValue || kind == .other { punctuation = byte }
    }

    /// The byte above the next in the line before; 0 beyond its end.
    func above(_ history: History) -> UInt32 {
        let place = aboveStart + column
        guard place < currentStart, history.position - place <= history.mask else { return 0 }
        return UInt32(history.ring[place & history.mask])
    }
}
