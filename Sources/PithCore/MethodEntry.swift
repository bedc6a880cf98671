/// The publication that a method comes from.
public struct Paper: Hashable, Sendable, Codable {
    /// The identifier in Pith's list of papers, if it stands there.
    public var identifier: String?
    /// The full title.
    public var title: String
    /// The year of first publication.
    public var year: Int

    /// Creates a reference.
    public init(_ title: String, _ year: Int, identifier: String? = nil) {
        self.title = title
        self.year = year
        self.identifier = identifier
    }
}

/// What a method says of itself. The catalogue page, the option parser, its errors, help texts, law tests and
/// benchmark rows are derived from it.
public struct MethodEntry: Sendable {
    /// The name in specs.
    public var identifier: String
    /// Where it was published; nil for folklore.
    public var paper: Paper?
    /// One line.
    public var summary: String
    /// What can be set.
    public var options: [OptionSchema]

    /// Creates an entry.
    public init(identifier: String, paper: Paper?, summary: String, options: [OptionSchema]) {
        self.identifier = identifier
        self.paper = paper
        self.summary = summary
        self.options = options
    }
}

/// One option of a method: its name, type, range, default and meaning.
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
    public var name: String
    /// The type and the permitted values.
    public var domain: Domain
    /// The value when none is given, in the notation of specs.
    public var defaultValue: String
    /// One line of help.
    public var help: String

    /// A whole number.
    public static func integer(_ name: String, _ value: Int, in range: ClosedRange<Int>, _ help: String) -> Self {
        Self(name: name, domain: .integer(range), defaultValue: "\(value)", help: help)
    }
    /// A real number.
    public static func real(_ name: String, _ value: Double, in range: ClosedRange<Double>, _ help: String) -> Self {
        Self(name: name, domain: .real(range), defaultValue: "\(value)", help: help)
    }
    /// A truth value.
    public static func flag(_ name: String, _ value: Bool, _ help: String) -> Self {
        Self(name: name, domain: .flag, defaultValue: "\(value)", help: help)
    }
    /// A word out of a few.
    public static func choice(_ name: String, _ value: String, of words: [String], _ help: String) -> Self {
        Self(name: name, domain: .choice(words), defaultValue: value, help: help)
    }
    /// A text in a form of the method's own.
    public static func text(_ name: String, _ value: String, form: String, _ help: String) -> Self {
        Self(name: name, domain: .text(form: form), defaultValue: value, help: help)
    }

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

    /// Whether a value in the notation of specs is permitted.
    func permits(_ value: String) -> Bool {
        switch domain {
        case .integer(let range): Int(value).map(range.contains) ?? false
        case .real(let range): Double(value).map(range.contains) ?? false
        case .flag: value == "true" || value == "false"
        case .choice(let words): words.contains(value)
        case .text: true
        }
    }
}

/// The options of one stage, checked against the method's schema, defaults filled in.
public struct OptionValues: Sendable {
    private let method: String
    private let values: [String: String]

    /// Checks the options of `stage` against `entry`.
    public init(_ stage: Spec.Stage, for entry: MethodEntry) throws(PithError) {
        method = entry.identifier
        var values: [String: String] = [:]
        for schema in entry.options { values[schema.name] = schema.defaultValue }
        for (name, value) in stage.options {
            guard let schema = entry.options.first(where: { $0.name == name }) else {
                let known = entry.options.map(\.name).joined(separator: ", ")
                throw .usage(
                    "unknown option '\(name)'", at: "method \(entry.identifier)",
                    remedy: known.isEmpty ? "it has no options" : "it has \(known)")
            }
            guard schema.permits(value) else {
                throw .usage(
                    "'\(value)' is no value for \(name)", at: "method \(entry.identifier)",
                    remedy: "permitted: \(schema.range)")
            }
            values[name] = value
        }
        self.values = values
    }

    /// A whole number.
    public func integer(_ name: String) -> Int { Int(text(name))! }
    /// A real number.
    public func real(_ name: String) -> Double { Double(text(name))! }
    /// A truth value.
    public func flag(_ name: String) -> Bool { text(name) == "true" }
    /// A word or text.
    public func text(_ name: String) -> String {
        guard let value = values[name] else { preconditionFailure("method \(method) declares no option '\(name)'") }
        return value
    }
}
