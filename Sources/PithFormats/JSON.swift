import PithCore

/// A JSON document or a part of one. Whole numbers stay exact; objects keep the order of their keys.
public enum JSONValue: Sendable {
    /// `null`.
    case null
    /// `true` or `false`.
    case bool(Bool)
    /// A number without fraction and exponent that fits.
    case integer(Int)
    /// Any other number.
    case real(Double)
    /// A text.
    case string(String)
    /// Values in order.
    case array([JSONValue])
    /// Named values in order.
    case object(JSONObject)

    /// What it is, for error messages.
    public var kind: String {
        switch self {
        case .null: "null"
        case .bool: "a truth value"
        case .integer, .real: "a number"
        case .string: "a text"
        case .array: "an array"
        case .object: "an object"
        }
    }

    /// The member `key` of an object; nil if it is missing or this is no object.
    public subscript(key: String) -> JSONValue? {
        if case .object(let object) = self { object[key] } else { nil }
    }
}

extension JSONValue: Equatable {
    /// Equal when both would be written alike, whatever the order of keys.
    public static func == (left: JSONValue, right: JSONValue) -> Bool {
        switch (left, right) {
        case (.null, .null): true
        case (.bool(let a), .bool(let b)): a == b
        case (.integer(let a), .integer(let b)): a == b
        case (.real(let a), .real(let b)): a == b
        case (.string(let a), .string(let b)): ExactString(a) == ExactString(b)
        case (.array(let a), .array(let b)): a == b
        case (.object(let a), .object(let b)): a == b
        default: false
        }
    }
}

/// Named values in the order in which they were added; no name stands twice.
public struct JSONObject: Sendable {
    /// The names in order.
    public private(set) var keys: [String] = []
    /// The values in the order of the names.
    public private(set) var values: [JSONValue] = []
    private var index: [ExactString: Int] = [:]

    /// Up to so many members, looking at each is faster than a table.
    private static let smallCount = 12

    /// An empty object.
    public init() {}

    /// The number of members.
    public var count: Int { keys.count }

    private func position(of key: ExactString) -> Int? {
        if keys.count > Self.smallCount { return index[key] }
        return keys.firstIndex { ExactString($0) == key }
    }

    /// Adds a member; false if the name is taken.
    public mutating func insert(_ key: String, _ value: JSONValue) -> Bool {
        let exact = ExactString(key)
        if position(of: exact) != nil { return false }
        keys.append(key)
        values.append(value)
        if keys.count > Self.smallCount + 1 {
            index[exact] = keys.count - 1
        } else if keys.count == Self.smallCount + 1 {
            for (i, key) in keys.enumerated() { index[ExactString(key)] = i }
        }
        return true
    }

    /// The value of a name; nil if it is missing. Setting nil removes the member.
    public subscript(key: String) -> JSONValue? {
        get { position(of: ExactString(key)).map { values[$0] } }
        set {
            guard let place = position(of: ExactString(key)) else {
                if let newValue { _ = insert(key, newValue) }
                return
            }
            if let newValue { values[place] = newValue } else { remove(at: place) }
        }
    }

    private mutating func remove(at place: Int) {
        let rest = zip(keys, values).enumerated().filter { $0.offset != place }.map(\.element)
        self = JSONObject()
        for (key, value) in rest { _ = insert(key, value) }
    }

    /// Names and values in order.
    public var members: Zip2Sequence<[String], [JSONValue]> { zip(keys, values) }
}

extension JSONObject: ExpressibleByDictionaryLiteral {
    /// A later member of the same name replaces an earlier one.
    public init(dictionaryLiteral elements: (String, JSONValue)...) { self.init(elements) }

    fileprivate init(_ members: [(String, JSONValue)]) {
        self.init()
        for (key, value) in members { self[key] = value }
    }
}

extension JSONObject: Equatable {
    /// Equal when the same names have equal values.
    public static func == (left: JSONObject, right: JSONObject) -> Bool {
        left.count == right.count && left.members.allSatisfy { right[$0] == $1 }
    }
}

extension JSONValue: ExpressibleByIntegerLiteral, ExpressibleByFloatLiteral, ExpressibleByStringLiteral,
    ExpressibleByBooleanLiteral, ExpressibleByNilLiteral, ExpressibleByArrayLiteral, ExpressibleByDictionaryLiteral
{
    /// A whole number.
    public init(integerLiteral value: Int) { self = .integer(value) }
    /// A number.
    public init(floatLiteral value: Double) { self = .real(value) }
    /// A text.
    public init(stringLiteral value: String) { self = .string(value) }
    /// A truth value.
    public init(booleanLiteral value: Bool) { self = .bool(value) }
    /// `null`.
    public init(nilLiteral: ()) { self = .null }
    /// An array.
    public init(arrayLiteral elements: JSONValue...) { self = .array(elements) }
    /// An object; a later member of the same name replaces an earlier one.
    public init(dictionaryLiteral elements: (String, JSONValue)...) {
        self = .object(JSONObject(elements))
    }
}

extension JSONObject {
    /// What is not as in `other`, for people: `steps is 10, not 20`.
    public func differences(from other: JSONObject) -> [String] {
        (keys + other.keys.filter { self[$0] == nil }).compactMap { key in
            let (mine, theirs) = (self[key] ?? .null, other[key] ?? .null)
            return mine == theirs ? nil : "\(key) is \(mine.compactText), not \(theirs.compactText)"
        }
    }
}
