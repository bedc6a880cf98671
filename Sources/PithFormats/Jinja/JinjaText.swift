import PithCore

extension JinjaValue {
    /// What Python's `str` gives, and with it what a template writes.
    var text: String {
        switch self {
        case .undefined: ""
        case .string(let text): text
        default: representation
        }
    }

    /// What Python's `repr` gives.
    var representation: String {
        switch self {
        case .undefined: "Undefined"
        case .none: "None"
        case .bool(let flag): flag ? "True" : "False"
        case .int(let number): String(number)
        case .float(let number): Self.text(of: number)
        case .string(let text): Self.quoted(text)
        case .list(let elements): "[" + elements.map(\.representation).joined(separator: ", ") + "]"
        case .tuple(let elements):
            "(" + elements.map(\.representation).joined(separator: ", ") + (elements.count == 1 ? ",)" : ")")
        case .dictionary(let dictionary):
            "{"
                + zip(dictionary.keys, dictionary.values).map { "\($0.representation): \($1.representation)" }
                .joined(separator: ", ") + "}"
        case .namespace(let namespace): "<Namespace \(JinjaValue.dictionary(namespace.members).representation)>"
        case .function(let function): "<function \(function.name)>"
        case .loop(let loop): "<LoopContext \(loop.index + 1)/\(loop.items.count)>"
        }
    }

    /// Python's text of a number.
    static func text(of number: Double) -> String {
        if number.isNaN { return "nan" }
        if number.isInfinite { return number < 0 ? "-inf" : "inf" }
        return number.description
    }

    /// A text in quotes, as Python chooses and escapes them.
    private static func quoted(_ text: String) -> String {
        let quote: Unicode.Scalar =
            text.unicodeScalars.contains("'") && !text.unicodeScalars.contains("\"") ? "\"" : "'"
        var result = String.UnicodeScalarView([quote])
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\\": result.append(contentsOf: "\\\\".unicodeScalars)
            case "\n": result.append(contentsOf: "\\n".unicodeScalars)
            case "\r": result.append(contentsOf: "\\r".unicodeScalars)
            case "\t": result.append(contentsOf: "\\t".unicodeScalars)
            case quote:
                result.append("\\")
                result.append(quote)
            case _ where isPrintable(scalar): result.append(scalar)
            default: result.append(contentsOf: escape(scalar).unicodeScalars)
            }
        }
        result.append(quote)
        return String(result)
    }

    private static func isPrintable(_ scalar: Unicode.Scalar) -> Bool {
        switch scalar.properties.generalCategory {
        case .control, .format, .surrogate, .privateUse, .unassigned, .lineSeparator, .paragraphSeparator: false
        case .spaceSeparator: scalar == " "
        default: true
        }
    }

    private static func escape(_ scalar: Unicode.Scalar) -> String {
        let code = String(scalar.value, radix: 16)
        let (letter, size) = scalar.value < 0x100 ? ("x", 2) : scalar.value < 0x10000 ? ("u", 4) : ("U", 8)
        return "\\\(letter)" + String(repeating: "0", count: size - code.count) + code
    }
}

/// Writes values as Python's `json.dumps` does.
struct JinjaJSONWriter {
    var escapesAll = false
    /// What a level is indented by; nil for one line.
    var indentation: String?
    var itemSeparator: String
    var keySeparator: String
    var sortsKeys = false
    private var output = ""

    init(
        escapesAll: Bool = false, indentation: String? = nil, separators: (item: String, key: String)? = nil,
        sortsKeys: Bool = false
    ) {
        (self.escapesAll, self.indentation, self.sortsKeys) = (escapesAll, indentation, sortsKeys)
        (itemSeparator, keySeparator) = separators ?? (indentation == nil ? ", " : ",", ": ")
    }

    /// The document.
    func text(of value: JinjaValue) throws(PithError) -> String {
        var writer = self
        try writer.write(value, level: 0)
        return writer.output
    }

    private mutating func write(_ value: JinjaValue, level: Int) throws(PithError) {
        guard level < 200 else { throw .data("values lie too deep inside each other for JSON") }
        switch value {
        case .none: output += "null"
        case .bool(let flag): output += flag ? "true" : "false"
        case .int(let number): output += String(number)
        case .float(let number): output += Self.text(of: number)
        case .string(let text): write(quoted: text)
        case .list(let elements), .tuple(let elements):
            try writeMembers(elements, "[", "]", level) { (writer, element) throws(PithError) in
                try writer.write(element, level: level + 1)
            }
        case .dictionary(let dictionary):
            var members: [(key: String, value: JinjaValue)] = []
            for (key, value) in zip(dictionary.keys, dictionary.values) { members.append((try Self.name(key), value)) }
            if sortsKeys {
                members.sort { $0.key.unicodeScalars.lexicographicallyPrecedes($1.key.unicodeScalars) }
            }
            try writeMembers(members, "{", "}", level) { (writer, member) throws(PithError) in
                writer.write(quoted: member.key)
                writer.output += writer.keySeparator
                try writer.write(member.value, level: level + 1)
            }
        case .undefined, .namespace, .function, .loop: throw .data("\(value.typeName) cannot be written as JSON")
        }
    }

    private static func name(_ key: JinjaValue) throws(PithError) -> String {
        switch key {
        case .string(let text): return text
        case .none: return "null"
        case .bool(let flag): return flag ? "true" : "false"
        case .int(let number): return String(number)
        case .float(let number): return text(of: number)
        default: throw .data("\(key.typeName) cannot be a key of JSON")
        }
    }

    private static func text(of number: Double) -> String {
        if number.isNaN { return "NaN" }
        if number.isInfinite { return number < 0 ? "-Infinity" : "Infinity" }
        return JinjaValue.text(of: number)
    }

    private mutating func writeMembers<Member>(
        _ members: [Member], _ opening: String, _ closing: String, _ level: Int,
        _ write: (inout JinjaJSONWriter, Member) throws(PithError) -> Void
    ) throws(PithError) {
        output += opening
        for (index, member) in members.enumerated() {
            if index > 0 { output += itemSeparator }
            breakLine(level + 1)
            try write(&self, member)
        }
        if !members.isEmpty { breakLine(level) }
        output += closing
    }

    private mutating func breakLine(_ level: Int) {
        guard let indentation else { return }
        output += "\n" + String(repeating: indentation, count: level)
    }

    private mutating func write(quoted text: String) {
        var quoted: [UInt8] = []
        JSONWriter.quote(text, escapesAll: escapesAll, into: &quoted)
        output += String(decoding: quoted, as: UTF8.self)
    }
}

/// Python's `%` on texts: `%s`, `%r`, `%d`, `%x`, `%o`, `%c`, `%f`, `%%`, with width, precision, `-`, `+` and `0`.
func jinjaFormat(_ format: String, _ values: [JinjaValue]) throws(PithError) -> String {
    let scalars = Array(format.unicodeScalars)
    var (result, place, used) = ("", 0, 0)
    while place < scalars.count {
        guard scalars[place] == "%" else {
            result.unicodeScalars.append(scalars[place])
            place += 1
            continue
        }
        place += 1
        let flags = scalars[place...].prefix { "-+ 0".unicodeScalars.contains($0) }
        place += flags.count
        func number() -> Int? {
            let digits = scalars[place...].prefix { ("0"..."9").contains($0) }
            place += digits.count
            return Int(String(String.UnicodeScalarView(digits)))
        }
        let width = number() ?? 0
        var precision: Int?
        if place < scalars.count, scalars[place] == "." {
            place += 1
            precision = number() ?? 0
        }
        guard place < scalars.count, width < 10_000, (precision ?? 0) < 1000 else {
            throw .data("the format '\(format.shortened)' is not understood")
        }
        let kind = scalars[place]
        place += 1
        if kind == "%" {
            result += "%"
            continue
        }
        guard values.indices.contains(used) else { throw .data("'\(format.shortened)' has more places than values") }
        var field = try jinjaField(kind, values[used], precision)
        used += 1
        if flags.contains("+"), values[used - 1].number != nil, kind != "s", !field.hasPrefix("-") {
            field = "+" + field
        }
        let missing = max(0, width - field.unicodeScalars.count)
        if flags.contains("-") {
            field += String(repeating: " ", count: missing)
        } else if flags.contains("0"), kind != "s" {
            let sign = field.hasPrefix("-") || field.hasPrefix("+") ? 1 : 0
            field.insert(
                contentsOf: String(repeating: "0", count: missing), at: field.index(field.startIndex, offsetBy: sign))
        } else {
            field = String(repeating: " ", count: missing) + field
        }
        result += field
    }
    guard used == values.count else { throw .data("'\(format.shortened)' has fewer places than values") }
    return result
}

/// One value as a conversion writes it, not yet as wide as it should be.
private func jinjaField(_ kind: Unicode.Scalar, _ value: JinjaValue, _ precision: Int?) throws(PithError) -> String {
    func whole() throws(PithError) -> Int {
        guard let number = value.number, number.magnitude < 9e18 else {
            throw .data("\(value.typeName) stands where '%\(kind)' needs a number")
        }
        return value.wholeNumber ?? Int(number)
    }
    switch kind {
    case "s", "r":
        let text = kind == "s" ? value.text : value.representation
        return precision.map { String(String.UnicodeScalarView(text.unicodeScalars.prefix($0))) } ?? text
    case "d", "i", "u": return String(try whole())
    case "x": return String(try whole(), radix: 16)
    case "X": return String(try whole(), radix: 16, uppercase: true)
    case "o": return String(try whole(), radix: 8)
    case "f", "F":
        guard let number = value.number else { throw .data("\(value.typeName) stands where '%f' needs a number") }
        return number.formatted(decimals: precision ?? 6)
    case "c":
        if case .string(let text) = value, text.unicodeScalars.count == 1 { return text }
        guard let scalar = Unicode.Scalar(UInt32(truncatingIfNeeded: try whole())) else {
            throw .data("'%c' needs a character")
        }
        return String(scalar)
    default: throw .data("'%\(kind)' is not supported")
    }
}
