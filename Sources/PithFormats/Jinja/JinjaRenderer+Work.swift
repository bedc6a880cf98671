import PithCore

/// Values can hold others many times over, themselves too by way of a namespace: what goes through all that a value holds
/// is bounded by what it would write, not by what it takes.
extension JinjaRenderer {
    /// How deep values may lie in each other.
    private static let nestingLimit = 100
    /// Elements of lists that may be looked at, and bytes of texts in 32nds, in all that a template does.
    static let workLimit = 1 << 26
    /// Bytes of all texts that a template makes.
    private static let creationLimit = 8 * sizeLimit
    /// Elements of a list.
    static let countLimit = 1_000_000

    /// Counts all that a value holds as work. Throws where there is too much of it.
    mutating func charge(_ value: JinjaValue) throws(PithError) {
        var size = 0
        guard spend(value, depth: 0, &size) else {
            throw .data("\(value.typeName) holds too much, or too deep", remedy: "the template should do less")
        }
    }

    /// Counts what a filter or a test goes through.
    mutating func charge(_ value: JinjaValue, _ arguments: JinjaArguments) throws(PithError) {
        try charge(value)
        for argument in arguments.positional { try charge(argument) }
        for argument in arguments.named { try charge(argument.value) }
    }

    /// Counts work that values do not show.
    mutating func count(work count: Int) throws(PithError) {
        work += count
        guard work <= Self.workLimit else { throw .data("the template does not end") }
    }

    /// Counts the bytes of a text that an expression made.
    mutating func countCreated(_ value: JinjaValue) throws(PithError) {
        guard case .string(let text) = value else { return }
        try countCreated(text.utf8.count)
    }

    /// Counts bytes that a template makes or writes, to its output or to a text of its own.
    mutating func countCreated(_ count: Int) throws(PithError) {
        created += count
        guard created <= Self.creationLimit else { throw .data("the template makes more than 512 MiB of texts") }
    }

    /// Counts the work; false where there is too much, or where `size`, the bytes of texts, exceeds what a text may have.
    private mutating func spend(_ value: JinjaValue, depth: Int, _ size: inout Int) -> Bool {
        switch value {
        case .undefined, .none, .bool, .int, .float, .function: return true
        case .string(let text):
            work += text.utf8.count / 32
            size += text.utf8.count
            return work <= Self.workLimit && size <= Self.sizeLimit
        case .list(let elements), .tuple(let elements): return spend(elements, depth: depth + 1, &size)
        case .loop(let loop): return spend(loop.items, depth: depth + 1, &size)
        case .dictionary(let dictionary): return spend(dictionary, depth: depth + 1, &size)
        case .namespace(let namespace): return spend(namespace.members, depth: depth + 1, &size)
        }
    }

    private mutating func spend(_ dictionary: JinjaDictionary, depth: Int, _ size: inout Int) -> Bool {
        spend(dictionary.keys, depth: depth, &size) && spend(dictionary.values, depth: depth, &size)
    }

    private mutating func spend(_ elements: [JinjaValue], depth: Int, _ size: inout Int) -> Bool {
        work += elements.count + 1
        guard depth <= Self.nestingLimit, work <= Self.workLimit else { return false }
        for element in elements { guard spend(element, depth: depth, &size) else { return false } }
        return true
    }

    /// Refuses a value that holds a namespace: chains of them could be of any length.
    func requireNoNamespace(in value: JinjaValue) throws(PithError) {
        guard !Self.holdsNamespace(value) else { throw .data("a namespace is put into a namespace") }
    }

    private static func holdsNamespace(_ value: JinjaValue) -> Bool {
        switch value {
        case .namespace, .loop: true
        case .list(let elements), .tuple(let elements): elements.contains(where: holdsNamespace)
        case .dictionary(let dictionary): dictionary.values.contains(where: holdsNamespace)
        default: false
        }
    }
}
