import PithCore

extension JinjaRenderer {
    /// The value of an expression.
    mutating func evaluate(_ expression: JinjaExpression) throws(PithError) -> JinjaValue {
        let value = try deeper { (renderer) throws(PithError) in try renderer.value(of: expression) }
        switch expression {
        case .list, .tuple, .dictionary, .slice, .call, .filter, .binary:
            try charge(value)
            try countCreated(value)
        default: break
        }
        return value
    }

    private mutating func value(of expression: JinjaExpression) throws(PithError) -> JinjaValue {
        switch expression {
        case .literal(let value): return value
        case .name(let name): return scope.value(name) ?? .undefined(name)
        case .list(let elements): return .list(try values(elements))
        case .tuple(let elements): return .tuple(try values(elements))
        case .dictionary(let members):
            var dictionary = JinjaDictionary()
            for (key, value) in members { try dictionary.set(try evaluate(key), to: try evaluate(value)) }
            return .dictionary(dictionary)
        case .attribute(let owner, let name): return try attribute(name, of: try searched(owner))
        case .element(let owner, let key): return try element(try evaluate(key), of: try searched(owner))
        case .slice(let owner, let from, let to, let step):
            return try slice(
                try searched(owner), from: try bound(from), to: try bound(to), step: try bound(step) ?? 1)
        case .call(let callee, let arguments):
            let function = try evaluate(callee)
            return try call(function, try evaluate(arguments))
        case .filter(let value, let name, let arguments):
            return try apply(name, to: try evaluate(value), try evaluate(arguments))
        case .test(let value, let name, let arguments, let isNegated):
            return .bool(try test(name, try evaluate(value), try evaluate(arguments)) != isNegated)
        case .not(let value): return .bool(!(try evaluate(value).isTrue))
        case .negative(let value): return try negated(try evaluate(value))
        case .positive(let value): return try evaluate(value)
        case .binary(let operation, let left, let right):
            return try combine(operation, try charged(left), try charged(right))
        case .and(let left, let right):
            let value = try evaluate(left)
            return value.isTrue ? try evaluate(right) : value
        case .or(let left, let right):
            let value = try evaluate(left)
            return value.isTrue ? value : try evaluate(right)
        case .comparison(let first, let others): return try compare(first, others)
        case .conditional(let test, let then, let otherwise):
            if try evaluate(test).isTrue { return try evaluate(then) }
            return try otherwise.map { (value) throws(PithError) in try evaluate(value) }
                ?? .undefined("the other case")
        }
    }

    /// The value of an expression, all of which will be looked at.
    private mutating func charged(_ expression: JinjaExpression) throws(PithError) -> JinjaValue {
        let value = try evaluate(expression)
        try charge(value)
        return value
    }

    /// The value of an expression in which something is looked up: all of a text is gone through for that.
    private mutating func searched(_ expression: JinjaExpression) throws(PithError) -> JinjaValue {
        let value = try evaluate(expression)
        if case .string = value { try charge(value) }
        return value
    }

    private mutating func values(_ expressions: [JinjaExpression]) throws(PithError) -> [JinjaValue] {
        var values: [JinjaValue] = []
        for expression in expressions { values.append(try charged(expression)) }
        return values
    }

    /// The values of arguments.
    mutating func evaluate(_ arguments: JinjaCallArguments) throws(PithError) -> JinjaArguments {
        var result = JinjaArguments(positional: try values(arguments.positional))
        if let more = arguments.moreValues {
            guard let elements = try evaluate(more).elements else { throw .data("'*' stands before no list") }
            result.positional += elements
        }
        for (name, value) in arguments.named { result.named.append((name, try charged(value))) }
        if let more = arguments.moreNamed {
            guard case .dictionary(let dictionary) = try evaluate(more) else {
                throw .data("'**' stands before no dictionary")
            }
            for (key, value) in zip(dictionary.keys, dictionary.values) { result.named.append((key.text, value)) }
        }
        return result
    }

    /// Calls a function.
    mutating func call(_ function: JinjaValue, _ arguments: JinjaArguments) throws(PithError) -> JinjaValue {
        switch function {
        case .function(let function):
            return try deeper { (renderer) throws(PithError) in try function.call(arguments, &renderer) }
        case .loop(let loop):
            guard let recursion = loop.recursion else {
                throw .data("the loop cannot be called", remedy: "'recursive' in its tag makes that possible")
            }
            return try recursion.call(arguments, &self)
        default: throw .data("\(function.typeName) cannot be called")
        }
    }

    // MARK: Operators

    private func negated(_ value: JinjaValue) throws(PithError) -> JinjaValue {
        if let number = value.wholeNumber, number != Int.min { return .int(-number) }
        guard let number = value.number else { throw .data("\(value.typeName) has no negative") }
        return .float(-number)
    }

    private mutating func compare(
        _ first: JinjaExpression, _ others: [(JinjaComparison, JinjaExpression)]
    ) throws(PithError) -> JinjaValue {
        var left = try charged(first)
        for (comparison, expression) in others {
            let right = try charged(expression)
            let holds =
                switch comparison {
                case .equal: left.equals(right)
                case .unequal: !left.equals(right)
                case .less: try left.order(right) < 0
                case .lessOrEqual: try left.order(right) <= 0
                case .greater: try left.order(right) > 0
                case .greaterOrEqual: try left.order(right) >= 0
                case .isIn: try right.contains(left)
                case .isNotIn: !(try right.contains(left))
                }
            if !holds { return .bool(false) }
            left = right
        }
        return .bool(true)
    }

    func combine(
        _ operation: JinjaOperator, _ left: JinjaValue, _ right: JinjaValue
    ) throws(PithError) -> JinjaValue {
        if operation == .concatenate { return .string(try Self.joined(left.text, right.text)) }
        if let a = left.wholeNumber, let b = right.wholeNumber {
            if let result = try Self.whole(operation, a, b) { return .int(result) }
        }
        if let a = left.number, let b = right.number { return .float(try Self.real(operation, a, b)) }
        switch (operation, left, right) {
        case (.add, .string(let a), .string(let b)): return .string(try Self.joined(a, b))
        case (.add, .list(let a), .list(let b)): return .list(try Self.joined(a, b))
        case (.add, .tuple(let a), .tuple(let b)): return .tuple(try Self.joined(a, b))
        case (.multiply, .string(let text), _) where right.wholeNumber != nil,
            (.multiply, _, .string(let text)) where left.wholeNumber != nil:
            let count = left.wholeNumber ?? right.wholeNumber ?? 0
            guard text.utf8.count.multipliedReportingOverflow(by: max(0, count)).partialValue <= Self.sizeLimit,
                count <= Self.sizeLimit
            else { throw .data("a text is repeated \(count) times") }
            return .string(String(repeating: text, count: max(0, count)))
        case (.multiply, .list(let list), _) where right.wholeNumber != nil,
            (.multiply, _, .list(let list)) where left.wholeNumber != nil:
            let count = left.wholeNumber ?? right.wholeNumber ?? 0
            guard count <= 100_000, list.count * max(0, count) <= Self.countLimit else {
                throw .data("a list is repeated \(count) times")
            }
            return .list((0..<max(0, count)).flatMap { _ in list })
        case (.remainder, .string(let format), .tuple(let values)): return .string(try jinjaFormat(format, values))
        case (.remainder, .string(let format), _): return .string(try jinjaFormat(format, [right]))
        default: throw .data("'\(operation.rawValue)' stands between \(left.typeName) and \(right.typeName)")
        }
    }

    private static func joined(_ a: [JinjaValue], _ b: [JinjaValue]) throws(PithError) -> [JinjaValue] {
        guard a.count + b.count <= countLimit else { throw .data("a list has more than \(countLimit) elements") }
        return a + b
    }

    /// A text that is not too long.
    static func limited(_ text: String) throws(PithError) -> String {
        guard text.utf8.count <= sizeLimit else { throw .data("a text is longer than 64 MiB") }
        return text
    }

    /// Puts a text behind another, unless both together are too long.
    static func append(_ other: some StringProtocol, to text: inout String) throws(PithError) {
        guard text.utf8.count + other.utf8.count <= sizeLimit else { throw .data("a text is longer than 64 MiB") }
        text += other
    }

    private static func joined(_ a: String, _ b: String) throws(PithError) -> String {
        var text = a
        try append(b, to: &text)
        return text
    }

    /// Operations whose result is whole; nil for those whose result is not.
    private static func whole(_ operation: JinjaOperator, _ a: Int, _ b: Int) throws(PithError) -> Int? {
        let result: (partialValue: Int, overflow: Bool)
        switch operation {
        case .add: result = a.addingReportingOverflow(b)
        case .subtract: result = a.subtractingReportingOverflow(b)
        case .multiply: result = a.multipliedReportingOverflow(by: b)
        case .floorDivide, .remainder:
            guard b != 0 else { throw .data("a number is divided by 0") }
            let (quotient, overflow) = a.dividedReportingOverflow(by: b)
            let rest = overflow ? 0 : a % b
            let isBelow = rest != 0 && (rest < 0) != (b < 0)
            result =
                operation == .remainder
                ? (isBelow ? rest + b : rest, false) : (isBelow ? quotient - 1 : quotient, overflow)
        case .power where b >= 0 && b < 64:
            var power = (partialValue: 1, overflow: false)
            for _ in 0..<b where !power.overflow { power = power.partialValue.multipliedReportingOverflow(by: a) }
            result = power
        case .divide, .power, .concatenate: return nil
        }
        guard !result.overflow else { throw .data("\(a) \(operation.rawValue) \(b) is too large") }
        return result.partialValue
    }

    private static func real(_ operation: JinjaOperator, _ a: Double, _ b: Double) throws(PithError) -> Double {
        if b == 0, [.divide, .floorDivide, .remainder].contains(operation) { throw .data("a number is divided by 0") }
        switch operation {
        case .add: return a + b
        case .subtract: return a - b
        case .multiply: return a * b
        case .divide: return a / b
        case .floorDivide: return (a / b).rounded(.down)
        case .remainder: return a - b * (a / b).rounded(.down)
        case .power:
            guard b == b.rounded(), b.magnitude < 1024 else { throw .data("'**' needs a whole exponent") }
            var power = 1.0
            for _ in 0..<Int(b.magnitude) { power *= a }
            return b < 0 ? 1 / power : power
        case .concatenate: return .nan
        }
    }

    // MARK: Slices

    private mutating func bound(_ expression: JinjaExpression?) throws(PithError) -> Int? {
        guard let expression else { return nil }
        let value = try evaluate(expression)
        if case .none = value { return nil }
        guard let number = value.wholeNumber else { throw .data("\(value.typeName) is a bound of a slice") }
        return number
    }

    private func slice(_ value: JinjaValue, from: Int?, to: Int?, step: Int) throws(PithError) -> JinjaValue {
        guard step != 0 else { throw .data("the step of a slice is 0") }
        switch value {
        case .string(let text):
            let scalars = Array(text.unicodeScalars)
            let places = Self.places(scalars.count, from, to, step)
            return .string(String(String.UnicodeScalarView(places.map { scalars[$0] })))
        case .list(let elements):
            return .list(Self.places(elements.count, from, to, step).map { elements[$0] })
        case .tuple(let elements):
            return .tuple(Self.places(elements.count, from, to, step).map { elements[$0] })
        default: throw .data("\(value.typeName) cannot be sliced")
        }
    }

    /// The places that a slice of `count` elements takes, as Python counts them.
    private static func places(_ count: Int, _ from: Int?, _ to: Int?, _ step: Int) -> [Int] {
        func place(_ bound: Int, _ lowest: Int, _ highest: Int) -> Int {
            min(max(bound < 0 ? max(bound, -count - 1) + count : bound, lowest), highest)
        }
        if step > 0 {
            let start = place(from ?? 0, 0, count)
            return Array(stride(from: start, to: max(start, place(to ?? count, 0, count)), by: min(step, count + 1)))
        }
        let start = place(from ?? count - 1, -1, count - 1)
        let end = to.map { place($0, -1, count - 1) } ?? -1
        return Array(stride(from: start, to: min(start, end), by: max(step, -count - 1)))
    }
}

extension JinjaValue {
    /// Python's `in`.
    func contains(_ element: JinjaValue) throws(PithError) -> Bool {
        switch self {
        case .string(let text):
            guard case .string(let part) = element else {
                throw .data("\(element.typeName) is looked for in a text", remedy: "a text can be")
            }
            return text.jinjaRange(of: part) != nil
        case .dictionary(let dictionary): return try dictionary.value(of: element) != nil
        default:
            guard let elements else { throw .data("nothing can be looked for in \(typeName)") }
            return elements.contains { $0.equals(element) }
        }
    }
}
