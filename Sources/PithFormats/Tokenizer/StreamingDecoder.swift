/// Turns tokens into text one by one, and never gives out a part of a character.
public struct StreamingDecoder: Sendable {
    private let tokenizer: Tokenizer
    private let skipsSpecialTokens: Bool
    /// Tokens whose text was given out last: decoders treat the beginning of a text differently.
    private var context: [Int] = []
    /// Tokens that were not given out yet.
    private var pending: [Int] = []
    /// The last bytes of `pending`, enough to see whether a character is complete.
    private var tail: [UInt8] = []

    /// A decoder at the beginning of a text.
    public init(_ tokenizer: Tokenizer, skippingSpecialTokens: Bool = true) {
        self.tokenizer = tokenizer
        skipsSpecialTokens = skippingSpecialTokens
    }

    /// Takes the next token and returns the text that is certain now.
    public mutating func push(_ token: Int) -> String {
        if skipsSpecialTokens, tokenizer.isSpecial(token) { return "" }
        pending.append(token)
        tail = (tail + tokenizer.bytes(of: token)).suffix(4)
        return Self.endsInsideCharacter(tail) ? "" : release()
    }

    /// Returns what was held back; bytes that are no text become marks.
    public mutating func finish() -> String { release() }

    private mutating func release() -> String {
        if pending.isEmpty { return "" }
        let before = decode(context)
        let after = decode(context + pending)
        // A run of bytes that proves to be no text changes what was given out already; nothing can be taken back.
        let isContinued = after.utf8.starts(with: before.utf8)
        let text = isContinued ? String(after.utf8.dropFirst(before.utf8.count)) ?? "" : decode(pending)
        // What has no text must not become the beginning.
        if !text.isEmpty {
            context = pending
            pending = []
        }
        tail = []
        return text
    }

    private func decode(_ tokens: [Int]) -> String {
        tokenizer.decode(tokens, skippingSpecialTokens: skipsSpecialTokens)
    }

    /// Whether more bytes could complete a character at the end.
    static func endsInsideCharacter(_ bytes: [UInt8]) -> Bool {
        for (distance, byte) in bytes.reversed().prefix(3).enumerated() {
            switch byte {
            case 0x80...0xBF: continue
            case 0xC2...0xDF: return distance < 1
            case 0xE0...0xEF: return distance < 2
            case 0xF0...0xF4: return distance < 3
            default: return false
            }
        }
        return false
    }
}
