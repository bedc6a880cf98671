import PithCore

/// A value of a template: what Python would have in its place.
enum JinjaValue {
    /// A name that nothing stands for; with the name.
    case undefined(String)
    case none
    case bool(Bool)
    case int(Int)
    case float(Double)
    case string(String)
    case list([JinjaValue])
    case tuple([JinjaValue])
    case dictionary(JinjaDictionary)
    /// `namespace(…)`: the one thing that a template can change.
    case namespace(JinjaNamespace)
    /// A macro, a method or a function.
    case function(JinjaFunction)
    /// The variable `loop`.
    case loop(JinjaLoop)
}

/// Named values that a template can change, by reference.
final class JinjaNamespace {
    var members: JinjaDictionary

    init(_ members: JinjaDictionary) { self.members = members }
}

/// Something that can be called.
final class JinjaFunction {
    let name: String
    let call: (JinjaArguments, inout JinjaRenderer) throws(PithError) -> JinjaValue

    init(_ name: String, _ call: @escaping (JinjaArguments, inout JinjaRenderer) throws(PithError) -> JinjaValue) {
        (self.name, self.call) = (name, call)
    }
}

/// What a `for` says of itself by the name `loop`.
final class JinjaLoop {
    let items: [JinjaValue]
    let depth: Int
    var index = 0
    /// What `loop.changed` was asked about last.
    var lastChecked: [JinjaValue]?
    /// `loop(items)` of a recursive loop.
    let recursion: JinjaFunction?

    init(_ items: [JinjaValue], depth: Int, recursion: JinjaFunction?) {
        (self.items, self.depth, self.recursion) = (items, depth, recursion)
    }
}

/// Named values in the order in which they came, as Python's `dict`.
struct JinjaDictionary {
    /// A key; numbers that are equal are one key, whatever their type.
    enum Key: Hashable {
        case none
        case int(Int)
        case float(Double)
        case string(ExactString)
        case tuple([Key])
    }

    private(set) var keys: [JinjaValue] = []
    private(set) var values: [JinjaValue] = []
    private var places: [Key: Int] = [:]

    var count: Int { keys.count }
    /// Keys and values, each a tuple.
    var items: [JinjaValue] { zip(keys, values).map { .tuple([$0, $1]) } }

    subscript(_ name: String) -> JinjaValue? {
        get { places[.string(ExactString(name))].map { values[$0] } }
        set { if let newValue { set(.string(ExactString(name)), .string(name), newValue) } }
    }

    /// The value of a key; nil if there is none. Lists and the like cannot be keys.
    func value(of key: JinjaValue) throws(PithError) -> JinjaValue? { places[try Self.key(key)].map { values[$0] } }

    mutating func set(_ key: JinjaValue, to value: JinjaValue) throws(PithError) {
        set(try Self.key(key), key, value)
    }

    private mutating func set(_ key: Key, _ name: JinjaValue, _ value: JinjaValue) {
        if let place = places[key] {
            values[place] = value
        } else {
            places[key] = keys.count
            keys.append(name)
            values.append(value)
        }
    }

    private static func key(_ value: JinjaValue) throws(PithError) -> Key {
        switch value {
        case .none: return .none
        case .bool(let flag): return .int(flag ? 1 : 0)
        case .int(let number): return .int(number)
        case .float(let number): return Int(exactly: number).map { .int($0) } ?? .float(number)
        case .string(let text): return .string(ExactString(text))
        case .tuple(let values):
            var keys: [Key] = []
            for value in values { keys.append(try key(value)) }
            return .tuple(keys)
        default: throw .data("\(value.typeName) cannot be a key")
        }
    }
}

extension JinjaValue {
    /// What a document says.
    init(_ json: JSONValue) {
        switch json {
        case .null: self = .none
        case .bool(let flag): self = .bool(flag)
        case .integer(let number): self = .int(number)
        case .real(let number): self = .float(number)
        case .string(let text): self = .string(text)
        case .array(let elements): self = .list(elements.map { JinjaValue($0) })
        case .object(let object):
            var dictionary = JinjaDictionary()
            for (key, value) in object.members { dictionary[key] = JinjaValue(value) }
            self = .dictionary(dictionary)
        }
    }

    /// Python's name of the type.
    var typeName: String {
        switch self {
        case .undefined(let name): "'\(name.shortened)', which is undefined,"
        case .none: "None"
        case .bool: "a truth value"
        case .int: "a whole number"
        case .float: "a number"
        case .string: "a text"
        case .list: "a list"
        case .tuple: "a tuple"
        case .dictionary: "a dictionary"
        case .namespace: "a namespace"
        case .function(let function): "the function \(function.name)"
        case .loop: "the loop"
        }
    }

    var isUndefined: Bool { if case .undefined = self { true } else { false } }

    /// What `if` makes of it.
    var isTrue: Bool {
        switch self {
        case .undefined, .none: false
        case .bool(let flag): flag
        case .int(let number): number != 0
        case .float(let number): number != 0
        case .string(let text): !text.isEmpty
        case .list(let elements), .tuple(let elements): !elements.isEmpty
        case .dictionary(let dictionary): dictionary.count > 0
        case .namespace, .function, .loop: true
        }
    }

    /// A truth value or a whole number.
    var wholeNumber: Int? {
        switch self {
        case .bool(let flag): flag ? 1 : 0
        case .int(let number): number
        default: nil
        }
    }

    /// Any number.
    var number: Double? {
        if case .float(let number) = self { return number }
        return wholeNumber.map(Double.init)
    }

    /// Python's `==`.
    func equals(_ other: JinjaValue) -> Bool {
        if let (a, b) = Self.both(wholeNumber, other.wholeNumber) { return a == b }
        if let (a, b) = Self.both(number, other.number) { return a == b }
        switch (self, other) {
        case (.undefined, .undefined), (.none, .none): return true
        case (.string(let a), .string(let b)): return ExactString(a) == ExactString(b)
        case (.list(let a), .list(let b)), (.tuple(let a), .tuple(let b)):
            return a.count == b.count && zip(a, b).allSatisfy { $0.equals($1) }
        case (.dictionary(let a), .dictionary(let b)):
            return a.count == b.count
                && zip(a.keys, a.values).allSatisfy { key, value in
                    ((try? b.value(of: key)) ?? nil)?.equals(value) ?? false
                }
        case (.namespace(let a), .namespace(let b)): return a === b
        case (.function(let a), .function(let b)): return a === b
        case (.loop(let a), .loop(let b)): return a === b
        default: return false
        }
    }

    /// Python's `<`: -1, 0 or 1.
    func order(_ other: JinjaValue) throws(PithError) -> Int {
        func compare<T: Comparable>(_ a: T, _ b: T) -> Int { a < b ? -1 : a > b ? 1 : 0 }
        if let (a, b) = Self.both(wholeNumber, other.wholeNumber) { return compare(a, b) }
        if let (a, b) = Self.both(number, other.number) { return compare(a, b) }
        switch (self, other) {
        case (.string(let a), .string(let b)):
            if ExactString(a) == ExactString(b) { return 0 }
            return a.unicodeScalars.lexicographicallyPrecedes(b.unicodeScalars) ? -1 : 1
        case (.list(let a), .list(let b)), (.tuple(let a), .tuple(let b)):
            for (x, y) in zip(a, b) where !x.equals(y) { return try x.order(y) }
            return compare(a.count, b.count)
        default: throw .data("\(typeName) and \(other.typeName) have no order")
        }
    }

    private static func both<T>(_ a: T?, _ b: T?) -> (T, T)? {
        if let a, let b { (a, b) } else { nil }
    }

    /// What a `for` goes through; nil for what has no elements, and for texts longer than any list.
    var elements: [JinjaValue]? {
        switch self {
        case .undefined: []
        case .list(let elements), .tuple(let elements): elements
        case .string(let text):
            text.utf8.count <= JinjaRenderer.countLimit ? text.unicodeScalars.map { .string(String($0)) } : nil
        case .dictionary(let dictionary): dictionary.keys
        default: nil
        }
    }
}

/// What a call, a filter or a test is given.
struct JinjaArguments {
    var positional: [JinjaValue] = []
    var named: [(name: String, value: JinjaValue)] = []

    /// The argument at a place or of a name; nil if it is given in neither way.
    func value(_ index: Int, _ name: String? = nil) -> JinjaValue? {
        if positional.indices.contains(index) { return positional[index] }
        return name.flatMap { name in named.first { $0.name == name }?.value }
    }

    /// A text; `default` where it is not given.
    func text(_ index: Int, _ name: String? = nil, default missing: String? = nil) throws(PithError) -> String {
        switch value(index, name) {
        case .string(let text)?: return text
        case nil:
            if let missing { return missing }
            throw .data("an argument is missing", remedy: "\(name ?? "argument \(index + 1)") should be given")
        case let other?: throw .data("\(other.typeName) is given", remedy: "a text is expected")
        }
    }

    /// A whole number; `default` where it is not given.
    func whole(_ index: Int, _ name: String? = nil, default missing: Int? = nil) throws(PithError) -> Int {
        guard let value = value(index, name) else {
            if let missing { return missing }
            throw .data("an argument is missing", remedy: "\(name ?? "argument \(index + 1)") should be given")
        }
        guard let number = value.wholeNumber else {
            throw .data("\(value.typeName) is given", remedy: "a whole number is expected")
        }
        return number
    }

    /// A truth value, whatever is given; `default` where it is not given.
    func flag(_ index: Int, _ name: String? = nil, default missing: Bool) -> Bool {
        value(index, name)?.isTrue ?? missing
    }
}
