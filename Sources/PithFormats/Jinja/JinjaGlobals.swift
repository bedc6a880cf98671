import PithCore

// The functions that every template has, those of `transformers` among them.
extension JinjaRenderer {
    static var globals: [String: JinjaValue] {
        let functions = [
            JinjaFunction("range") { (arguments, _) throws(PithError) in try range(arguments) },
            JinjaFunction("dict") { (arguments, _) throws(PithError) in .dictionary(try dictionary(arguments)) },
            JinjaFunction("namespace") { (arguments, _) throws(PithError) in
                let members = try dictionary(arguments)
                for key in members.keys { try checkMember(key.text) }
                return .namespace(JinjaNamespace(members))
            },
            JinjaFunction("raise_exception") { (arguments, _) throws(PithError) in
                throw .data("the template refuses this conversation: \((arguments.value(0, "message") ?? .none).text)")
            },
            JinjaFunction("strftime_now") { (arguments, renderer) throws(PithError) in
                .string(renderer.now.formatted(try arguments.text(0, "format")))
            },
            JinjaFunction("cycler") { (arguments, _) in cycler(arguments.positional) },
            JinjaFunction("joiner") { (arguments, _) in joiner((arguments.value(0, "sep") ?? .string(", ")).text) },
        ]
        return Dictionary(uniqueKeysWithValues: functions.map { ($0.name, .function($0)) })
    }

    /// As many numbers as Jinja's sandbox allows.
    private static let longestRange = 100_000

    private static func range(_ arguments: JinjaArguments) throws(PithError) -> JinjaValue {
        let first = try arguments.whole(0)
        let (start, end) = arguments.positional.count > 1 ? (first, try arguments.whole(1)) : (0, first)
        let step = try arguments.whole(2, default: 1)
        guard step != 0 else { throw .data("the step of a range is 0") }
        let (distance, overflow) = end.subtractingReportingOverflow(start)
        let isEmpty = distance.signum() != step.signum()
        guard !overflow, step != Int.min, isEmpty || (distance - step.signum()) / step < longestRange else {
            throw .data("a range has more than \(longestRange) numbers")
        }
        return .list(stride(from: start, to: end, by: step).map { .int($0) })
    }

    private static func dictionary(_ arguments: JinjaArguments) throws(PithError) -> JinjaDictionary {
        var result = JinjaDictionary()
        switch arguments.value(0) {
        case nil: break
        case .dictionary(let given)?: result = given
        case let other?:
            for pair in other.elements ?? [] {
                guard let pair = pair.elements, pair.count == 2 else {
                    throw .data("dict is given something else than pairs")
                }
                try result.set(pair[0], to: pair[1])
            }
        }
        for (name, value) in arguments.named { result[name] = value }
        return result
    }

    /// An object that gives one value after the other.
    private static func cycler(_ values: [JinjaValue]) -> JinjaValue {
        var members = JinjaDictionary()
        let namespace = JinjaNamespace(members)
        func current(_ place: Int) -> JinjaValue {
            values.isEmpty ? .undefined("cycler") : values[place % values.count]
        }
        var place = 0
        members["next"] = .function(
            JinjaFunction("cycler.next") { (_, _) in
                let value = current(place)
                place += 1
                namespace.members["current"] = current(place)
                return value
            })
        members["reset"] = .function(
            JinjaFunction("cycler.reset") { (_, _) in
                place = 0
                namespace.members["current"] = current(0)
                return .none
            })
        members["current"] = current(0)
        namespace.members = members
        return .namespace(namespace)
    }

    /// A function that gives nothing the first time, and a separator from then on.
    private static func joiner(_ separator: String) -> JinjaValue {
        var isFirst = true
        return .function(
            JinjaFunction("joiner") { (_, _) in
                defer { isFirst = false }
                return .string(isFirst ? "" : separator)
            })
    }
}
