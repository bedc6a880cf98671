import PithCore

// From the weakest binding to the strongest, as Jinja has them.
extension JinjaParser {
    /// `a if b else c`, and all that binds more strongly.
    mutating func expression(withCondition: Bool = true) throws(PithError) -> JinjaExpression {
        depth += 1
        defer { depth -= 1 }
        guard depth <= Self.depthLimit else { throw failure("expressions lie too deep inside each other") }
        var value = try or()
        while withCondition, take(name: "if") {
            let test = try or()
            let otherwise: JinjaExpression? = take(name: "else") ? try expression() : nil
            value = .conditional(test, then: value, otherwise: otherwise)
        }
        return value
    }

    /// An expression, or several with commas between, which make a tuple.
    mutating func tupleOrExpression(withCondition: Bool = true) throws(PithError) -> JinjaExpression {
        let first = try expression(withCondition: withCondition)
        guard isSymbol(",") else { return first }
        var elements = [first]
        while take(symbol: ",") {
            switch token.kind {
            case .variableEnd, .blockEnd: return .tuple(elements)
            case .symbol(")"): return .tuple(elements)
            default: elements.append(try expression(withCondition: withCondition))
            }
        }
        return .tuple(elements)
    }

    private mutating func or() throws(PithError) -> JinjaExpression {
        var value = try and()
        while take(name: "or") { value = .or(value, try and()) }
        return value
    }

    private mutating func and() throws(PithError) -> JinjaExpression {
        var value = try not()
        while take(name: "and") { value = .and(value, try not()) }
        return value
    }

    private mutating func not() throws(PithError) -> JinjaExpression {
        var count = 0
        while take(name: "not") { count += 1 }
        var value = try comparison()
        for _ in 0..<count { value = .not(value) }
        return value
    }

    private mutating func comparison() throws(PithError) -> JinjaExpression {
        let first = try sum()
        var others: [(JinjaComparison, JinjaExpression)] = []
        while true {
            if case .symbol(let symbol) = token.kind, let comparison = JinjaComparison(rawValue: symbol) {
                advance()
                others.append((comparison, try sum()))
            } else if take(name: "in") {
                others.append((.isIn, try sum()))
            } else if isName("not"), next.kind == .name("in") {
                advance()
                advance()
                others.append((.isNotIn, try sum()))
            } else {
                return others.isEmpty ? first : .comparison(first, others)
            }
        }
    }

    /// Operators of one rank, from left to right.
    private mutating func chain(
        _ operators: [JinjaOperator], _ operand: (inout JinjaParser) throws(PithError) -> JinjaExpression
    ) throws(PithError) -> JinjaExpression {
        var value = try operand(&self)
        while case .symbol(let symbol) = token.kind, let found = operators.first(where: { $0.rawValue == symbol }) {
            advance()
            value = .binary(found, value, try operand(&self))
        }
        return value
    }

    private mutating func sum() throws(PithError) -> JinjaExpression {
        try chain([.add, .subtract]) { (parser) throws(PithError) in try parser.concatenation() }
    }

    private mutating func concatenation() throws(PithError) -> JinjaExpression {
        try chain([.concatenate]) { (parser) throws(PithError) in try parser.product() }
    }

    private mutating func product() throws(PithError) -> JinjaExpression {
        try chain([.multiply, .divide, .floorDivide, .remainder]) { (parser) throws(PithError) in try parser.power() }
    }

    private mutating func power() throws(PithError) -> JinjaExpression {
        try chain([.power]) { (parser) throws(PithError) in try parser.unary() }
    }

    private mutating func unary(withFilters: Bool = true) throws(PithError) -> JinjaExpression {
        depth += 1
        defer { depth -= 1 }
        guard depth <= Self.depthLimit else { throw failure("expressions lie too deep inside each other") }
        var value: JinjaExpression
        if take(symbol: "-") {
            value = .negative(try unary(withFilters: false))
        } else if take(symbol: "+") {
            value = .positive(try unary(withFilters: false))
        } else {
            value = try primary()
        }
        value = try postfix(value)
        return withFilters ? try filtersAndTests(value) : value
    }

    private mutating func primary() throws(PithError) -> JinjaExpression {
        switch token.kind {
        case .name(let name):
            advance()
            switch name {
            case "true", "True": return .literal(.bool(true))
            case "false", "False": return .literal(.bool(false))
            case "none", "None": return .literal(.none)
            default: return .name(name)
            }
        case .string:
            // Texts side by side are one.
            var text = ""
            while case .string(let part) = token.kind {
                text += part
                advance()
            }
            return .literal(.string(text))
        case .integer(let number):
            advance()
            return .literal(.int(number))
        case .float(let number):
            advance()
            return .literal(.float(number))
        case .symbol("("):
            advance()
            if take(symbol: ")") { return .tuple([]) }
            let value = try tupleOrExpression()
            try expect(symbol: ")")
            return value
        case .symbol("["):
            advance()
            return .list(try elements(before: "]") { (parser) throws(PithError) in try parser.expression() })
        case .symbol("{"):
            advance()
            return .dictionary(
                try elements(before: "}") { (parser) throws(PithError) in
                    let key = try parser.expression()
                    try parser.expect(symbol: ":")
                    return (key, try parser.expression())
                })
        default: throw failure("\(described) stands where a value is expected")
        }
    }

    /// Elements with commas between, a last comma allowed.
    private mutating func elements<Element>(
        before end: String, _ read: (inout JinjaParser) throws(PithError) -> Element
    ) throws(PithError) -> [Element] {
        var elements: [Element] = []
        while !take(symbol: end) {
            if !elements.isEmpty {
                try expect(symbol: ",")
                if take(symbol: end) { break }
            }
            elements.append(try read(&self))
        }
        return elements
    }

    private mutating func postfix(_ value: JinjaExpression) throws(PithError) -> JinjaExpression {
        var value = value
        while true {
            if take(symbol: ".") {
                if case .integer(let index) = token.kind {
                    advance()
                    value = .element(value, .literal(.int(index)))
                } else {
                    value = .attribute(value, try expectName())
                }
            } else if take(symbol: "[") {
                value = try subscriptOrSlice(of: value)
            } else if isSymbol("(") {
                value = .call(value, try callArguments())
            } else {
                return value
            }
        }
    }

    private mutating func subscriptOrSlice(of value: JinjaExpression) throws(PithError) -> JinjaExpression {
        var bounds: [JinjaExpression?] = [nil]
        while !take(symbol: "]") {
            if take(symbol: ":") {
                bounds.append(nil)
            } else {
                guard bounds[bounds.count - 1] == nil else {
                    throw failure("\(described) stands where ']' is expected")
                }
                bounds[bounds.count - 1] = try tupleOrExpression()
            }
        }
        if bounds.count == 1 {
            guard let index = bounds[0] else { throw failure("there is nothing between '[' and ']'") }
            return .element(value, index)
        }
        guard bounds.count <= 3 else { throw failure("a slice has a beginning, an end and a step only") }
        return .slice(value, from: bounds[0], to: bounds[1], step: bounds.count == 3 ? bounds[2] : nil)
    }

    mutating func callArguments() throws(PithError) -> JinjaCallArguments {
        try expect(symbol: "(")
        var arguments = JinjaCallArguments()
        var isFirst = true
        while !take(symbol: ")") {
            if !isFirst {
                try expect(symbol: ",")
                if take(symbol: ")") { break }
            }
            isFirst = false
            if take(symbol: "**") {
                arguments.moreNamed = try expression()
            } else if take(symbol: "*") {
                arguments.moreValues = try expression()
            } else if case .name(let name) = token.kind, next.kind == .symbol("=") {
                advance()
                advance()
                arguments.named.append((name, try expression()))
            } else {
                arguments.positional.append(try expression())
            }
        }
        return arguments
    }

    private mutating func filtersAndTests(_ value: JinjaExpression) throws(PithError) -> JinjaExpression {
        var value = value
        while true {
            if take(symbol: "|") {
                let name = try expectName()
                value = .filter(value, name, isSymbol("(") ? try callArguments() : JinjaCallArguments())
            } else if take(name: "is") {
                value = try test(value)
            } else if isSymbol("(") {
                value = .call(value, try callArguments())
            } else {
                return value
            }
        }
    }

    private mutating func test(_ value: JinjaExpression) throws(PithError) -> JinjaExpression {
        let isNegated = take(name: "not")
        let name = try expectName()
        var arguments = JinjaCallArguments()
        switch token.kind {
        case .symbol("("): arguments = try callArguments()
        case .name(let word) where !["else", "or", "and", "is", "if", "in", "not", "recursive"].contains(word):
            arguments.positional = [try postfix(try primary())]
        case .string, .integer, .float, .symbol("["), .symbol("{"):
            arguments.positional = [try postfix(try primary())]
        default: break
        }
        return .test(value, name, arguments, isNegated: isNegated)
    }
}
