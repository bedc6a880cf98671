import PithCore

// Attributes, elements and the methods of values. What would change a list or a dictionary is refused, as Jinja's
// immutable sandbox does.
extension JinjaRenderer {
    /// `owner.name`: a method, else what a dictionary has by that name.
    func attribute(_ name: String, of owner: JinjaValue) throws(PithError) -> JinjaValue {
        if let method = try method(name, of: owner) { return method }
        switch owner {
        case .dictionary(let dictionary): return dictionary[name] ?? .undefined(name)
        case .namespace(let namespace): return namespace.members[name] ?? .undefined(name)
        case .loop(let loop): return loop.member(name)
        case .undefined: throw .data("\(owner.typeName) has no '\(name.shortened)'")
        default: return .undefined(name)
        }
    }

    /// `owner[key]`: an element, else a method.
    func element(_ key: JinjaValue, of owner: JinjaValue) throws(PithError) -> JinjaValue {
        switch owner {
        case .dictionary(let dictionary):
            if let value = try dictionary.value(of: key) { return value }
        case .list(let elements), .tuple(let elements):
            if let index = key.wholeNumber {
                return Self.element(index, of: elements) ?? .undefined("element \(index)")
            }
        case .string(let text):
            if let index = key.wholeNumber {
                let scalars = Array(text.unicodeScalars)
                return Self.element(index, of: scalars).map { .string(String($0)) } ?? .undefined("character \(index)")
            }
        case .undefined: throw .data("\(owner.typeName) has no elements")
        default: break
        }
        guard case .string(let name) = key else { return .undefined(key.text) }
        return try attribute(name, of: owner)
    }

    private static func element<Element>(_ index: Int, of elements: [Element]) -> Element? {
        let place = index < 0 ? index + elements.count : index
        return elements.indices.contains(place) ? elements[place] : nil
    }

    /// Refuses names that would reach Python's insides.
    static func checkMember(_ name: String) throws(PithError) {
        guard !name.hasPrefix("_") else { throw .data("members whose names begin with '_' are not allowed") }
    }

    private func method(_ name: String, of owner: JinjaValue) throws(PithError) -> JinjaValue? {
        if name.hasPrefix("__") { try Self.checkMember(name) }
        switch owner {
        case .dictionary(let dictionary): return try dictionary.method(name)
        case .string(let text): return text.jinjaMethod(name)
        case .list(let elements), .tuple(let elements): return try Self.method(name, of: elements, owner)
        default: return nil
        }
    }

    private static func method(
        _ name: String, of elements: [JinjaValue], _ owner: JinjaValue
    ) throws(PithError) -> JinjaValue? {
        switch name {
        case "index":
            return .function(
                JinjaFunction(name) { (arguments, _) throws(PithError) in
                    let wanted = arguments.value(0) ?? .none
                    guard let place = elements.firstIndex(where: { $0.equals(wanted) }) else {
                        throw .data("\(wanted.representation.shortened) is not in the list")
                    }
                    return .int(place)
                })
        case "count":
            return .function(
                JinjaFunction(name) { (arguments, _) in
                    let wanted = arguments.value(0) ?? .none
                    return .int(elements.count { $0.equals(wanted) })
                })
        case "copy": return .function(JinjaFunction(name) { (_, _) in owner })
        case "append", "clear", "pop", "reverse", "insert", "sort", "extend", "remove":
            throw .data("'\(name)' would change a list, which templates may not", remedy: "lists are joined by '+'")
        default: return nil
        }
    }
}

extension JinjaDictionary {
    fileprivate func method(_ name: String) throws(PithError) -> JinjaValue? {
        let dictionary = self
        switch name {
        case "items": return .function(JinjaFunction(name) { (_, _) in .list(dictionary.items) })
        case "keys": return .function(JinjaFunction(name) { (_, _) in .list(dictionary.keys) })
        case "values": return .function(JinjaFunction(name) { (_, _) in .list(dictionary.values) })
        case "copy": return .function(JinjaFunction(name) { (_, _) in .dictionary(dictionary) })
        case "get":
            return .function(
                JinjaFunction(name) { (arguments, _) throws(PithError) in
                    let value = try dictionary.value(of: arguments.value(0) ?? .none)
                    return value ?? arguments.value(1, "default") ?? .none
                })
        case "clear", "pop", "popitem", "setdefault", "update":
            throw .data("'\(name)' would change a dictionary, which templates may not")
        default: return nil
        }
    }
}

extension JinjaLoop {
    fileprivate func member(_ name: String) -> JinjaValue {
        let count = items.count
        switch name {
        case "index": return .int(index + 1)
        case "index0": return .int(index)
        case "revindex": return .int(count - index)
        case "revindex0": return .int(count - index - 1)
        case "first": return .bool(index == 0)
        case "last": return .bool(index == count - 1)
        case "length": return .int(count)
        case "depth": return .int(depth + 1)
        case "depth0": return .int(depth)
        case "previtem": return index == 0 ? .undefined("loop.previtem") : items[index - 1]
        case "nextitem": return index == count - 1 ? .undefined("loop.nextitem") : items[index + 1]
        case "cycle":
            return .function(
                JinjaFunction("loop.cycle") { (arguments, _) throws(PithError) in
                    guard !arguments.positional.isEmpty else { throw .data("loop.cycle has nothing to choose from") }
                    return arguments.positional[self.index % arguments.positional.count]
                })
        case "changed":
            return .function(
                JinjaFunction("loop.changed") { (arguments, _) in
                    let isSame = self.lastChecked.map {
                        JinjaValue.list($0).equals(.list(arguments.positional))
                    }
                    self.lastChecked = arguments.positional
                    return .bool(!(isSame ?? false))
                })
        default: return .undefined("loop.\(name)")
        }
    }
}
