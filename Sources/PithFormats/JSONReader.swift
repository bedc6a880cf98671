import PithCore

/// A JSON value together with the way to it, so that errors name the key that is wrong.
public struct JSONReader: Sendable {
    /// The value.
    public let value: JSONValue
    /// The way to it from the root: `model.vocab`; empty at the root.
    public let path: String

    /// A reader of a whole document.
    public init(_ value: JSONValue) { self.init(value, path: "") }

    private init(_ value: JSONValue, path: String) {
        self.value = value
        self.path = path
    }

    /// An error about this value.
    public func failure(_ message: String, remedy: String? = nil) -> PithError {
        .data(message, at: path.isEmpty ? nil : "key \(path)", remedy: remedy)
    }

    private func mismatch(_ expected: String) -> PithError { failure("is \(value.kind) where \(expected) should be") }

    /// The value as an object.
    public func object() throws(PithError) -> JSONObject {
        guard case .object(let object) = value else { throw mismatch("an object") }
        return object
    }

    /// The elements of an array.
    public func array() throws(PithError) -> [JSONReader] {
        guard case .array(let elements) = value else { throw mismatch("an array") }
        return elements.enumerated().map { JSONReader($1, path: "\(path)[\($0)]") }
    }

    /// The member `key` of an object, which must be there.
    public func member(_ key: String) throws(PithError) -> JSONReader {
        guard let member = try object()[key] else { throw failure("has no '\(key)'") }
        return reader(of: member, at: key)
    }

    /// The member `key` of an object, or the one of another name; one of them must be there.
    public func member(_ key: String, or other: String) throws(PithError) -> JSONReader {
        if let member = try optional(key, other) { return member }
        return try member(key)
    }

    /// The member `key` of an object, or the one of a later name; nil if all are missing or null.
    public func optional(_ key: String, _ otherKeys: String...) throws(PithError) -> JSONReader? {
        let object = try object()
        for key in [key] + otherKeys {
            guard let member = object[key] else { continue }
            if case .null = member { continue }
            return reader(of: member, at: key)
        }
        return nil
    }

    /// All members of an object, in order.
    public func members() throws(PithError) -> [(key: String, value: JSONReader)] {
        try object().members.map { ($0, reader(of: $1, at: $0)) }
    }

    private func reader(of member: JSONValue, at key: String) -> JSONReader {
        JSONReader(member, path: path.isEmpty ? key.shortened : "\(path).\(key.shortened)")
    }

    /// The value as a whole number in a range.
    public func integer(in range: ClosedRange<Int> = Int.min...Int.max) throws(PithError) -> Int {
        let number: Int
        switch value {
        case .integer(let value): number = value
        // Some writers give whole numbers a point.
        case .real(let value):
            guard let exact = Int(exactly: value) else { throw failure("is \(value) where a whole number should be") }
            number = exact
        default: throw mismatch("a whole number")
        }
        guard range.contains(number) else {
            let bounds = "\(range.lowerBound)…\(range.upperBound)"
            throw failure("is \(number)", remedy: "it should be in \(bounds)")
        }
        return number
    }

    /// The value as a number in a range.
    public func real(in range: ClosedRange<Double> = -Double.greatestFiniteMagnitude...Double.greatestFiniteMagnitude)
        throws(PithError) -> Double
    {
        let number: Double
        switch value {
        case .integer(let value): number = Double(value)
        case .real(let value): number = value
        default: throw mismatch("a number")
        }
        guard range.contains(number) else {
            throw failure("is \(number)", remedy: "it should be in \(range.lowerBound)…\(range.upperBound)")
        }
        return number
    }

    /// The value as a text.
    public func text() throws(PithError) -> String {
        guard case .string(let text) = value else { throw mismatch("a text") }
        return text
    }

    /// The value as a truth value.
    public func flag() throws(PithError) -> Bool {
        guard case .bool(let flag) = value else { throw mismatch("true or false") }
        return flag
    }
}
