/// One option of a method for programs and people: its name, type, range, default and meaning.
public struct OptionSchema: Sendable {
    /// The type and the permitted values.
    public enum Domain: Sendable {
        /// A whole number in a range.
        case integer(ClosedRange<Int>)
        /// A real number in a range.
        case real(ClosedRange<Double>)
        /// `true` or `false`.
        case flag
        /// One of a few words.
        case choice([String])
        /// Any text that the method itself parses; the string says its form.
        case text(form: String)
    }

    /// The name in specs.
    public let name: String
    /// The type and the permitted values.
    public let domain: Domain
    /// The value when none is given, in the notation of specs.
    public let defaultValue: String
    /// One line of help.
    public let help: String
    /// The value that a text in the notation of specs stands for; nil if it is not permitted.
    let parse: @Sendable (String) -> (any Sendable)?

    /// The permitted values, for people: `2...8`, `true or false`.
    public var range: String {
        switch domain {
        case .integer(let range): "\(range.lowerBound)…\(range.upperBound)"
        case .real(let range): "\(range.lowerBound)…\(range.upperBound)"
        case .flag: "true or false"
        case .choice(let words): words.joined(separator: ", ")
        case .text(let form): form
        }
    }
}

/// What can stand in the list of a method's options.
public protocol DeclaredOption: Sendable {
    /// The option for programs and people.
    var schema: OptionSchema { get }
}

/// One option of a method and the type of its values. A method declares it once, lists it in its entry, and takes its
/// value by it: `options[Self.bits]`.
public struct MethodOption<Value: Sendable>: DeclaredOption {
    /// The option for programs and people.
    public let schema: OptionSchema
    /// The value when none is given.
    public let defaultValue: Value

    private init(
        _ name: String, _ domain: OptionSchema.Domain, _ value: Value, _ text: String, _ help: String,
        parse: @escaping @Sendable (String) -> Value?
    ) {
        defaultValue = value
        schema = OptionSchema(name: name, domain: domain, defaultValue: text, help: help, parse: parse)
    }
}

extension MethodOption<Int> {
    /// A whole number.
    public static func integer(_ name: String, _ value: Int, in range: ClosedRange<Int>, _ help: String) -> Self {
        Self(name, .integer(range), value, "\(value)", help) { text in
            Int(text).flatMap { range.contains($0) ? $0 : nil }
        }
    }

    /// A whole number out of a few.
    public static func choice(_ name: String, _ value: Int, of numbers: [Int], _ help: String) -> Self {
        .choice(name, value, of: numbers, { "\($0)" }, help)
    }
}

extension MethodOption<Double> {
    /// A real number.
    public static func real(_ name: String, _ value: Double, in range: ClosedRange<Double>, _ help: String) -> Self {
        Self(name, .real(range), value, "\(value)", help) { text in
            Double(text).flatMap { range.contains($0) ? $0 : nil }
        }
    }
}

extension MethodOption<Bool> {
    /// A truth value.
    public static func flag(_ name: String, _ value: Bool, _ help: String) -> Self {
        Self(name, .flag, value, "\(value)", help) { Bool($0) }
    }
}

extension MethodOption<String> {
    /// A text in a form of the method's own.
    public static func text(_ name: String, _ value: String, form: String, _ help: String) -> Self {
        Self(name, .text(form: form), value, value, help) { $0 }
    }
}

extension MethodOption {
    /// A value out of a few, each of which has a word.
    public static func choice(
        _ name: String, _ value: Value, of values: [Value], _ word: @Sendable (Value) -> String, _ help: String
    ) -> Self {
        let named = values.map { (word: word($0), value: $0) }
        return Self(name, .choice(named.map(\.word)), value, word(value), help) { text in
            named.first { $0.word == text }?.value
        }
    }
}

extension MethodOption where Value: CaseIterable & RawRepresentable<String> {
    /// One of the cases of a type.
    public static func choice(_ name: String, _ value: Value, _ help: String) -> Self {
        .choice(name, value, of: Array(Value.allCases), \.rawValue, help)
    }
}

/// The options of one stage, checked against the method's schema, defaults filled in.
public struct OptionValues: Sendable {
    private let method: String
    private let values: [String: any Sendable]

    /// Checks the options of `stage` against `entry`.
    public init(_ stage: Spec.Stage, for entry: MethodEntry) throws(PithError) {
        method = entry.identifier
        var values: [String: any Sendable] = [:]
        for (name, text) in stage.options {
            guard let schema = entry.options.first(where: { $0.name == name }) else {
                let known = entry.options.map(\.name).joined(separator: ", ")
                throw .usage(
                    "unknown option '\(name)'", at: "method \(entry.identifier)",
                    remedy: known.isEmpty ? "it has no options" : "it has \(known)")
            }
            guard let value = schema.parse(text) else {
                throw .usage(
                    "'\(text)' is no value for \(name)", at: "method \(entry.identifier)",
                    remedy: "permitted: \(schema.range)")
            }
            values[name] = value
        }
        self.values = values
    }

    /// The value of an option of the method.
    public subscript<Value>(_ option: MethodOption<Value>) -> Value {
        guard let value = values[option.schema.name] else { return option.defaultValue }
        guard let value = value as? Value else {
            preconditionFailure("method \(method) declares '\(option.schema.name)' with another type")
        }
        return value
    }
}
