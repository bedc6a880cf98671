import PithCore

/// A regular expression as tokenizer files have them: character classes, alternatives, repetition (greedy, lazy and
/// possessive), look-around, atomic groups, anchors. The rules are Oniguruma's, which the `tokenizers` package uses.
///
/// Expressions backtrack. Loops in loops and what repeats nothing are refused when the expression is read; a match that
/// goes back often notes what it tried.
struct Expression: Sendable {
    /// What is read, before it becomes a program.
    indirect enum Node {
        case set(ScalarSet)
        case sequence([Node])
        case alternatives([Node])
        case loop(Node, least: Int, most: Int, Style)
        case look(Node, isBehind: Bool, isNegated: Bool)
        case atomic(Node)
        case anchor(Anchor)
    }

    enum Style { case greedy, lazy, possessive }
    enum Anchor { case textStart, textEnd, lastLineEnd, lineStart, lineEnd, wordBoundary, noWordBoundary }

    private let program: ExpressionProgram
    /// The bytes with which a match may begin; nil if it may be empty.
    private let firstBytes: ByteSet?

    /// Reads an expression.
    init(_ text: String) throws(PithError) {
        var parser = ExpressionParser(text)
        try self.init(parser.parse(), text)
    }

    /// An expression that was taken apart; `text` is what errors quote.
    init(_ node: Node, _ text: String) throws(PithError) {
        program = try ExpressionProgram(node, text)
        let first = node.firstBytes
        firstBytes = first.mayBeEmpty ? nil : first.bytes
    }

    /// Calls `body` with each match in `bytes`, valid UTF-8, in order. Matches do not overlap; an empty one does not
    /// follow another at once.
    func forEachMatch(in bytes: UnsafeBufferPointer<UInt8>, _ body: (Range<Int>) -> Void) {
        var matcher = ExpressionMatcher(program, bytes)
        var (start, lastEnd) = (0, -1)
        while let match = nextMatch(from: start, &matcher, bytes) {
            if match.isEmpty, match.upperBound == lastEnd {
                start += start < bytes.count ? UTF8.width(leading: bytes[start]) : 1
            } else {
                body(match)
                (start, lastEnd) = (match.upperBound, match.upperBound)
            }
        }
    }

    private func nextMatch(
        from start: Int, _ matcher: inout ExpressionMatcher, _ bytes: UnsafeBufferPointer<UInt8>
    ) -> Range<Int>? {
        var start = start
        while start <= bytes.count {
            if let firstBytes {
                while start < bytes.count, !firstBytes.contains(bytes[start]) { start += 1 }
                if start == bytes.count { return nil }
            }
            if let end = matcher.match(at: start) { return start..<end }
            start += start < bytes.count ? UTF8.width(leading: bytes[start]) : 1
        }
        return nil
    }
}

/// A set of bytes.
struct ByteSet: Sendable {
    private var words: (UInt64, UInt64, UInt64, UInt64) = (0, 0, 0, 0)

    @inline(__always) func contains(_ byte: UInt8) -> Bool {
        let bit = UInt64(byte & 63)
        switch byte >> 6 {
        case 0: return words.0 >> bit & 1 != 0
        case 1: return words.1 >> bit & 1 != 0
        case 2: return words.2 >> bit & 1 != 0
        default: return words.3 >> bit & 1 != 0
        }
    }

    mutating func insert(_ byte: UInt8) {
        let bit = UInt64(1) << UInt64(byte & 63)
        switch byte >> 6 {
        case 0: words.0 |= bit
        case 1: words.1 |= bit
        case 2: words.2 |= bit
        default: words.3 |= bit
        }
    }

    mutating func formUnion(_ other: ByteSet) {
        words.0 |= other.words.0
        words.1 |= other.words.1
        words.2 |= other.words.2
        words.3 |= other.words.3
    }
}

extension Expression.Node {
    /// The bytes with which a match may begin, and whether it may be empty.
    var firstBytes: (bytes: ByteSet, mayBeEmpty: Bool) {
        switch self {
        case .set(let set):
            var bytes = ByteSet()
            for value in 0..<UInt32(128) where set.contains(value) { bytes.insert(UInt8(value)) }
            if set.mayHaveOthers { for value in 0x80...0xFF { bytes.insert(UInt8(value)) } }
            return (bytes, false)
        case .sequence(let nodes):
            var bytes = ByteSet()
            for node in nodes {
                let first = node.firstBytes
                bytes.formUnion(first.bytes)
                if !first.mayBeEmpty { return (bytes, false) }
            }
            return (bytes, true)
        case .alternatives(let nodes):
            var (bytes, mayBeEmpty) = (ByteSet(), false)
            for node in nodes {
                let first = node.firstBytes
                bytes.formUnion(first.bytes)
                mayBeEmpty = mayBeEmpty || first.mayBeEmpty
            }
            return (bytes, mayBeEmpty)
        case .loop(let node, let least, _, _):
            let first = node.firstBytes
            return (first.bytes, first.mayBeEmpty || least == 0)
        case .atomic(let node): return node.firstBytes
        case .look, .anchor: return (ByteSet(), true)
        }
    }

    /// How many characters every match has; nil if that differs.
    var width: Int? {
        switch self {
        case .set: return 1
        case .sequence(let nodes):
            var sum = 0
            for node in nodes {
                guard let width = node.width else { return nil }
                sum += width
            }
            return sum
        case .alternatives(let nodes):
            let widths = Set(nodes.map(\.width))
            return widths.count == 1 ? widths.first ?? nil : nil
        case .loop(let node, let least, let most, _):
            return least == most ? node.width.map { $0 * least } : nil
        case .atomic(let node): return node.width
        case .look, .anchor: return 0
        }
    }

    /// Whether it holds a loop without an end.
    var isEndless: Bool {
        switch self {
        case .set, .anchor: false
        case .sequence(let nodes), .alternatives(let nodes): nodes.contains(where: \.isEndless)
        case .loop(let node, _, let most, let style):
            (most == .max && style != .possessive) || node.isEndless
        case .look(let node, _, _): node.isEndless
        case .atomic: false
        }
    }
}
