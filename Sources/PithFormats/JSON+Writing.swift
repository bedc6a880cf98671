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

struct JSONWriter {
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

    private mutating func writeString(_ text: String) { Self.quote(text, into: &output) }

    /// Appends a text in quotes; `escapesAll`: characters outside ASCII as units of UTF-16, as Python writes them.
    static func quote(_ text: String, escapesAll: Bool = false, into output: inout [UInt8]) {
        func append(_ text: String) { output.append(contentsOf: text.utf8) }
        output.append(UInt8(ascii: "\""))
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\"": append("\\\"")
            case "\\": append("\\\\")
            case "\n": append("\\n")
            case "\r": append("\\r")
            case "\t": append("\\t")
            case "\u{8}": append("\\b")
            case "\u{C}": append("\\f")
            case _ where scalar.value < 0x20 || escapesAll && scalar.value > 0x7E:
                for unit in UTF16.encode(scalar)! {
                    let code = String(unit, radix: 16)
                    append("\\u" + String(repeating: "0", count: 4 - code.count) + code)
                }
            default: output.append(contentsOf: UTF8.encode(scalar)!)
            }
        }
        output.append(UInt8(ascii: "\""))
    }
}
