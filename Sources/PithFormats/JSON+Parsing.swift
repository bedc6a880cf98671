import PithCore

extension JSONValue {
    /// Arrays and objects may stand inside each other so deep.
    public static let maximumDepth = 128

    /// Parses a whole document; errors tell the byte offset.
    public init(parsing bytes: UnsafeRawBufferPointer) throws(PithError) {
        var parser = JSONParser(bytes: bytes)
        self = try parser.parseDocument()
    }

    /// Parses a whole document.
    public init(parsing bytes: [UInt8]) throws(PithError) {
        self = try bytes.withUnsafeBufferPointer { (bytes) throws(PithError) in
            try JSONValue(parsing: UnsafeRawBufferPointer(bytes))
        }
    }

    /// Parses a whole document.
    public init(parsing text: String) throws(PithError) { try self.init(parsing: Array(text.utf8)) }

    /// Parses a document but for the values of some members of the object or of objects in it, named as `model.vocab`:
    /// null stands in their place, and where they lie is told. These are not checked.
    static func parsing(
        _ bytes: UnsafeRawBufferPointer, settingAside names: Set<String>
    ) throws(PithError) -> (value: JSONValue, aside: [String: Range<Int>]) {
        var parser = JSONParser(bytes: bytes)
        parser.names = names
        return (try parser.parseDocument(), parser.aside)
    }

    /// Reads the document in the file at `path`.
    public init(contentsOf path: String) throws(PithError) {
        let region = try MappedFile.open(path)
        try region.refusePointer(at: path)
        do {
            self = try region.withBytes { (bytes) throws(PithError) in try JSONValue(parsing: bytes) }
        } catch { throw error.within(path) }
    }
}

/// A strict parser of RFC 8259: no comments, no trailing commas, no duplicate keys, no lone surrogates.
struct JSONParser {
    private let bytes: UnsafeRawBufferPointer
    private var offset: Int
    private var depth = 0
    /// Members of the outer two objects whose values are left unread, and where those lie.
    fileprivate var names: Set<String> = []
    fileprivate private(set) var aside: [String: Range<Int>] = [:]
    private var outerKey: String?

    /// A parser of the value that begins at `offset`.
    init(bytes: UnsafeRawBufferPointer, at offset: Int = 0) { (self.bytes, self.offset) = (bytes, offset) }

    mutating func parseDocument() throws(PithError) -> JSONValue {
        let value = try parseValue()
        skipSpace()
        guard offset == bytes.count else { throw failure("something follows the end of the document") }
        return value
    }

    private func failure(_ message: String, at offset: Int? = nil) -> PithError {
        .data("not valid JSON: \(message)", at: "byte \(offset ?? self.offset)")
    }

    private var byte: UInt8? { offset < bytes.count ? bytes[offset] : nil }

    private mutating func skipSpace() {
        while offset < bytes.count {
            switch bytes[offset] {
            case 0x20, 0x0A, 0x0D, 0x09: offset += 1
            default: return
            }
        }
    }

    private mutating func parseValue() throws(PithError) -> JSONValue {
        skipSpace()
        guard let byte else { throw failure("it ends where a value should be") }
        switch byte {
        case UInt8(ascii: "\""): return .string(try parseString())
        case UInt8(ascii: "{"): return try nested { (parser) throws(PithError) in try parser.parseObject() }
        case UInt8(ascii: "["): return try nested { (parser) throws(PithError) in try parser.parseArray() }
        case UInt8(ascii: "-"), UInt8(ascii: "0")...UInt8(ascii: "9"): return try parseNumber()
        case UInt8(ascii: "t"): return try parseWord("true", .bool(true))
        case UInt8(ascii: "f"): return try parseWord("false", .bool(false))
        case UInt8(ascii: "n"): return try parseWord("null", .null)
        default: throw failure("a value was expected")
        }
    }

    private mutating func nested(
        _ body: (inout JSONParser) throws(PithError) -> JSONValue
    ) throws(PithError) -> JSONValue {
        guard depth < JSONValue.maximumDepth else {
            throw failure("nested deeper than \(JSONValue.maximumDepth)")
        }
        depth += 1
        offset += 1
        let value = try body(&self)
        depth -= 1
        return value
    }

    private mutating func parseWord(_ word: StaticString, _ value: JSONValue) throws(PithError) -> JSONValue {
        let matches =
            bytes.count - offset >= word.utf8CodeUnitCount
            && (0..<word.utf8CodeUnitCount).allSatisfy { bytes[offset + $0] == word.utf8Start[$0] }
        guard matches else { throw failure("a value was expected") }
        offset += word.utf8CodeUnitCount
        return value
    }

    /// After the opening bracket.
    private mutating func parseArray() throws(PithError) -> JSONValue {
        var elements: [JSONValue] = []
        skipSpace()
        if byte == UInt8(ascii: "]") {
            offset += 1
            return .array(elements)
        }
        while true {
            elements.append(try parseValue())
            if try endsAfterItem(with: UInt8(ascii: "]")) { return .array(elements) }
        }
    }

    /// After the opening brace.
    private mutating func parseObject() throws(PithError) -> JSONValue {
        var object = JSONObject()
        skipSpace()
        if byte == UInt8(ascii: "}") {
            offset += 1
            return .object(object)
        }
        while true {
            skipSpace()
            let start = offset
            guard byte == UInt8(ascii: "\"") else { throw failure("a key in quotes was expected") }
            let key = try parseString()
            skipSpace()
            guard byte == UInt8(ascii: ":") else { throw failure("a colon was expected") }
            offset += 1
            let value = try parseMember(key)
            guard object.insert(key, value) else {
                throw failure("the key \"\(key.shortened)\" stands twice", at: start)
            }
            if try endsAfterItem(with: UInt8(ascii: "}")) { return .object(object) }
        }
    }

    private mutating func parseMember(_ key: String) throws(PithError) -> JSONValue {
        guard depth <= 2, !names.isEmpty else { return try parseValue() }
        let name = outerKey.map { $0 + "." + key } ?? key
        if names.contains(name) {
            skipSpace()
            let start = offset
            try skipValue()
            aside[name] = start..<offset
            return .null
        }
        if depth == 1 { outerKey = key }
        defer { if depth == 1 { outerKey = nil } }
        return try parseValue()
    }

    /// Passes over a value whose brackets and quotes match.
    private mutating func skipValue() throws(PithError) {
        let (start, outerDepth) = (offset, depth)
        while let byte {
            switch byte {
            case UInt8(ascii: "\""):
                offset += 1
                while offset < bytes.count, bytes[offset] != UInt8(ascii: "\"") {
                    offset += bytes[offset] == UInt8(ascii: "\\") ? 2 : 1
                }
                guard offset < bytes.count else { throw failure("a text does not end", at: start) }
            case UInt8(ascii: "{"), UInt8(ascii: "["): depth += 1
            case UInt8(ascii: "}"), UInt8(ascii: "]"):
                if depth == outerDepth { return }
                depth -= 1
            case UInt8(ascii: ",") where depth == outerDepth: return
            default: break
            }
            offset += 1
        }
        throw failure("it ends within a value", at: start)
    }

    private mutating func endsAfterItem(with closing: UInt8) throws(PithError) -> Bool {
        skipSpace()
        guard let byte, byte == closing || byte == UInt8(ascii: ",") else {
            throw failure("a comma or '\(Character(Unicode.Scalar(closing)))' was expected")
        }
        offset += 1
        return byte == closing
    }

    private mutating func skipDigits() throws(PithError) {
        let start = offset
        while let byte, (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) { offset += 1 }
        guard offset > start else { throw failure("a digit was expected") }
    }

    private mutating func parseNumber() throws(PithError) -> JSONValue {
        let start = offset
        if byte == UInt8(ascii: "-") { offset += 1 }
        let isZeroFirst = byte == UInt8(ascii: "0")
        let firstDigit = offset
        try skipDigits()
        guard !isZeroFirst || offset == firstDigit + 1 else {
            throw failure("a number begins with a superfluous 0", at: start)
        }
        var isWhole = true
        if byte == UInt8(ascii: ".") {
            isWhole = false
            offset += 1
            try skipDigits()
        }
        if byte == UInt8(ascii: "e") || byte == UInt8(ascii: "E") {
            isWhole = false
            offset += 1
            if byte == UInt8(ascii: "+") || byte == UInt8(ascii: "-") { offset += 1 }
            try skipDigits()
        }
        let text = String(decoding: bytes[start..<offset], as: UTF8.self)
        if isWhole, text != "-0", let value = Int(text) { return .integer(value) }
        guard let value = Double(text), value.isFinite else { throw failure("a number is out of range", at: start) }
        return .real(value)
    }

    /// At the opening quote.
    private mutating func parseString() throws(PithError) -> String {
        let start = offset + 1
        var text: [UInt8] = []
        try parseText(into: &text)
        guard let text = String(validating: text, as: UTF8.self) else {
            throw failure("a text is not valid UTF-8", at: start)
        }
        return text
    }

    /// At the opening quote: appends the bytes of the text, which may be no UTF-8 if those of the document are not.
    private mutating func parseText(into text: inout [UInt8]) throws(PithError) {
        let opening = offset
        offset += 1
        var start = offset
        while offset < bytes.count {
            switch bytes[offset] {
            case UInt8(ascii: "\""):
                text += bytes[start..<offset]
                offset += 1
                return
            case UInt8(ascii: "\\"):
                text += bytes[start..<offset]
                offset += 1
                text += String(try parseEscape()).utf8
                start = offset
            case 0..<0x20: throw failure("a control character stands in a text")
            default: offset += 1
            }
        }
        throw failure("a text does not end", at: opening)
    }

    /// After the backslash.
    private mutating func parseEscape() throws(PithError) -> Unicode.Scalar {
        guard let byte else { throw failure("a text does not end") }
        offset += 1
        switch byte {
        case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): return Unicode.Scalar(byte)
        case UInt8(ascii: "b"): return "\u{8}"
        case UInt8(ascii: "f"): return "\u{C}"
        case UInt8(ascii: "n"): return "\n"
        case UInt8(ascii: "r"): return "\r"
        case UInt8(ascii: "t"): return "\t"
        case UInt8(ascii: "u"): return try parseCodePoint()
        default: throw failure("an unknown escape", at: offset - 2)
        }
    }

    /// After `\u`: one unit, or two that form a pair.
    private mutating func parseCodePoint() throws(PithError) -> Unicode.Scalar {
        let start = offset - 2
        let first = try parseHexadecimal()
        if let scalar = Unicode.Scalar(first) { return scalar }
        guard first < 0xDC00, offset + 1 < bytes.count, bytes[offset] == UInt8(ascii: "\\"),
            bytes[offset + 1] == UInt8(ascii: "u")
        else { throw failure("half a surrogate pair", at: start) }
        offset += 2
        let second = try parseHexadecimal()
        guard (0xDC00...0xDFFF).contains(second) else { throw failure("half a surrogate pair", at: start) }
        let code = 0x10000 + (UInt32(first - 0xD800) << 10) + UInt32(second - 0xDC00)
        guard let scalar = Unicode.Scalar(code) else { throw failure("half a surrogate pair", at: start) }
        return scalar
    }

    private mutating func parseHexadecimal() throws(PithError) -> UInt16 {
        var value: UInt16 = 0
        for _ in 0..<4 {
            guard let byte, let digit = Character(Unicode.Scalar(byte)).hexDigitValue else {
                throw failure("four hexadecimal digits were expected after \\u")
            }
            value = value << 4 | UInt16(digit)
            offset += 1
        }
        return value
    }
}

extension JSONParser {
    /// What a value is, by its first byte; nil at the end.
    mutating func peek() -> UInt8? {
        skipSpace()
        return byte
    }

    /// Reads an object: `body` gets the bytes of each name and reads the value. No tree is made, and nobody looks whether
    /// a name stands twice.
    mutating func readObject(
        _ body: (inout JSONParser, [UInt8]) throws(PithError) -> Void
    ) throws(PithError) {
        guard peek() == UInt8(ascii: "{") else { throw failure("an object was expected") }
        offset += 1
        if peek() == UInt8(ascii: "}") {
            offset += 1
            return
        }
        var key: [UInt8] = []
        repeat {
            guard peek() == UInt8(ascii: "\"") else { throw failure("a key in quotes was expected") }
            key.removeAll(keepingCapacity: true)
            try parseText(into: &key)
            guard peek() == UInt8(ascii: ":") else { throw failure("a colon was expected") }
            offset += 1
            try body(&self, key)
        } while try !endsAfterItem(with: UInt8(ascii: "}"))
    }

    /// Reads an array: `body` reads each element.
    mutating func readArray(_ body: (inout JSONParser) throws(PithError) -> Void) throws(PithError) {
        guard peek() == UInt8(ascii: "[") else { throw failure("an array was expected") }
        offset += 1
        if peek() == UInt8(ascii: "]") {
            offset += 1
            return
        }
        repeat { try body(&self) } while try !endsAfterItem(with: UInt8(ascii: "]"))
    }

    /// Reads a text and appends its bytes.
    mutating func readText(into text: inout [UInt8]) throws(PithError) {
        guard peek() == UInt8(ascii: "\"") else { throw failure("a text was expected") }
        try parseText(into: &text)
    }

    /// Reads a number.
    mutating func readNumber() throws(PithError) -> JSONValue {
        guard let byte = peek(), byte == UInt8(ascii: "-") || (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte)
        else { throw failure("a number was expected") }
        return try parseNumber()
    }
}

extension JSONParser {
    /// Reads a number as the reader of the `tokenizers` package does, which rounds twice: the digits as a whole number, and
    /// once more by a power of ten. Sums of scores that are equal there must be equal here.
    mutating func readScore() throws(PithError) -> Double {
        _ = peek()
        let start = offset
        let exact: Double
        switch try readNumber() {
        case .integer(let value): return Double(value)
        case .real(let value): exact = value
        default: return 0
        }
        var (digits, exponent, isBehindPoint, isFull) = (UInt64(0), 0, false, false)
        var place = bytes[start] == UInt8(ascii: "-") ? start + 1 : start
        while place < offset {
            let byte = bytes[place]
            if byte == UInt8(ascii: ".") {
                isBehindPoint = true
            } else if (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) {
                let (tens, overflow) = digits.multipliedReportingOverflow(by: 10)
                let (sum, carry) = tens.addingReportingOverflow(UInt64(byte - UInt8(ascii: "0")))
                isFull = isFull || overflow || carry
                if !isFull {
                    digits = sum
                    if isBehindPoint { exponent -= 1 }
                } else if !isBehindPoint {
                    exponent += 1
                }
            } else {
                break
            }
            place += 1
        }
        if place < offset {
            let text = String(decoding: bytes[(place + 1)..<offset].drop { $0 == UInt8(ascii: "+") }, as: UTF8.self)
            exponent += Int(text) ?? 0
        }
        guard abs(exponent) <= 308, let power = Double("1e\(abs(exponent))") else { return exact }
        let value = exponent < 0 ? Double(digits) / power : Double(digits) * power
        return bytes[start] == UInt8(ascii: "-") ? -value : value
    }
}

extension String {
    /// At most 60 characters, for error messages that quote a file.
    package var shortened: String { count <= 60 ? self : prefix(60) + "…" }
}
