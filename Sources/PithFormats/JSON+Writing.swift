import PithCore

extension JSONValue {
    /// The document as UTF-8 without any space.
    public func compactBytes() -> [UInt8] {
        var writer = JSONWriter(indentation: nil)
        writer.write(self)
        return writer.output
    }

    /// The document as UTF-8, two spaces a level, with a line feed at the end.
    public func prettyBytes() -> [UInt8] {
        var writer = JSONWriter(indentation: 0)
        writer.write(self)
        writer.output.append(UInt8(ascii: "\n"))
        return writer.output
    }

    /// The document without any space.
    public var compactText: String { String(decoding: compactBytes(), as: UTF8.self) }
    /// The document with two spaces a level and a line feed at the end.
    public var prettyText: String { String(decoding: prettyBytes(), as: UTF8.self) }

    /// Writes the indented document to a file.
    public func write(to path: String) throws(PithError) { try AtomicFile.write(prettyBytes(), to: path) }
}

private struct JSONWriter {
    var output: [UInt8] = []
    private var indentation: Int?

    init(indentation: Int?) { self.indentation = indentation }

    mutating func write(_ value: JSONValue) {
        switch value {
        case .null: append("null")
        case .bool(let flag): append(flag ? "true" : "false")
        case .integer(let number): append(String(number))
        // JSON has no notation for infinities and NaN.
        case .real(let number): append(number.isFinite ? number.description : "null")
        case .string(let text): writeString(text)
        case .array(let elements):
            writeList(elements, "[", "]") { $0.write($1) }
        case .object(let object):
            writeList(Array(object.members), "{", "}") { writer, member in
                writer.writeString(member.0)
                writer.append(writer.indentation == nil ? ":" : ": ")
                writer.write(member.1)
            }
        }
    }

    private mutating func append(_ text: String) { output.append(contentsOf: text.utf8) }

    private mutating func writeList<Item>(
        _ items: [Item], _ opening: String, _ closing: String, _ write: (inout JSONWriter, Item) -> Void
    ) {
        append(opening)
        if !items.isEmpty {
            if let level = indentation { indentation = level + 1 }
            for (i, item) in items.enumerated() {
                if i > 0 { append(",") }
                breakLine()
                write(&self, item)
            }
            if let level = indentation { indentation = level - 1 }
            breakLine()
        }
        append(closing)
    }

    private mutating func breakLine() {
        guard let indentation else { return }
        append("\n" + String(repeating: "  ", count: indentation))
    }

    private mutating func writeString(_ text: String) {
        output.append(UInt8(ascii: "\""))
        for byte in text.utf8 {
            switch byte {
            case UInt8(ascii: "\""): append("\\\"")
            case UInt8(ascii: "\\"): append("\\\\")
            case UInt8(ascii: "\n"): append("\\n")
            case UInt8(ascii: "\r"): append("\\r")
            case UInt8(ascii: "\t"): append("\\t")
            case 0..<0x20: append("\\u00" + (byte < 16 ? "0" : "1") + String(byte & 15, radix: 16))
            default: output.append(byte)
            }
        }
        output.append(UInt8(ascii: "\""))
    }
}
