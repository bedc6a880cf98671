import PithCore

/// Reads the tokens of a template as statements. Expressions are read in `JinjaParser+Expressions.swift`.
struct JinjaParser {
    private let tokens: [JinjaToken]
    private var position = 0
    /// How deep statements and expressions lie inside each other.
    var depth = 0

    /// Deeper templates are refused; nobody writes them, and reading them needs stack.
    static let depthLimit = 100

    /// The statements of a template.
    static func statements(of template: String) throws(PithError) -> [JinjaStatement] {
        var parser = JinjaParser(tokens: try JinjaLexer.tokens(of: template))
        return try parser.body(endingWith: [])
    }

    private init(tokens: [JinjaToken]) { self.tokens = tokens }

    // MARK: Tokens

    var token: JinjaToken { tokens[position] }
    /// The token behind the one at hand.
    var next: JinjaToken { tokens[min(position + 1, tokens.count - 1)] }

    mutating func advance() { position = min(position + 1, tokens.count - 1) }

    func failure(_ message: String, remedy: String? = nil) -> PithError {
        .data(message, at: "line \(token.line)", remedy: remedy)
    }

    /// What the token at hand is called in errors.
    var described: String {
        switch token.kind {
        case .data: "text"
        case .blockBegin: "'{%'"
        case .blockEnd: "'%}'"
        case .variableBegin: "'{{'"
        case .variableEnd: "'}}'"
        case .name(let name), .symbol(let name): "'\(name.shortened)'"
        case .string: "a text"
        case .integer, .float: "a number"
        case .end: "the end of the template"
        }
    }

    func isSymbol(_ symbol: String) -> Bool { token.kind == .symbol(symbol) }
    func isName(_ name: String) -> Bool { token.kind == .name(name) }

    /// Takes a symbol if it stands here.
    mutating func take(symbol: String) -> Bool {
        guard isSymbol(symbol) else { return false }
        advance()
        return true
    }

    /// Takes a word if it stands here.
    mutating func take(name: String) -> Bool {
        guard isName(name) else { return false }
        advance()
        return true
    }

    mutating func expect(symbol: String) throws(PithError) {
        guard take(symbol: symbol) else { throw failure("\(described) stands where '\(symbol)' is expected") }
    }

    mutating func expectName() throws(PithError) -> String {
        guard case .name(let name) = token.kind else { throw failure("\(described) stands where a name is expected") }
        advance()
        return name
    }

    private mutating func expect(_ kind: JinjaToken.Kind, _ name: String) throws(PithError) {
        guard token.kind == kind else { throw failure("\(described) stands where \(name) is expected") }
        advance()
    }

    private mutating func expectBlockEnd() throws(PithError) { try expect(.blockEnd, "'%}'") }

    // MARK: Statements

    /// The statements before a tag that begins with one of some words, or before the end of the template where there
    /// are none. The tag's opening is taken, its word is not.
    private mutating func body(endingWith ends: [String]) throws(PithError) -> [JinjaStatement] {
        depth += 1
        defer { depth -= 1 }
        guard depth <= Self.depthLimit else { throw failure("statements lie too deep inside each other") }
        var body: [JinjaStatement] = []
        while true {
            let line = token.line
            switch token.kind {
            case .data(let text):
                advance()
                body.append(JinjaStatement(kind: .data(text), line: line))
            case .variableBegin:
                advance()
                let value = try tupleOrExpression()
                try expect(.variableEnd, "'}}'")
                body.append(JinjaStatement(kind: .output(value), line: line))
            case .blockBegin:
                advance()
                if case .name(let name) = token.kind, ends.contains(name) { return body }
                body.append(JinjaStatement(kind: try statement(), line: line))
            case .end where ends.isEmpty: return body
            default: throw failure("\(described) stands where '\(ends.first ?? "text")' is expected")
            }
        }
    }

    /// The statements before `end`, whose tag is taken as a whole.
    private mutating func body(before end: String) throws(PithError) -> [JinjaStatement] {
        let statements = try body(endingWith: [end])
        advance()
        try expectBlockEnd()
        return statements
    }

    private mutating func statement() throws(PithError) -> JinjaStatement.Kind {
        let word = try expectName()
        switch word {
        case "if": return try condition()
        case "for": return try loop()
        case "set": return try assignment()
        case "macro": return try macro()
        case "call": return try callBlock()
        case "filter":
            let filters = try filterChain()
            try expectBlockEnd()
            return .filterBlock(filters, body: try body(before: "endfilter"))
        case "with": return try with()
        case "generation":
            try expectBlockEnd()
            return .generation(try body(before: "endgeneration"))
        case "break", "continue":
            try expectBlockEnd()
            return word == "break" ? .leave : .goOn
        default:
            throw .data(
                "the statement '\(word.shortened)' is not supported", at: "line \(token.line)",
                remedy: "if, for, set, macro, call, filter, with, generation, break, continue and raw are")
        }
    }

    private mutating func condition() throws(PithError) -> JinjaStatement.Kind {
        var branches: [(test: JinjaExpression, body: [JinjaStatement])] = []
        while true {
            let test = try tupleOrExpression(withCondition: false)
            try expectBlockEnd()
            branches.append((test, try body(endingWith: ["elif", "else", "endif"])))
            if take(name: "elif") { continue }
            guard take(name: "else") else { break }
            try expectBlockEnd()
            return .condition(branches, otherwise: try body(before: "endif"))
        }
        advance()
        try expectBlockEnd()
        return .condition(branches, otherwise: [])
    }

    private mutating func loop() throws(PithError) -> JinjaStatement.Kind {
        let target = try target()
        guard take(name: "in") else { throw failure("\(described) stands where 'in' is expected") }
        let items = try tupleOrExpression(withCondition: false)
        let filter: JinjaExpression? = take(name: "if") ? try expression() : nil
        let isRecursive = take(name: "recursive")
        try expectBlockEnd()
        let inner = try body(endingWith: ["else", "endfor"])
        var otherwise: [JinjaStatement] = []
        if take(name: "else") {
            try expectBlockEnd()
            otherwise = try body(before: "endfor")
        } else {
            advance()
            try expectBlockEnd()
        }
        return .loop(target, in: items, where: filter, body: inner, otherwise: otherwise, isRecursive: isRecursive)
    }

    /// `a`, `a, b`, `(a, b)` or `a.b`.
    private mutating func target() throws(PithError) -> JinjaTarget {
        let isEnclosed = take(symbol: "(")
        let first = try expectName()
        if !isEnclosed, take(symbol: ".") { return .member(first, try expectName()) }
        var names = [first]
        while take(symbol: ",") {
            guard case .name(let name) = token.kind, name != "in" else { break }
            names.append(try expectName())
        }
        if isEnclosed { try expect(symbol: ")") }
        return names.count == 1 && !isEnclosed ? .name(first) : .names(names)
    }

    private mutating func assignment() throws(PithError) -> JinjaStatement.Kind {
        let target = try target()
        if take(symbol: "=") {
            let value = try tupleOrExpression()
            try expectBlockEnd()
            return .assignment(target, value)
        }
        let filters = take(symbol: "|") ? try filterChain() : []
        try expectBlockEnd()
        return .capture(target, filters, body: try body(before: "endset"))
    }

    /// `name(arguments)|name…`.
    private mutating func filterChain() throws(PithError) -> [(name: String, arguments: JinjaCallArguments)] {
        var filters: [(name: String, arguments: JinjaCallArguments)] = []
        repeat {
            let name = try expectName()
            filters.append((name, isSymbol("(") ? try callArguments() : JinjaCallArguments()))
        } while take(symbol: "|")
        return filters
    }

    private mutating func macro() throws(PithError) -> JinjaStatement.Kind {
        let name = try expectName()
        let parameters = try parameters()
        try expectBlockEnd()
        return .macro(name, parameters, body: try body(before: "endmacro"))
    }

    private mutating func parameters() throws(PithError) -> JinjaParameters {
        var parameters = JinjaParameters()
        try expect(symbol: "(")
        while !take(symbol: ")") {
            if !parameters.names.isEmpty { try expect(symbol: ",") }
            if take(symbol: ")") { break }
            parameters.names.append(try expectName())
            if take(symbol: "=") {
                parameters.defaults.append(try expression())
            } else if !parameters.defaults.isEmpty {
                throw failure("a parameter without a value stands behind one that has one")
            }
        }
        return parameters
    }

    private mutating func callBlock() throws(PithError) -> JinjaStatement.Kind {
        let parameters = isSymbol("(") ? try parameters() : JinjaParameters()
        guard case .call(let callee, let arguments) = try expression() else { throw failure("call needs a call") }
        try expectBlockEnd()
        return .callBlock(parameters, callee, arguments, body: try body(before: "endcall"))
    }

    private mutating func with() throws(PithError) -> JinjaStatement.Kind {
        var assignments: [(JinjaTarget, JinjaExpression)] = []
        while token.kind != .blockEnd {
            if !assignments.isEmpty { try expect(symbol: ",") }
            let target = try target()
            try expect(symbol: "=")
            assignments.append((target, try expression()))
        }
        advance()
        return .with(assignments, body: try body(before: "endwith"))
    }
}
