import PithCore

/// The variables of a part of a template, and those around it.
final class JinjaScope {
    var variables: [String: JinjaValue]
    private let parent: JinjaScope?

    init(_ variables: [String: JinjaValue] = [:], inside parent: JinjaScope? = nil) {
        (self.variables, self.parent) = (variables, parent)
    }

    func value(_ name: String) -> JinjaValue? {
        var scope: JinjaScope? = self
        while let current = scope {
            if let value = current.variables[name] { return value }
            scope = current.parent
        }
        return nil
    }
}

/// Carries out the statements of a template. Expressions are evaluated in `JinjaRenderer+Expressions.swift`.
///
/// A template comes with a model and is not to be trusted: how deep it calls itself, how much it does and how much it
/// writes is bounded, and it changes nothing but its own variables.
struct JinjaRenderer {
    var output = ""
    var scope: JinjaScope
    /// The line of the statement at work.
    var line = 1
    /// How deep macros, loops and expressions lie inside each other.
    var depth = 0
    private var stepCount = 0
    /// What was looked at so far, in the units of `workLimit`.
    var work = 0
    /// Bytes of texts that were made so far.
    var created = 0
    /// What the clock shows.
    let now: JinjaClock

    private static let depthLimit = 250
    private static let stepLimit = 5_000_000
    /// Bytes that a template may write, and that any text in it may have.
    static let sizeLimit = 1 << 26

    /// How a list of statements ended.
    private enum Flow { case goOn, nextTurn, leave }

    /// The text of a template.
    static func render(
        _ statements: [JinjaStatement], variables: [String: JinjaValue], now: JinjaClock
    ) throws(PithError) -> String {
        let globals = JinjaScope(JinjaRenderer.globals)
        var renderer = JinjaRenderer(scope: JinjaScope(variables, inside: globals), now: now)
        do { _ = try renderer.run(statements) } catch { throw error.within("line \(renderer.line)") }
        return renderer.output
    }

    private init(scope: JinjaScope, now: JinjaClock) { (self.scope, self.now) = (scope, now) }

    /// Counts a step and refuses templates that do not end.
    mutating func step() throws(PithError) {
        stepCount += 1
        guard stepCount <= Self.stepLimit else { throw .data("the template does not end") }
    }

    /// Does `body` one level deeper.
    mutating func deeper<Result>(
        _ body: (inout JinjaRenderer) throws(PithError) -> Result
    ) throws(PithError) -> Result {
        depth += 1
        defer { depth -= 1 }
        guard depth <= Self.depthLimit else { throw .data("calls lie too deep inside each other") }
        try step()
        return try body(&self)
    }

    /// Does `body` in a scope of its own.
    private mutating func inside<Result>(
        _ scope: JinjaScope, _ body: (inout JinjaRenderer) throws(PithError) -> Result
    ) throws(PithError) -> Result {
        let outer = self.scope
        self.scope = scope
        defer { self.scope = outer }
        return try body(&self)
    }

    /// What `body` writes.
    private mutating func captured(_ body: (inout JinjaRenderer) throws(PithError) -> Void) throws(PithError) -> String
    {
        let before = output
        output = ""
        defer { output = before }
        try body(&self)
        return output
    }

    private mutating func write(_ text: String) throws(PithError) {
        guard output.utf8.count + text.utf8.count <= Self.sizeLimit else {
            throw .data("the template writes more than 64 MiB")
        }
        try countCreated(text.utf8.count)
        output += text
    }

    private mutating func run(_ statements: [JinjaStatement]) throws(PithError) -> Flow {
        for statement in statements {
            line = statement.line
            let flow = try deeper { (renderer) throws(PithError) in try renderer.run(statement.kind) }
            if flow != .goOn { return flow }
        }
        return .goOn
    }

    private mutating func run(_ statement: JinjaStatement.Kind) throws(PithError) -> Flow {
        switch statement {
        case .data(let text): try write(text)
        case .output(let expression):
            let value = try evaluate(expression)
            try charge(value)
            try write(value.text)
        case .condition(let branches, let otherwise):
            for (test, body) in branches where try evaluate(test).isTrue { return try run(body) }
            return try run(otherwise)
        case .loop(let target, let items, let filter, let body, let otherwise, let isRecursive):
            let loop = Loop(target: target, filter: filter, body: body, otherwise: otherwise, scope: scope)
            try run(loop, over: try evaluate(items), depth: 0, isRecursive: isRecursive)
        case .assignment(let target, let value): try assign(try evaluate(value), to: target)
        case .capture(let target, let filters, let body):
            let text = try captured { (renderer) throws(PithError) in _ = try renderer.run(body) }
            try assign(try apply(filters, to: .string(text)), to: target)
        case .macro(let name, let parameters, let body):
            scope.variables[name] = .function(macro(name, parameters, body))
        case .callBlock(let parameters, let callee, let arguments, let body):
            let caller = JinjaValue.function(macro("caller", parameters, body))
            let function = try evaluate(callee)
            var values = try evaluate(arguments)
            values.named.append(("caller", caller))
            try write(try call(function, values).text)
        case .filterBlock(let filters, let body):
            let text = try captured { (renderer) throws(PithError) in _ = try renderer.run(body) }
            try write(try apply(filters, to: .string(text)).text)
        case .with(let assignments, let body):
            let inner = JinjaScope(inside: scope)
            for (target, value) in assignments {
                let value = try evaluate(value)
                try inside(inner) { (renderer) throws(PithError) in try renderer.assign(value, to: target) }
            }
            return try inside(inner) { (renderer) throws(PithError) in try renderer.run(body) }
        case .generation(let body):
            return try inside(JinjaScope(inside: scope)) { (renderer) throws(PithError) in try renderer.run(body) }
        case .leave: return .leave
        case .goOn: return .nextTurn
        }
        return .goOn
    }

    private mutating func apply(
        _ filters: [(name: String, arguments: JinjaCallArguments)], to value: JinjaValue
    ) throws(PithError) -> JinjaValue {
        var value = value
        for (name, arguments) in filters { value = try apply(name, to: value, try evaluate(arguments)) }
        return value
    }

    private mutating func assign(_ value: JinjaValue, to target: JinjaTarget) throws(PithError) {
        switch target {
        case .name(let name): scope.variables[name] = value
        case .names(let names):
            guard let values = value.elements, values.count == names.count else {
                throw .data("\(value.typeName) cannot be divided among \(names.joined(separator: ", "))")
            }
            for (name, value) in zip(names, values) { scope.variables[name] = value }
        case .member(let name, let member):
            guard case .namespace(let namespace)? = scope.value(name) else {
                throw .data(
                    "'\(name.shortened).\(member.shortened)' cannot be set", remedy: "members of a namespace can")
            }
            try JinjaRenderer.checkMember(member)
            try charge(value)
            try requireNoNamespace(in: value)
            namespace.members[member] = value
        }
    }

    // MARK: Loops

    private struct Loop {
        let target: JinjaTarget
        let filter: JinjaExpression?
        let body: [JinjaStatement]
        let otherwise: [JinjaStatement]
        /// That of the statement.
        let scope: JinjaScope
    }

    private mutating func run(
        _ loop: Loop, over items: JinjaValue, depth: Int, isRecursive: Bool
    ) throws(PithError) {
        guard var elements = items.elements else { throw .data("\(items.typeName) has no elements to go through") }
        if let filter = loop.filter {
            var kept: [JinjaValue] = []
            for element in elements {
                let isKept = try inside(JinjaScope(inside: loop.scope)) { (renderer) throws(PithError) in
                    try renderer.assign(element, to: loop.target)
                    return try renderer.evaluate(filter).isTrue
                }
                if isKept { kept.append(element) }
            }
            elements = kept
        }
        guard !elements.isEmpty else {
            return try inside(JinjaScope(inside: loop.scope)) { (renderer) throws(PithError) in
                _ = try renderer.run(loop.otherwise)
            }
        }
        let recursion = isRecursive ? recursion(of: loop, depth: depth) : nil
        let state = JinjaLoop(elements, depth: depth, recursion: recursion)
        for (index, element) in elements.enumerated() {
            state.index = index
            let flow = try inside(JinjaScope(["loop": .loop(state)], inside: loop.scope)) {
                (renderer) throws(PithError) in
                try renderer.step()
                try renderer.assign(element, to: loop.target)
                return try renderer.run(loop.body)
            }
            if flow == .leave { break }
        }
    }

    /// `loop(items)`: the same loop over others.
    private func recursion(of loop: Loop, depth: Int) -> JinjaFunction {
        JinjaFunction("loop") { (arguments, renderer) throws(PithError) in
            let items = arguments.value(0) ?? .undefined("the items of loop")
            return .string(
                try renderer.captured { (renderer) throws(PithError) in
                    try renderer.deeper { (renderer) throws(PithError) in
                        try renderer.run(loop, over: items, depth: depth + 1, isRecursive: true)
                    }
                })
        }
    }

    // MARK: Macros

    /// A function that gives what `body` writes. It sees the variables around its definition, not those of its callers.
    private func macro(_ name: String, _ parameters: JinjaParameters, _ body: [JinjaStatement]) -> JinjaFunction {
        // The scope holds the macro, so that holding the scope here would never let either go: it is looked up by the
        // renderer, which lives as long as there are calls.
        let definition = Unowned(scope)
        return JinjaFunction(name) { (arguments, renderer) throws(PithError) in
            guard let outer = definition.scope else { throw .data("the variables of \(name) are gone") }
            let inner = JinjaScope(inside: outer)
            var named = arguments.named
            func takeNamed(_ name: String) -> JinjaValue? {
                named.firstIndex { $0.name == name }.map { named.remove(at: $0).value }
            }
            let firstDefault = parameters.names.count - parameters.defaults.count
            for (index, parameter) in parameters.names.enumerated() {
                if let value = arguments.value(index) ?? takeNamed(parameter) {
                    inner.variables[parameter] = value
                } else if index >= firstDefault {
                    inner.variables[parameter] = try renderer.inside(inner) { (renderer) throws(PithError) in
                        try renderer.evaluate(parameters.defaults[index - firstDefault])
                    }
                } else {
                    inner.variables[parameter] = .undefined(parameter)
                }
            }
            inner.variables["caller"] = takeNamed("caller") ?? .undefined("caller")
            inner.variables["varargs"] = .tuple(Array(arguments.positional.dropFirst(parameters.names.count)))
            var others = JinjaDictionary()
            for (name, value) in named { others[name] = value }
            inner.variables["kwargs"] = .dictionary(others)
            return .string(
                try renderer.captured { (renderer) throws(PithError) in
                    _ = try renderer.inside(inner) { (renderer) throws(PithError) in try renderer.run(body) }
                })
        }
    }

    private final class Unowned {
        private(set) weak var scope: JinjaScope?

        init(_ scope: JinjaScope) { self.scope = scope }
    }
}
