/// The patterns by which byte-level tokenizers cut text into words.
///
/// Tokenizer files hold them as regular expressions. There are few, and a scanner written by hand for each is
/// fast and cannot run away, so the expressions are recognised by their text and never interpreted.
public enum WordPattern: String, CaseIterable, Sendable {
    /// Words, numbers and punctuation, each with one space before it, and runs of space.
    case gpt2
    /// Numbers of at most three digits; one character of punctuation sticks to a word; line breaks stay together.
    case llama3
    /// As `llama3`, but every digit alone.
    case qwen2

    /// The expressions as they stand in files.
    var expressions: [String] {
        switch self {
        case .gpt2:
            [
                #"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"#,
                #"'(?:[sdmt]|ll|ve|re)| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"#,
            ]
        case .llama3:
            [
                #"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}"#
                    + #"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"#,
                #"'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}+|\p{N}{1,3}"#
                    + #"| ?[^\s\p{L}\p{N}]++[\r\n]*|\s*[\r\n]|\s+(?!\S)|\s+"#,
            ]
        case .qwen2:
            [
                #"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}"#
                    + #"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"#
            ]
        }
    }

    /// The pattern that an expression stands for.
    init?(expression: String) {
        guard let known = Self.allCases.first(where: { $0.expressions.contains(expression) }) else { return nil }
        self = known
    }

    /// Calls `body` with the range of each word of `bytes`, which must be valid UTF-8; the words cover everything.
    public func forEachWord(in bytes: UnsafeBufferPointer<UInt8>, _ body: (Range<Int>) -> Void) {
        ClassifiedText.withText(bytes) { text in
            var start = 0
            while start < text.count {
                let end = self == .gpt2 ? Self.endOfPlainWord(text, start) : endOfModernWord(text, start)
                body(start..<end)
                start = end
            }
        }
    }

    private static func endOfPlainWord(_ text: ClassifiedText, _ start: Int) -> Int {
        if let end = endOfContraction(text, start, anyCase: false) { return end }
        let (kind, next) = text.character(at: start)
        if kind != .space { return text.endOfRun(of: kind, from: next) }
        if text.bytes[start] == 0x20, let following = text.kind(at: next), following != .space {
            return text.endOfRun(of: following, from: next)
        }
        return endOfSpace(text, start)
    }

    private func endOfModernWord(_ text: ClassifiedText, _ start: Int) -> Int {
        if let end = Self.endOfContraction(text, start, anyCase: true) { return end }
        let (kind, next) = text.character(at: start)
        let following = text.kind(at: next)
        switch kind {
        case .letter: return text.endOfRun(of: .letter, from: next)
        case .number: return text.endOfRun(of: .number, from: start, limit: self == .llama3 ? 3 : 1)
        default: break
        }
        if following == .letter, !text.isLineBreak(at: start) { return text.endOfRun(of: .letter, from: next) }
        if kind == .other { return Self.endOfPunctuation(text, next) }
        if text.bytes[start] == 0x20, following == .other { return Self.endOfPunctuation(text, next) }
        return Self.endOfLines(text, start) ?? Self.endOfSpace(text, start)
    }

    /// `[^\s\p{L}\p{N}]*[\r\n]*`.
    private static func endOfPunctuation(_ text: ClassifiedText, _ start: Int) -> Int {
        var end = text.endOfRun(of: .other, from: start)
        while text.isLineBreak(at: end) { end += 1 }
        return end
    }

    /// `\s*[\r\n]+`: up to the last line break of a run of space.
    private static func endOfLines(_ text: ClassifiedText, _ start: Int) -> Int? {
        var end = text.endOfRun(of: .space, from: start)
        while end > start, !text.isLineBreak(at: end - 1) { end -= 1 }
        return end > start ? end : nil
    }

    /// `\s+(?!\S)|\s+`: a run of space, without its last character if a word follows.
    private static func endOfSpace(_ text: ClassifiedText, _ start: Int) -> Int {
        var (end, last) = (start, start)
        while end < text.count {
            let (kind, next) = text.character(at: end)
            if kind != .space { return last > start ? last : end }
            (last, end) = (end, next)
        }
        return end
    }

    /// `'s|'t|'re|'ve|'m|'ll|'d`.
    private static func endOfContraction(_ text: ClassifiedText, _ start: Int, anyCase: Bool) -> Int? {
        guard text.bytes[start] == UInt8(ascii: "'"), start + 1 < text.count else { return nil }
        func letter(_ offset: Int) -> UInt8 {
            guard offset < text.count else { return 0 }
            let byte = text.bytes[offset]
            let isUpper = (UInt8(ascii: "A")...UInt8(ascii: "Z")).contains(byte)
            return anyCase && isUpper ? byte | 0x20 : byte
        }
        switch (letter(start + 1), letter(start + 2)) {
        case (UInt8(ascii: "s"), _), (UInt8(ascii: "t"), _), (UInt8(ascii: "m"), _), (UInt8(ascii: "d"), _):
            return start + 2
        case (UInt8(ascii: "r"), UInt8(ascii: "e")), (UInt8(ascii: "v"), UInt8(ascii: "e")),
            (UInt8(ascii: "l"), UInt8(ascii: "l")):
            return start + 3
        // U+017F, the long s, is an s of another case.
        case (0xC5, 0xBF) where anyCase: return start + 3
        default: return nil
        }
    }
}
