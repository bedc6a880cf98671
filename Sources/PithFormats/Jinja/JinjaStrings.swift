import PithCore

// Texts as Python has them: their elements are code points, and equal means equal code points.
extension String {
    /// Where a text first stands, behind `start`; an empty one stands everywhere.
    func jinjaRange(of part: String, from start: String.Index? = nil) -> Range<String.Index>? {
        let (own, wanted) = (utf8, part.utf8)
        guard let first = wanted.first else { return (start ?? startIndex)..<(start ?? startIndex) }
        var place = start ?? startIndex
        while let found = own[place...].firstIndex(of: first) {
            if own[found...].starts(with: wanted) { return found..<own.index(found, offsetBy: wanted.count) }
            place = own.index(after: found)
        }
        return nil
    }

    /// All of a text replaced, or its first `limit` places.
    func jinjaReplacing(_ old: String, by new: String, limit: Int = .max) throws(PithError) -> String {
        guard !old.isEmpty else {
            // Python puts it before each character, and at the end.
            var (result, count) = ("", 0)
            for scalar in unicodeScalars {
                if count < limit { try JinjaRenderer.append(new, to: &result) }
                count += 1
                result.unicodeScalars.append(scalar)
            }
            return count < limit ? result + new : result
        }
        var (result, place, count) = ("", startIndex, 0)
        while count < limit, let range = jinjaRange(of: old, from: place) {
            result += self[place..<range.lowerBound]
            try JinjaRenderer.append(new, to: &result)
            place = range.upperBound
            count += 1
        }
        return result + self[place...]
    }

    /// The parts between separators, at most `limit` cuts.
    func jinjaSplit(_ separator: String, limit: Int = .max) -> [String] {
        var (parts, place): ([String], String.Index) = ([], startIndex)
        while parts.count < limit, let range = jinjaRange(of: separator, from: place) {
            parts.append(String(self[place..<range.lowerBound]))
            place = range.upperBound
        }
        return parts + [String(self[place...])]
    }

    /// The parts between separators, cut from the end.
    private func jinjaSplitFromEnd(_ separator: String, limit: Int) -> [String] {
        let parts = jinjaSplit(separator)
        guard parts.count - 1 > limit else { return parts }
        let kept = parts.count - limit
        return [parts.prefix(kept).joined(separator: separator)] + parts.suffix(limit)
    }

    /// The words, at most `limit` cuts; the rest of the text is the last one.
    func jinjaWords(limit: Int = .max) -> [String] {
        var (words, rest) = ([String](), unicodeScalars[...])
        while true {
            rest = rest.drop { $0.isJinjaSpace }
            guard !rest.isEmpty else { return words }
            if words.count == limit { return words + [String(rest)] }
            let word = rest.prefix { !$0.isJinjaSpace }
            words.append(String(word))
            rest = rest[word.endIndex...]
        }
    }

    /// The text without some characters at its ends; without white space where they are not given.
    func jinjaStripped(_ characters: String? = nil, start: Bool = true, end: Bool = true) -> String {
        let set = characters.map { Set($0.unicodeScalars) }
        func isCut(_ scalar: Unicode.Scalar) -> Bool { set?.contains(scalar) ?? scalar.isJinjaSpace }
        var rest = unicodeScalars[...]
        if start { rest = rest.drop(while: isCut) }
        while end, let last = rest.last, isCut(last) { rest.removeLast() }
        return String(rest)
    }

    /// The lines, without what ends them.
    func jinjaLines(keepingEnds: Bool = false) -> [String] {
        var (lines, line) = ([String](), String.UnicodeScalarView())
        var scalars = Array(unicodeScalars)[...]
        while let scalar = scalars.popFirst() {
            guard scalar.isJinjaLineEnd else {
                line.append(scalar)
                continue
            }
            if keepingEnds { line.append(scalar) }
            if scalar == "\r", scalars.first == "\n", let second = scalars.popFirst(), keepingEnds {
                line.append(second)
            }
            lines.append(String(line))
            line = String.UnicodeScalarView()
        }
        return line.isEmpty ? lines : lines + [String(line)]
    }

    /// Words with their first letter large and the others small.
    func jinjaTitled(isBoundary: (Unicode.Scalar) -> Bool) -> String {
        var (result, isFirst) = ("", true)
        for scalar in unicodeScalars {
            let (properties, boundary) = (scalar.properties, isBoundary(scalar))
            result += boundary ? String(scalar) : isFirst ? properties.titlecaseMapping : properties.lowercaseMapping
            isFirst = boundary
        }
        return result
    }

    /// The first letter large, the others small.
    var jinjaCapitalized: String {
        guard let first = unicodeScalars.first else { return "" }
        return first.properties.titlecaseMapping + String(unicodeScalars.dropFirst()).lowercased()
    }

    fileprivate func jinjaIndex(of part: String) -> Int? {
        jinjaRange(of: part).map { unicodeScalars.distance(from: startIndex, to: $0.lowerBound) }
    }

    private func all(_ condition: (Unicode.Scalar) -> Bool) -> Bool { !isEmpty && unicodeScalars.allSatisfy(condition) }

    /// A method of Python's texts; nil for those that Pith does not have.
    func jinjaMethod(_ name: String) -> JinjaValue? {
        guard let method = Self.jinjaMethods[name] else { return nil }
        return .function(JinjaFunction(name) { (arguments, _) throws(PithError) in try method(self, arguments) })
    }

    private typealias Method = @Sendable (String, JinjaArguments) throws(PithError) -> JinjaValue

    private static func strings(_ parts: [String]) -> JinjaValue { .list(parts.map { .string($0) }) }

    private static let jinjaMethods: [String: Method] = [
        "upper": { (text, _) in .string(text.uppercased()) },
        "lower": { (text, _) in .string(text.lowercased()) },
        "capitalize": { (text, _) in .string(text.jinjaCapitalized) },
        "title": { (text, _) in .string(text.jinjaTitled { !$0.properties.isAlphabetic }) },
        "strip": { (text, arguments) throws(PithError) in .string(text.jinjaStripped(try arguments.characters)) },
        "lstrip": { (text, arguments) throws(PithError) in
            .string(text.jinjaStripped(try arguments.characters, end: false))
        },
        "rstrip": { (text, arguments) throws(PithError) in
            .string(text.jinjaStripped(try arguments.characters, start: false))
        },
        "startswith": { (text, arguments) throws(PithError) in
            .bool(try arguments.alternatives.contains { text.utf8.starts(with: $0.utf8) })
        },
        "endswith": { (text, arguments) throws(PithError) in
            .bool(try arguments.alternatives.contains { text.utf8.reversed().starts(with: $0.utf8.reversed()) })
        },
        "removeprefix": { (text, arguments) throws(PithError) in
            let prefix = try arguments.text(0)
            return .string(
                text.utf8.starts(with: prefix.utf8) ? String(text.utf8.dropFirst(prefix.utf8.count)) ?? text : text)
        },
        "removesuffix": { (text, arguments) throws(PithError) in
            let suffix = try arguments.text(0)
            let ends = text.utf8.reversed().starts(with: suffix.utf8.reversed())
            return .string(ends ? String(text.utf8.dropLast(suffix.utf8.count)) ?? text : text)
        },
        "split": { (text, arguments) throws(PithError) in
            let limit = try arguments.limit
            guard let separator = try arguments.separator else { return strings(text.jinjaWords(limit: limit)) }
            return strings(text.jinjaSplit(separator, limit: limit))
        },
        "rsplit": { (text, arguments) throws(PithError) in
            let separator = try arguments.separator
            guard let separator else { return strings(text.jinjaWords()) }
            return strings(text.jinjaSplitFromEnd(separator, limit: try arguments.limit))
        },
        "splitlines": { (text, arguments) in
            strings(text.jinjaLines(keepingEnds: arguments.flag(0, "keepends", default: false)))
        },
        "replace": { (text, arguments) throws(PithError) in
            let limit = try arguments.whole(2, "count", default: -1)
            return .string(
                try text.jinjaReplacing(
                    try arguments.text(0), by: try arguments.text(1), limit: limit < 0 ? .max : limit))
        },
        "join": { (text, arguments) throws(PithError) in
            var parts: [String] = []
            for element in (arguments.value(0) ?? .none).elements ?? [] {
                guard case .string(let part) = element else { throw .data("\(element.typeName) is joined as a text") }
                parts.append(part)
            }
            guard parts.count * text.utf8.count <= JinjaRenderer.sizeLimit else {
                throw .data("a text is longer than 64 MiB")
            }
            return .string(try JinjaRenderer.limited(parts.joined(separator: text)))
        },
        "find": { (text, arguments) throws(PithError) in .int(text.jinjaIndex(of: try arguments.text(0)) ?? -1) },
        "index": { (text, arguments) throws(PithError) in
            guard let place = text.jinjaIndex(of: try arguments.text(0)) else { throw .data("a text is not found") }
            return .int(place)
        },
        "count": { (text, arguments) throws(PithError) in
            let part = try arguments.text(0)
            return .int(part.isEmpty ? text.unicodeScalars.count + 1 : text.jinjaSplit(part).count - 1)
        },
        "zfill": { (text, arguments) throws(PithError) in
            let missing = Swift.min(try arguments.whole(0), 10_000) - text.unicodeScalars.count
            let sign = text.hasPrefix("-") || text.hasPrefix("+") ? 1 : 0
            return .string(
                text.prefix(sign) + String(repeating: "0", count: Swift.max(0, missing)) + text.dropFirst(sign))
        },
        "format": { (text, arguments) throws(PithError) in .string(try text.jinjaBraceFormat(arguments)) },
        "isdigit": { (text, _) in
            .bool(text.all { $0.properties.numericType == .decimal || $0.properties.numericType == .digit })
        },
        "isdecimal": { (text, _) in .bool(text.all { $0.properties.numericType == .decimal }) },
        "isnumeric": { (text, _) in .bool(text.all { $0.properties.numericType != nil }) },
        "isalpha": { (text, _) in .bool(text.all(\.isJinjaLetter)) },
        "isalnum": { (text, _) in .bool(text.all { $0.isJinjaLetter || $0.properties.numericType != nil }) },
        "isspace": { (text, _) in .bool(text.all(\.isJinjaSpace)) },
        "isupper": { (text, _) in .bool(text.isJinjaUpper) },
        "islower": { (text, _) in .bool(text.isJinjaLower) },
    ]

    /// Whether there are cased letters, and none of them is small.
    var isJinjaUpper: Bool {
        unicodeScalars.contains(where: \.properties.isUppercase)
            && !unicodeScalars.contains {
                $0.properties.isLowercase || $0.properties.generalCategory == .titlecaseLetter
            }
    }

    /// Whether there are cased letters, and none of them is large.
    var isJinjaLower: Bool {
        unicodeScalars.contains(where: \.properties.isLowercase)
            && !unicodeScalars.contains {
                $0.properties.isUppercase || $0.properties.generalCategory == .titlecaseLetter
            }
    }

    /// `'{} {name} {0}'.format(…)`; what says how a value is written is refused.
    private func jinjaBraceFormat(_ arguments: JinjaArguments) throws(PithError) -> String {
        var (result, rest, next) = ("", unicodeScalars[...], 0)
        while let scalar = rest.popFirst() {
            if scalar == "{" || scalar == "}", rest.first == scalar {
                rest.removeFirst()
                result.unicodeScalars.append(scalar)
            } else if scalar == "{" {
                let field = String(rest.prefix { $0 != "}" })
                rest = rest.drop { $0 != "}" }.dropFirst()
                var value: JinjaValue?
                if field.isEmpty {
                    value = arguments.value(next)
                    next += 1
                } else if let index = Int(field) {
                    value = arguments.value(index)
                } else {
                    value = arguments.named.first { $0.name == field }?.value
                }
                guard let value else { throw .data("'{\(field.shortened)}' in a format stands for nothing") }
                try JinjaRenderer.append(value.text, to: &result)
            } else {
                result.unicodeScalars.append(scalar)
            }
        }
        return try JinjaRenderer.limited(result)
    }
}

extension Unicode.Scalar {
    /// Python's white space.
    var isJinjaSpace: Bool { properties.isWhitespace || (0x1C...0x1F).contains(value) }
    /// What Python's `splitlines` cuts at.
    fileprivate var isJinjaLineEnd: Bool {
        (0xA...0xD).contains(value) || (0x1C...0x1E).contains(value) || [0x85, 0x2028, 0x2029].contains(value)
    }
    fileprivate var isJinjaLetter: Bool {
        switch properties.generalCategory {
        case .uppercaseLetter, .lowercaseLetter, .titlecaseLetter, .modifierLetter, .otherLetter: true
        default: false
        }
    }
}

extension JinjaArguments {
    /// What `strip` removes; nil for white space.
    fileprivate var characters: String? {
        get throws(PithError) {
            if case .none? = value(0) { return nil }
            return value(0) == nil ? nil : try text(0)
        }
    }

    /// The separator of `split`; nil for white space.
    fileprivate var separator: String? {
        get throws(PithError) {
            guard let given = value(0, "sep") else { return nil }
            if case .none = given { return nil }
            let separator = try text(0, "sep")
            guard !separator.isEmpty else { throw .data("a text is cut at an empty separator") }
            return separator
        }
    }

    /// At most so many cuts.
    fileprivate var limit: Int {
        get throws(PithError) {
            let limit = try whole(1, "maxsplit", default: -1)
            return limit < 0 ? .max : limit
        }
    }

    /// A text, or several in a tuple.
    fileprivate var alternatives: [String] {
        get throws(PithError) {
            guard case .tuple(let elements)? = value(0) else { return [try text(0)] }
            var texts: [String] = []
            for element in elements { texts.append(try JinjaArguments(positional: [element]).text(0)) }
            return texts
        }
    }
}
