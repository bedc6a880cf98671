import PithCore

/// A piece of a template.
struct JinjaToken {
    enum Kind: Equatable {
        /// Text outside all tags.
        case data(String)
        case blockBegin, blockEnd, variableBegin, variableEnd
        case name(String)
        case string(String)
        case integer(Int)
        case float(Double)
        case symbol(String)
        case end
    }

    let kind: Kind
    let line: Int
}

/// Cuts a template into tokens, as Jinja does it with `trim_blocks` and `lstrip_blocks`.
struct JinjaLexer {
    private let text: [Unicode.Scalar]
    private var position = 0
    private var line = 1
    private var tokens: [JinjaToken] = []
    /// Whether the text at hand begins a line.
    private var isLineStart = true

    /// All tokens of a template, with an end behind them.
    static func tokens(of template: String) throws(PithError) -> [JinjaToken] {
        var lexer = JinjaLexer(template)
        try lexer.run()
        return lexer.tokens
    }

    private init(_ template: String) {
        // Newlines are of one kind, and the last one is none of the template's.
        var scalars: [Unicode.Scalar] = []
        for scalar in template.unicodeScalars {
            if scalar == "\n", scalars.last == "\r" { scalars.removeLast() }
            scalars.append(scalar)
        }
        text = scalars.map { $0 == "\r" ? "\n" : $0 }.dropLast(scalars.last == "\n" || scalars.last == "\r" ? 1 : 0)
    }

    private mutating func run() throws(PithError) {
        while position < text.count {
            let start = position
            while position < text.count, !isTagBegin { position += 1 }
            var data = Array(text[start..<position])
            guard position < text.count else {
                append(data)
                break
            }
            let kind = text[position + 1]
            let sign = position + 2 < text.count ? text[position + 2] : " "
            trim(&data, before: sign, stripsIndentation: kind != "{")
            append(data)
            line += text[start..<position].count { $0 == "\n" }
            position += sign == "-" || sign == "+" ? 3 : 2
            switch kind {
            case "#": try skipComment()
            case "{": try readTag(.variableBegin, end: "}}", .variableEnd)
            default:
                if takeRawBegin() { try readRaw() } else { try readTag(.blockBegin, end: "%}", .blockEnd) }
            }
        }
        tokens.append(JinjaToken(kind: .end, line: line))
    }

    private var isTagBegin: Bool {
        text[position] == "{" && position + 1 < text.count && "{%#".unicodeScalars.contains(text[position + 1])
    }

    private mutating func append(_ data: [Unicode.Scalar]) {
        guard !data.isEmpty else { return }
        tokens.append(JinjaToken(kind: .data(Self.string(data)), line: line))
    }

    private static func string(_ scalars: some Sequence<Unicode.Scalar>) -> String {
        var text = String.UnicodeScalarView()
        text.append(contentsOf: scalars)
        return String(text)
    }

    /// Removes what a tag with this sign cuts of the text before it.
    private func trim(_ data: inout [Unicode.Scalar], before sign: Unicode.Scalar, stripsIndentation: Bool) {
        if sign == "-" {
            while let last = data.last, last.properties.isWhitespace { data.removeLast() }
        } else if sign != "+", stripsIndentation {
            stripIndentation(of: &data)
        }
    }

    /// Removes what stands between the beginning of a line and a tag, if it is blank.
    private func stripIndentation(of data: inout [Unicode.Scalar]) {
        let lineStart = data.lastIndex(of: "\n").map { $0 + 1 } ?? 0
        guard lineStart > 0 || isLineStart, data[lineStart...].allSatisfy(\.properties.isWhitespace) else { return }
        data.removeSubrange(lineStart...)
    }

    /// Whether `expected` stands at a place.
    private func stands(_ expected: String, at place: Int) -> Bool {
        text[min(place, text.count)...].starts(with: expected.unicodeScalars)
    }

    /// Takes the end of a tag, and what is cut behind it; false if it does not stand here.
    private mutating func takeEnd(_ end: String, trimsNewline: Bool) -> Bool {
        let start = position
        let first = position < text.count ? text[position] : " "
        let isSigned = (first == "-" || first == "+") && stands(end, at: position + 1)
        guard isSigned || stands(end, at: position) else { return false }
        position += (isSigned ? 1 : 0) + 2
        if isSigned, first == "-" {
            while position < text.count, text[position].properties.isWhitespace { position += 1 }
        } else if !isSigned, trimsNewline, position < text.count, text[position] == "\n" {
            position += 1
        }
        line += text[start..<position].count { $0 == "\n" }
        isLineStart = text[position - 1] == "\n"
        return true
    }

    private mutating func skipComment() throws(PithError) {
        let start = line
        while position < text.count {
            if takeEnd("#}", trimsNewline: true) { return }
            if text[position] == "\n" { line += 1 }
            position += 1
        }
        throw Self.failure("a comment does not end", start)
    }

    /// Takes the rest of `{% raw %}`.
    private mutating func takeRawBegin() -> Bool {
        let before = (position, line, isLineStart)
        skipSpace()
        if stands("raw", at: position) {
            position += 3
            skipSpace()
            if takeEnd("%}", trimsNewline: false) { return true }
        }
        (position, line, isLineStart) = before
        return false
    }

    private mutating func readRaw() throws(PithError) {
        let (start, startLine) = (position, line)
        while position < text.count {
            if stands("{%", at: position) {
                let end = position
                position += 2
                let sign = position < text.count ? text[position] : " "
                if sign == "-" || sign == "+" { position += 1 }
                skipSpace()
                if stands("endraw", at: position) {
                    position += 6
                    skipSpace()
                    var data = Array(text[start..<end])
                    trim(&data, before: sign, stripsIndentation: true)
                    if takeEnd("%}", trimsNewline: true) { return append(data) }
                }
                position = end
            }
            if text[position] == "\n" { line += 1 }
            position += 1
        }
        throw Self.failure("a raw block does not end", startLine)
    }

    private mutating func skipSpace() {
        while position < text.count, text[position].properties.isWhitespace {
            if text[position] == "\n" { line += 1 }
            position += 1
        }
    }

    // MARK: Inside a tag

    private mutating func readTag(
        _ begin: JinjaToken.Kind, end: String, _ endKind: JinjaToken.Kind
    ) throws(PithError) {
        let start = line
        tokens.append(JinjaToken(kind: begin, line: line))
        // Brackets that are open: `}}` may close two of them.
        var open: [Unicode.Scalar] = []
        while true {
            skipSpace()
            guard position < text.count else { throw Self.failure("a tag does not end", start) }
            let endLine = line
            if open.isEmpty, takeEnd(end, trimsNewline: endKind == .blockEnd) {
                tokens.append(JinjaToken(kind: endKind, line: endLine))
                return
            }
            try readToken(&open)
        }
    }

    private static let closing: [Unicode.Scalar: Unicode.Scalar] = ["(": ")", "[": "]", "{": "}"]
    private static let symbols = [
        "//", "**", "==", "!=", ">=", "<=", "+", "-", "/", "*", "%", "~", "[", "]", "(", ")", "{", "}", ">", "<", "=",
        ".", ":", "|", ",", ";",
    ]

    private mutating func readToken(_ open: inout [Unicode.Scalar]) throws(PithError) {
        let scalar = text[position]
        if scalar == "'" || scalar == "\"" { return try readString(scalar) }
        if Self.isDigit(scalar) { return try readNumber() }
        if Self.isNamePart(scalar) {
            let start = position
            while position < text.count, Self.isNamePart(text[position]) { position += 1 }
            return add(.name(Self.string(text[start..<position])))
        }
        guard let symbol = Self.symbols.first(where: { stands($0, at: position) }) else {
            throw Self.failure("'\(Self.string([scalar]).printable)' stands where nothing like it may", line)
        }
        if let closing = Self.closing[scalar] { open.append(closing) }
        if [")", "]", "}"].contains(scalar) {
            guard open.popLast() == scalar else { throw Self.failure("'\(symbol)' closes nothing", line) }
        }
        position += symbol.unicodeScalars.count
        add(.symbol(symbol))
    }

    private mutating func add(_ kind: JinjaToken.Kind) { tokens.append(JinjaToken(kind: kind, line: line)) }

    private static func isDigit(_ scalar: Unicode.Scalar) -> Bool { ("0"..."9").contains(scalar) }

    private static func isNamePart(_ scalar: Unicode.Scalar) -> Bool {
        scalar == "_" || scalar.properties.isXIDContinue
    }

    private mutating func digits(_ isDigit: (Unicode.Scalar) -> Bool) -> String {
        let start = position
        while position < text.count, isDigit(text[position]) || text[position] == "_" { position += 1 }
        return Self.string(text[start..<position].filter { $0 != "_" })
    }

    private mutating func readNumber() throws(PithError) {
        let radix: [(String, Int)] = [("0x", 16), ("0X", 16), ("0o", 8), ("0O", 8), ("0b", 2), ("0B", 2)]
        if let (prefix, radix) = radix.first(where: { stands($0.0, at: position) }) {
            position += prefix.count
            guard let number = Int(digits { $0.properties.isASCIIHexDigit }, radix: radix) else {
                throw Self.failure("a number is not understood", line)
            }
            return add(.integer(number))
        }
        var literal = digits(Self.isDigit)
        var isWhole = true
        func digit(at place: Int) -> Bool { place < text.count && Self.isDigit(text[place]) }
        if position < text.count, text[position] == ".", digit(at: position + 1) {
            position += 1
            literal += "." + digits(Self.isDigit)
            isWhole = false
        }
        if position < text.count, text[position] == "e" || text[position] == "E" {
            let isSigned = position + 1 < text.count && (text[position + 1] == "-" || text[position + 1] == "+")
            if digit(at: position + (isSigned ? 2 : 1)) {
                literal += isSigned ? "e\(text[position + 1])" : "e"
                position += isSigned ? 2 : 1
                literal += digits(Self.isDigit)
                isWhole = false
            }
        }
        if isWhole {
            guard let number = Int(literal) else {
                throw Self.failure("the number \(literal.shortened) is too large", line)
            }
            add(.integer(number))
        } else {
            add(.float(Double(literal) ?? .infinity))
        }
    }

    private mutating func readString(_ quote: Unicode.Scalar) throws(PithError) {
        let start = line
        var content: [Unicode.Scalar] = []
        position += 1
        while position < text.count, text[position] != quote {
            if text[position] == "\n" { line += 1 }
            guard text[position] == "\\", position + 1 < text.count else {
                content.append(text[position])
                position += 1
                continue
            }
            position += 1
            try readEscape(into: &content)
        }
        guard position < text.count else { throw Self.failure("a text does not end", start) }
        position += 1
        tokens.append(JinjaToken(kind: .string(Self.string(content)), line: start))
    }

    private static let escapes: [Unicode.Scalar: Unicode.Scalar] = [
        "n": "\n", "t": "\t", "r": "\r", "\\": "\\", "'": "'", "\"": "\"", "a": "\u{7}", "b": "\u{8}", "f": "\u{C}",
        "v": "\u{B}",
    ]

    /// What stands behind a backslash, as in Python; what means nothing there stays with its backslash.
    private mutating func readEscape(into content: inout [Unicode.Scalar]) throws(PithError) {
        let scalar = text[position]
        position += 1
        if let plain = Self.escapes[scalar] { return content.append(plain) }
        if scalar == "\n" {
            line += 1
            return
        }
        if ("0"..."7").contains(scalar) {
            let more = text[position...].prefix(2).prefix { ("0"..."7").contains($0) }
            position += more.count
            return content.append(try character(Self.string([scalar] + more), radix: 8))
        }
        guard let size = ["x": 2, "u": 4, "U": 8][scalar] else {
            content += ["\\", scalar]
            return
        }
        let code = text[position...].prefix(size)
        guard code.count == size, code.allSatisfy(\.properties.isASCIIHexDigit) else {
            throw Self.failure("'\\\(scalar)' stands before something else than \(size) hexadecimal digits", line)
        }
        position += size
        content.append(try character(Self.string(code), radix: 16))
    }

    private func character(_ code: String, radix: Int) throws(PithError) -> Unicode.Scalar {
        guard let number = UInt32(code, radix: radix), let scalar = Unicode.Scalar(number) else {
            throw Self.failure("the character '\(code)' does not exist", line)
        }
        return scalar
    }

    private static func failure(_ message: String, _ line: Int) -> PithError { .data(message, at: "line \(line)") }
}
