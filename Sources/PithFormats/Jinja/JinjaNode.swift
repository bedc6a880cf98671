/// An expression of a template.
indirect enum JinjaExpression {
    case literal(JinjaValue)
    case name(String)
    case list([JinjaExpression])
    case tuple([JinjaExpression])
    case dictionary([(key: JinjaExpression, value: JinjaExpression)])
    case attribute(JinjaExpression, String)
    case element(JinjaExpression, JinjaExpression)
    case slice(JinjaExpression, from: JinjaExpression?, to: JinjaExpression?, step: JinjaExpression?)
    case call(JinjaExpression, JinjaCallArguments)
    case filter(JinjaExpression, String, JinjaCallArguments)
    case test(JinjaExpression, String, JinjaCallArguments, isNegated: Bool)
    case not(JinjaExpression)
    case negative(JinjaExpression)
    case positive(JinjaExpression)
    case binary(JinjaOperator, JinjaExpression, JinjaExpression)
    case and(JinjaExpression, JinjaExpression)
    case or(JinjaExpression, JinjaExpression)
    /// `a < b <= c`.
    case comparison(JinjaExpression, [(JinjaComparison, JinjaExpression)])
    case conditional(JinjaExpression, then: JinjaExpression, otherwise: JinjaExpression?)
}

/// What makes one value of two.
enum JinjaOperator: String {
    case add = "+"
    case subtract = "-"
    case multiply = "*"
    case divide = "/"
    case floorDivide = "//"
    case remainder = "%"
    case power = "**"
    case concatenate = "~"
}

/// What compares two values.
enum JinjaComparison: String {
    case equal = "=="
    case unequal = "!="
    case less = "<"
    case lessOrEqual = "<="
    case greater = ">"
    case greaterOrEqual = ">="
    case isIn = "in"
    case isNotIn = "not in"
}

/// The arguments of a call as they are written.
struct JinjaCallArguments {
    var positional: [JinjaExpression] = []
    var named: [(name: String, value: JinjaExpression)] = []
    /// `*list`.
    var moreValues: JinjaExpression?
    /// `**dictionary`.
    var moreNamed: JinjaExpression?
}

/// What a value is assigned to.
enum JinjaTarget {
    case name(String)
    case names([String])
    /// A member of a namespace.
    case member(String, String)
}

/// Parameters of a macro or of a call block.
struct JinjaParameters {
    var names: [String] = []
    /// Of the last parameters.
    var defaults: [JinjaExpression] = []
}

/// A statement of a template, with the line on which it begins.
struct JinjaStatement {
    indirect enum Kind {
        case data(String)
        case output(JinjaExpression)
        case condition([(test: JinjaExpression, body: [JinjaStatement])], otherwise: [JinjaStatement])
        case loop(
            JinjaTarget, in: JinjaExpression, where: JinjaExpression?, body: [JinjaStatement],
            otherwise: [JinjaStatement], isRecursive: Bool)
        case assignment(JinjaTarget, JinjaExpression)
        /// `{% set x %}…{% endset %}`, with filters.
        case capture(JinjaTarget, [(name: String, arguments: JinjaCallArguments)], body: [JinjaStatement])
        case macro(String, JinjaParameters, body: [JinjaStatement])
        case callBlock(JinjaParameters, JinjaExpression, JinjaCallArguments, body: [JinjaStatement])
        case filterBlock([(name: String, arguments: JinjaCallArguments)], body: [JinjaStatement])
        case with([(JinjaTarget, JinjaExpression)], body: [JinjaStatement])
        /// What an assistant wrote; it changes nothing of the text.
        case generation([JinjaStatement])
        case leave
        case goOn
    }

    let kind: Kind
    let line: Int
}
