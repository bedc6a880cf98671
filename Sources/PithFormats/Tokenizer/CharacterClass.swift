/// What the patterns of pre-tokenizers ask of a character.
enum CharacterClass: UInt8 {
    /// Anything else.
    case other
    /// `\p{L}`.
    case letter
    /// `\p{N}`.
    case number
    /// `\s`.
    case space

    /// The class of any scalar.
    init(_ scalar: Unicode.Scalar) {
        self.init(code: CharacterTable.code(scalar))
    }

    private init(code: UInt8) {
        switch CharacterTable.Kind(rawValue: code & ~CharacterTable.wordBit) {
        case .uppercaseLetter, .lowercaseLetter, .titlecaseLetter, .modifierLetter, .otherLetter: self = .letter
        case .decimalNumber, .letterNumber, .otherNumber: self = .number
        case .spaceSeparator, .lineSeparator, .paragraphSeparator, .controlSpace: self = .space
        default: self = .other
        }
    }

    /// The classes of ASCII, for texts that have nothing else.
    static let ascii: [CharacterClass] = (0..<128).map { CharacterClass(Unicode.Scalar(UInt8($0))) }
    /// The classes of the planes in use.
    static let table: [CharacterClass] = CharacterTable.codes.map { CharacterClass(code: $0) }
}

/// Valid UTF-8 seen as characters with classes.
struct ClassifiedText {
    let bytes: UnsafeBufferPointer<UInt8>
    private let classes: UnsafeBufferPointer<CharacterClass>

    /// Calls `body` with the text of `bytes`, which must be valid UTF-8.
    static func withText<Result>(_ bytes: UnsafeBufferPointer<UInt8>, _ body: (ClassifiedText) -> Result) -> Result {
        // The larger table takes some milliseconds to make.
        let classes = bytes.contains { $0 >= 0x80 } ? CharacterClass.table : CharacterClass.ascii
        return classes.withUnsafeBufferPointer { body(ClassifiedText(bytes: bytes, classes: $0)) }
    }

    var count: Int { bytes.count }

    /// The scalar that begins at `offset` and the number of its bytes.
    @inline(__always) func scalar(at offset: Int) -> (value: UInt32, length: Int) {
        let first = UInt32(bytes[offset])
        if first < 0x80 { return (first, 1) }
        func tail(_ i: Int) -> UInt32 { offset + i < bytes.count ? UInt32(bytes[offset + i]) & 0x3F : 0 }
        if first < 0xE0 { return ((first & 0x1F) << 6 | tail(1), 2) }
        if first < 0xF0 { return ((first & 0x0F) << 12 | tail(1) << 6 | tail(2), 3) }
        return ((first & 0x07) << 18 | tail(1) << 12 | tail(2) << 6 | tail(3), 4)
    }

    /// The class of the scalar that begins at `offset`, and where the next begins.
    @inline(__always) func character(at offset: Int) -> (kind: CharacterClass, next: Int) {
        let (value, length) = scalar(at: offset)
        let next = min(offset + length, bytes.count)
        if value < classes.count { return (classes[Int(value)], next) }
        return (Unicode.Scalar(value).map { CharacterClass($0) } ?? .other, next)
    }

    /// The class at `offset`; nil at the end.
    @inline(__always) func kind(at offset: Int) -> CharacterClass? {
        offset < bytes.count ? character(at: offset).kind : nil
    }

    /// Where a run of one class that contains `offset` ends.
    @inline(__always) func endOfRun(of kind: CharacterClass, from offset: Int, limit: Int = .max) -> Int {
        var (end, count) = (offset, 0)
        while end < bytes.count, count < limit {
            let (next, after) = character(at: end)
            if next != kind { break }
            end = after
            count += 1
        }
        return end
    }

    @inline(__always) func isLineBreak(at offset: Int) -> Bool {
        offset < bytes.count && (bytes[offset] == 0x0A || bytes[offset] == 0x0D)
    }
}
