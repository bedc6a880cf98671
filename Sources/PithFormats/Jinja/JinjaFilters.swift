import PithCore

// The filters of Jinja, but those for HTML and those that use chance.
extension JinjaRenderer {
    private typealias Filter =
        @Sendable (JinjaValue, JinjaArguments, inout JinjaRenderer) throws(PithError) -> JinjaValue

    /// `value|name(arguments)`.
    mutating func apply(
        _ name: String, to value: JinjaValue, _ arguments: JinjaArguments
    ) throws(PithError) -> JinjaValue {
        guard let filter = Self.filters[name] else {
            throw .data(
                "the filter '\(name.shortened)' is not supported",
                remedy: "known are \(Self.filters.keys.sorted().joined(separator: ", "))")
        }
        let looksAtEnds = if case .list = value { Self.filtersOfEnds.contains(name) } else { false }
        if !looksAtEnds { try charge(value, arguments) }
        return try deeper { (renderer) throws(PithError) in try filter(value, arguments, &renderer) }
    }

    /// Filters that do not go through a list: templates ask for the length of all messages at each of them.
    private static let filtersOfEnds: Set = ["length", "count", "first", "last"]

    private static let filters: [String: Filter] = [
        // Any value.
        "default": defaulted, "d": defaulted,
        "string": { (value, _, _) in .string(value.text) },
        "safe": { (value, _, _) in .string(value.text) },
        "pprint": { (value, _, _) in .string(value.representation) },
        "tojson": { (value, arguments, _) throws(PithError) in .string(try json(value, arguments)) },
        "attr": { (value, arguments, renderer) throws(PithError) in
            try renderer.attribute(try arguments.text(0), of: value)
        },
        // Numbers.
        "abs": { (value, _, _) throws(PithError) in
            if let number = value.wholeNumber, number != Int.min { return .int(abs(number)) }
            guard let number = value.number else { throw .data("\(value.typeName) has no size") }
            return .float(number.magnitude)
        },
        "int": whole, "float": real, "round": rounded,
        // Texts.
        "upper": { (value, _, _) in .string(value.text.uppercased()) },
        "lower": { (value, _, _) in .string(value.text.lowercased()) },
        "capitalize": { (value, _, _) in .string(value.text.jinjaCapitalized) },
        "title": { (value, _, _) in
            .string(value.text.jinjaTitled { $0.properties.isWhitespace || "-({[<".unicodeScalars.contains($0) })
        },
        "trim": { (value, arguments, _) throws(PithError) in
            if case .none? = arguments.value(0, "chars") { return .string(value.text.jinjaStripped()) }
            let characters = arguments.value(0, "chars") == nil ? nil : try arguments.text(0, "chars")
            return .string(value.text.jinjaStripped(characters))
        },
        "replace": { (value, arguments, _) throws(PithError) in
            let limit = try arguments.whole(2, "count", default: -1)
            return .string(
                try value.text.jinjaReplacing(
                    (arguments.value(0, "old") ?? .none).text, by: (arguments.value(1, "new") ?? .none).text,
                    limit: limit < 0 ? .max : limit))
        },
        "format": { (value, arguments, _) throws(PithError) in
            .string(try jinjaFormat(value.text, arguments.positional))
        },
        "indent": { (value, arguments, _) throws(PithError) in
            if value.isUndefined { throw .data("\(value.typeName) cannot be indented") }
            return .string(try indented(value.text, arguments))
        },
        "center": { (value, arguments, _) throws(PithError) in
            let missing = min(try arguments.whole(0, "width", default: 80), 100_000) - value.text.unicodeScalars.count
            guard missing > 0 else { return .string(value.text) }
            // Python puts the odd space where the width is odd to the left.
            let width = missing + value.text.unicodeScalars.count
            let left = missing / 2 + (missing & width & 1)
            return .string(
                String(repeating: " ", count: left) + value.text + String(repeating: " ", count: missing - left))
        },
        "truncate": { (value, arguments, _) throws(PithError) in .string(try truncated(value.text, arguments)) },
        "wordcount": { (value, _, _) in
            let words = value.text.unicodeScalars.split {
                !$0.properties.isAlphabetic && $0 != "_" && $0.properties.numericType == nil
            }
            return .int(words.count)
        },
        "escape": escaped, "e": escaped,
        // Lists.
        "length": length, "count": length,
        "first": { (value, _, _) throws(PithError) in try list(value).first ?? .undefined("the first element") },
        "last": { (value, _, _) throws(PithError) in try list(value).last ?? .undefined("the last element") },
        "list": { (value, _, _) throws(PithError) in .list(try list(value)) },
        "reverse": { (value, _, _) throws(PithError) in
            if case .string(let text) = value {
                return .string(String(String.UnicodeScalarView(text.unicodeScalars.reversed())))
            }
            return .list(try list(value).reversed())
        },
        "join": joined, "sort": sorted, "unique": unique, "sum": sum, "batch": batch, "slice": sliced,
        "min": { (value, arguments, renderer) throws(PithError) in
            try renderer.ordered(try list(value), arguments).first ?? .undefined("the least element")
        },
        "max": { (value, arguments, renderer) throws(PithError) in
            // Of equal ones the first.
            var greatest: JinjaValue?
            for element in try list(value) {
                let isGreater = try greatest.map { (best) throws(PithError) in
                    try renderer.order(element, best, arguments) > 0
                }
                if isGreater ?? true { greatest = element }
            }
            return greatest ?? .undefined("the greatest element")
        },
        "map": mapped,
        "select": { (value, arguments, renderer) throws(PithError) in
            try renderer.selected(value, arguments, keeps: true, byAttribute: false)
        },
        "reject": { (value, arguments, renderer) throws(PithError) in
            try renderer.selected(value, arguments, keeps: false, byAttribute: false)
        },
        "selectattr": { (value, arguments, renderer) throws(PithError) in
            try renderer.selected(value, arguments, keeps: true, byAttribute: true)
        },
        "rejectattr": { (value, arguments, renderer) throws(PithError) in
            try renderer.selected(value, arguments, keeps: false, byAttribute: true)
        },
        // Dictionaries.
        "items": { (value, _, _) throws(PithError) in
            if value.isUndefined { return .list([]) }
            guard case .dictionary(let dictionary) = value else { throw .data("\(value.typeName) has no items") }
            return .list(dictionary.items)
        },
        "dictsort": dictionarySorted,
    ]

    static func isFilter(_ name: String) -> Bool { filters[name] != nil }

    /// The elements of a value.
    private static func list(_ value: JinjaValue) throws(PithError) -> [JinjaValue] {
        guard let elements = value.elements else { throw .data("\(value.typeName) has no elements") }
        return elements
    }

    // MARK: Any value

    private static let defaulted: Filter = { (value, arguments, _) in
        let isMissing = value.isUndefined || arguments.flag(1, "boolean", default: false) && !value.isTrue
        return isMissing ? arguments.value(0, "default_value") ?? .string("") : value
    }

    private static func json(_ value: JinjaValue, _ arguments: JinjaArguments) throws(PithError) -> String {
        let indentation: String? =
            switch arguments.value(1, "indent") {
            case nil, .none?: nil
            case .string(let text)?: text
            case let other?:
                String(repeating: " ", count: min(max(0, try JinjaArguments(positional: [other]).whole(0)), 100))
            }
        var separators: (item: String, key: String)?
        if let given = arguments.value(2, "separators"), case let parts? = given.elements, parts.count == 2 {
            separators = (parts[0].text, parts[1].text)
        }
        let writer = JinjaJSONWriter(
            escapesAll: arguments.flag(0, "ensure_ascii", default: false), indentation: indentation,
            separators: separators, sortsKeys: arguments.flag(3, "sort_keys", default: false))
        return try limited(try writer.text(of: value))
    }

    // MARK: Numbers

    private static let whole: Filter = { (value, arguments, _) throws(PithError) in
        if let number = value.wholeNumber { return .int(number) }
        var text = value.text.jinjaStripped().filter { $0 != "_" }
        let base = try arguments.whole(1, "base", default: 10)
        if case .string = value, (2...36).contains(base) {
            if text.hasPrefix("+") { text.removeFirst() }
            let prefix = [2: "0b", 8: "0o", 16: "0x"][base]
            if let prefix, text.lowercased().hasPrefix(prefix) { text.removeFirst(2) }
            if let number = Int(text, radix: base) { return .int(number) }
        }
        let number: Double? = if case .string = value { Double(text) } else { value.number }
        guard let number, let result = Int(exactly: number.rounded(.towardZero)) else {
            return arguments.value(0, "default") ?? .int(0)
        }
        return .int(result)
    }

    private static let real: Filter = { (value, arguments, _) in
        let number: Double? = if case .string(let text) = value { Double(text.jinjaStripped()) } else { value.number }
        return number.map { .float($0) } ?? arguments.value(0, "default") ?? .float(0)
    }

    private static let rounded: Filter = { (value, arguments, _) throws(PithError) in
        guard let number = value.number else { throw .data("\(value.typeName) cannot be rounded") }
        let precision = try arguments.whole(0, "precision", default: 0)
        guard (-300...300).contains(precision) else { return value }
        var scale = 1.0
        for _ in 0..<abs(precision) { scale *= 10 }
        func scaled(_ rule: FloatingPointRoundingRule) -> Double {
            precision < 0 ? (number / scale).rounded(rule) * scale : (number * scale).rounded(rule) / scale
        }
        switch try arguments.text(1, "method", default: "common") {
        case "ceil": return .float(scaled(.up))
        case "floor": return .float(scaled(.down))
        case "common":
            // Whole numbers stay whole, others are rounded as they are written.
            if let whole = value.wholeNumber, precision >= 0 { return .int(whole) }
            if precision <= 0 || number.magnitude > 1e15 { return .float(scaled(.toNearestOrEven)) }
            return .float(Double(number.formatted(decimals: min(precision, 17))) ?? number)
        case let name: throw .data("'\(name.shortened)' is no way to round", remedy: "common, ceil and floor are")
        }
    }

    // MARK: Texts

    private static func indented(_ text: String, _ arguments: JinjaArguments) throws(PithError) -> String {
        let indentation: String =
            if case .string(let text)? = arguments.value(0, "width") {
                text
            } else {
                String(repeating: " ", count: min(max(0, try arguments.whole(0, "width", default: 4)), 1000))
            }
        let blank = arguments.flag(2, "blank", default: false)
        var result = arguments.flag(1, "first", default: false) ? indentation : ""
        for (index, line) in (text + "\n").jinjaLines().enumerated() {
            if index > 0 { try append("\n", to: &result) }
            if index > 0 && (blank || !line.isEmpty) { try append(indentation, to: &result) }
            try append(line, to: &result)
        }
        return result
    }

    private static func truncated(_ text: String, _ arguments: JinjaArguments) throws(PithError) -> String {
        let length = try arguments.whole(0, "length", default: 255)
        let end = try arguments.text(2, "end", default: "...")
        let scalars = Array(text.unicodeScalars)
        let leeway = max(0, try arguments.whole(3, "leeway", default: 5))
        guard length >= end.unicodeScalars.count else { throw .data("a text is cut to less than what marks the cut") }
        if scalars.count - leeway <= length { return text }
        let kept = scalars.prefix(length - end.unicodeScalars.count)
        let words = arguments.flag(1, "killwords", default: false) ? nil : kept.lastIndex(of: " ")
        return String(String.UnicodeScalarView(words.map { kept[..<$0] } ?? kept)) + end
    }

    private static let escaped: Filter = { (value, _, _) throws(PithError) in
        var text = try value.text.jinjaReplacing("&", by: "&amp;")
        for (character, name) in [("<", "&lt;"), (">", "&gt;"), ("'", "&#39;"), ("\"", "&#34;")] {
            text = try text.jinjaReplacing(character, by: name)
        }
        return .string(try limited(text))
    }

    // MARK: Lists

    private static let length: Filter = { (value, _, _) throws(PithError) in
        if case .string(let text) = value { return .int(text.unicodeScalars.count) }
        return .int(try list(value).count)
    }

    /// The value of an attribute such as `a.b` or `0`.
    private func attribute(path: JinjaValue, of value: JinjaValue) throws(PithError) -> JinjaValue {
        if path.wholeNumber != nil { return try element(path, of: value) }
        var value = value
        for part in path.text.jinjaSplit(".") {
            value = try element(Int(part).map { .int($0) } ?? .string(part), of: value)
        }
        return value
    }

    private static let joined: Filter = { (value, arguments, renderer) throws(PithError) in
        let separator = (arguments.value(0, "d") ?? .string("")).text
        var (text, isFirst) = ("", true)
        for element in try list(value) {
            let part = try arguments.value(1, "attribute").map { (path) throws(PithError) in
                try renderer.attribute(path: path, of: element)
            }
            if !isFirst { try append(separator, to: &text) }
            try append((part ?? element).text, to: &text)
            isFirst = false
        }
        return .string(text)
    }

    /// Which of two elements comes first; letters are alike whatever their size, unless the arguments say otherwise.
    private func order(_ a: JinjaValue, _ b: JinjaValue, _ arguments: JinjaArguments) throws(PithError) -> Int {
        let isCased = arguments.named.first { $0.name == "case_sensitive" }?.value.isTrue ?? false
        func key(_ value: JinjaValue) -> JinjaValue {
            if case .string(let text) = value, !isCased { .string(text.lowercased()) } else { value }
        }
        guard let attribute = arguments.named.first(where: { $0.name == "attribute" })?.value else {
            return try key(a).order(key(b))
        }
        for path in attribute.wholeNumber == nil ? attribute.text.jinjaSplit(",").map({ .string($0) }) : [attribute] {
            let result = try key(try self.attribute(path: path, of: a)).order(
                key(try self.attribute(path: path, of: b)))
            if result != 0 { return result }
        }
        return 0
    }

    /// Elements in their order; those that are alike stay as they were.
    private func ordered(_ elements: [JinjaValue], _ arguments: JinjaArguments) throws(PithError) -> [JinjaValue] {
        guard elements.count > 1 else { return elements }
        let middle = elements.count / 2
        var left = try ordered(Array(elements[..<middle]), arguments)[...]
        var right = try ordered(Array(elements[middle...]), arguments)[...]
        var result: [JinjaValue] = []
        while let a = left.first, let b = right.first {
            if try order(b, a, arguments) < 0 {
                result.append(b)
                right.removeFirst()
            } else {
                result.append(a)
                left.removeFirst()
            }
        }
        return result + left + right
    }

    private static let sorted: Filter = { (value, arguments, renderer) throws(PithError) in
        // sort(reverse, case_sensitive, attribute)
        var named = arguments
        for (index, name) in ["reverse", "case_sensitive", "attribute"].enumerated() {
            if let value = arguments.value(index) { named.named.append((name, value)) }
        }
        let elements = try list(value)
        guard named.named.first(where: { $0.name == "reverse" })?.value.isTrue ?? false else {
            return .list(try renderer.ordered(elements, named))
        }
        // Equal elements stay in their order also then.
        return .list(try renderer.ordered(elements.reversed(), named).reversed())
    }

    private static let unique: Filter = { (value, arguments, renderer) throws(PithError) in
        let isCased = arguments.flag(0, "case_sensitive", default: false)
        var (kept, seen): ([JinjaValue], [JinjaValue]) = ([], [])
        for element in try list(value) {
            try renderer.count(work: seen.count + 1)
            var key = element
            if let path = arguments.value(1, "attribute") { key = try renderer.attribute(path: path, of: element) }
            if case .string(let text) = key, !isCased { key = .string(text.lowercased()) }
            if !seen.contains(where: { $0.equals(key) }) {
                seen.append(key)
                kept.append(element)
            }
        }
        return .list(kept)
    }

    private static let sum: Filter = { (value, arguments, renderer) throws(PithError) in
        var sum = arguments.value(1, "start") ?? .int(0)
        for element in try list(value) {
            let term = try arguments.value(0, "attribute").map { (path) throws(PithError) in
                try renderer.attribute(path: path, of: element)
            }
            sum = try renderer.combine(.add, sum, term ?? element)
            try renderer.charge(sum)
            try renderer.countCreated(sum)
        }
        return sum
    }

    private static let batch: Filter = { (value, arguments, _) throws(PithError) in
        let size = max(1, try arguments.whole(0, "linecount"))
        let elements = try list(value)
        return .list(
            stride(from: 0, to: elements.count, by: min(size, elements.count + 1)).map { start in
                let part = Array(elements[start...].prefix(size))
                guard let filler = arguments.value(1, "fill_with"), size < 100_000 else { return .list(part) }
                return .list(part + Array(repeating: filler, count: size - part.count))
            })
    }

    private static let sliced: Filter = { (value, arguments, _) throws(PithError) in
        let (elements, count) = (try list(value), try arguments.whole(0, "slices"))
        guard (1...100_000).contains(count) else { throw .data("a list is cut into \(count) slices") }
        var (slices, start): ([JinjaValue], Int) = ([], 0)
        for index in 0..<count {
            let hasMore = index < elements.count % count
            let size = elements.count / count + (hasMore ? 1 : 0)
            var slice = Array(elements[start..<start + size])
            start += size
            if !hasMore, let filler = arguments.value(1, "fill_with") { slice.append(filler) }
            slices.append(.list(slice))
        }
        return .list(slices)
    }

    private static let mapped: Filter = { (value, arguments, renderer) throws(PithError) in
        var result: [JinjaValue] = []
        let path = arguments.positional.isEmpty ? arguments.value(0, "attribute") : nil
        for element in value.isTrue ? try list(value) : [] {
            if let path {
                let found = try renderer.attribute(path: path, of: element)
                result.append(
                    found.isUndefined ? arguments.named.first { $0.name == "default" }?.value ?? found : found)
            } else {
                let rest = JinjaArguments(positional: Array(arguments.positional.dropFirst()), named: arguments.named)
                result.append(try renderer.apply(try arguments.text(0), to: element, rest))
            }
        }
        return .list(result)
    }

    private mutating func selected(
        _ value: JinjaValue, _ arguments: JinjaArguments, keeps: Bool, byAttribute: Bool
    ) throws(PithError) -> JinjaValue {
        var rest = arguments
        let path = byAttribute && !rest.positional.isEmpty ? rest.positional.removeFirst() : nil
        guard !byAttribute || path != nil else { throw .data("the attribute to choose by is missing") }
        let name: String? = rest.positional.isEmpty ? nil : try rest.text(0)
        rest.positional = Array(rest.positional.dropFirst())
        var result: [JinjaValue] = []
        for element in value.isTrue ? try Self.list(value) : [] {
            let subject = try path.map { (path) throws(PithError) in try attribute(path: path, of: element) } ?? element
            let holds = try name.map { (name) throws(PithError) in try test(name, subject, rest) } ?? subject.isTrue
            if holds == keeps { result.append(element) }
        }
        return .list(result)
    }

    private static let dictionarySorted: Filter = { (value, arguments, renderer) throws(PithError) in
        guard case .dictionary(let dictionary) = value else { throw .data("\(value.typeName) has no items to sort") }
        let place: Int
        switch try arguments.text(1, "by", default: "key") {
        case "key": place = 0
        case "value": place = 1
        case let name: throw .data("'\(name.shortened)' is nothing to sort by", remedy: "key and value are")
        }
        let order = JinjaArguments(named: [
            ("attribute", .int(place)), ("case_sensitive", .bool(arguments.flag(0, "case_sensitive", default: false))),
        ])
        let isReversed = arguments.flag(2, "reverse", default: false)
        let items = isReversed ? dictionary.items.reversed() : dictionary.items
        let sorted = try renderer.ordered(items, order)
        return .list(isReversed ? sorted.reversed() : sorted)
    }
}
