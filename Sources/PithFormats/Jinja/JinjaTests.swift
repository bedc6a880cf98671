import PithCore

// What Jinja calls tests: `value is name(arguments)`.
extension JinjaRenderer {
    private typealias Comparison = @Sendable (JinjaValue, JinjaValue) throws(PithError) -> Bool
    private typealias Test = @Sendable (JinjaValue, JinjaArguments) throws(PithError) -> Bool

    /// `value is name(arguments)`.
    mutating func test(
        _ name: String, _ value: JinjaValue, _ arguments: JinjaArguments
    ) throws(PithError) -> Bool {
        if let holds = Self.comparisons[name] {
            try charge(value, arguments)
            return try holds(value, try Self.operand(arguments))
        }
        guard let test = Self.tests[name] else {
            throw .data(
                "the test '\(name.shortened)' is not supported",
                remedy: "known are \((Array(Self.tests.keys) + Self.comparisons.keys).sorted().joined(separator: ", "))"
            )
        }
        // The others look at the kind of a value, or through a text.
        if case .string = value { try charge(value) }
        if name == "in" { try charge(value, arguments) }
        return try test(value, arguments)
    }

    private static func operand(_ arguments: JinjaArguments) throws(PithError) -> JinjaValue {
        guard let other = arguments.value(0) else { throw .data("a comparison has nothing to compare with") }
        return other
    }

    /// Comparisons, also by the signs by which `select` names them.
    private static let comparisons: [String: Comparison] = {
        let isEqual: Comparison = { (a, b) in a.equals(b) }
        let isUnequal: Comparison = { (a, b) in !a.equals(b) }
        let isLess: Comparison = { (a, b) throws(PithError) in try a.order(b) < 0 }
        let isLessOrEqual: Comparison = { (a, b) throws(PithError) in try a.order(b) <= 0 }
        let isGreater: Comparison = { (a, b) throws(PithError) in try a.order(b) > 0 }
        let isGreaterOrEqual: Comparison = { (a, b) throws(PithError) in try a.order(b) >= 0 }
        return [
            "eq": isEqual, "equalto": isEqual, "==": isEqual, "ne": isUnequal, "!=": isUnequal, "lt": isLess,
            "lessthan": isLess, "<": isLess, "le": isLessOrEqual, "<=": isLessOrEqual, "gt": isGreater,
            "greaterthan": isGreater, ">": isGreater, "ge": isGreaterOrEqual, ">=": isGreaterOrEqual,
        ]
    }()

    private static let tests: [String: Test] = [
        "defined": { (value, _) in !value.isUndefined },
        "undefined": { (value, _) in value.isUndefined },
        "none": { (value, _) in if case .none = value { true } else { false } },
        "boolean": { (value, _) in if case .bool = value { true } else { false } },
        "true": { (value, _) in if case .bool(true) = value { true } else { false } },
        "false": { (value, _) in if case .bool(false) = value { true } else { false } },
        "integer": { (value, _) in if case .int = value { true } else { false } },
        "float": { (value, _) in if case .float = value { true } else { false } },
        "number": { (value, _) in value.number != nil },
        "string": { (value, _) in if case .string = value { true } else { false } },
        "mapping": { (value, _) in if case .dictionary = value { true } else { false } },
        "sequence": { (value, _) in value.elements != nil },
        "iterable": { (value, _) in value.elements != nil },
        "callable": { (value, _) in if case .function = value { true } else { false } },
        "escaped": { (_, _) in false },
        "lower": { (value, _) in value.text.isJinjaLower },
        "upper": { (value, _) in value.text.isJinjaUpper },
        "odd": { (value, _) throws(PithError) in try remainder(value, 2) == 1 },
        "even": { (value, _) throws(PithError) in try remainder(value, 2) == 0 },
        "divisibleby": { (value, arguments) throws(PithError) in
            let divisor = try arguments.whole(0, "num")
            guard divisor != 0 else { throw .data("a number is divided by 0") }
            return try remainder(value, Double(divisor)) == 0
        },
        "sameas": { (value, arguments) in
            let other = arguments.value(0, "other") ?? .none
            return value.typeName == other.typeName && value.equals(other)
        },
        "in": { (value, arguments) throws(PithError) in try (arguments.value(0, "seq") ?? .none).contains(value) },
        "filter": { (value, _) in isFilter(value.text) },
        "test": { (value, _) in isTest(value.text) },
    ]

    private static func isTest(_ name: String) -> Bool { tests[name] != nil || comparisons[name] != nil }

    /// What Python's `%` leaves of a number.
    private static func remainder(_ value: JinjaValue, _ divisor: Double) throws(PithError) -> Double {
        guard let number = value.number else { throw .data("\(value.typeName) cannot be divided") }
        return number - divisor * (number / divisor).rounded(.down)
    }
}
