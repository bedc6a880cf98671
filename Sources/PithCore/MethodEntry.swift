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
    public let identifier: String
    /// Where it was published; nil for folklore.
    public let paper: Paper?
    /// One line.
    public let summary: String
    /// What can be set.
    public let options: [OptionSchema]

    /// Creates an entry.
    public init(identifier: String, paper: Paper?, summary: String, options: [any DeclaredOption]) {
        self.identifier = identifier
        self.paper = paper
        self.summary = summary
        self.options = options.map(\.schema)
    }
}

/// A method of any plane. It is one file, and one line in the list of its plane.
public protocol RegisteredMethod: Sendable {
    /// What the catalogue, the option parser and the law tests know of the method.
    static var entry: MethodEntry { get }

    /// Takes the options, already checked against the entry; throws for combinations that make no sense.
    init(_ options: OptionValues) throws(PithError)
}

extension RegisteredMethod {
    /// The identifier in specs.
    public static var identifier: String { entry.identifier }
}

/// Methods that work on the same thing: weights, say, or the key-value cache.
public struct Plane: Sendable {
    /// Its name.
    public let name: String
    /// Where its specs are given, for help texts.
    public let use: String
    /// The methods, in the order of help texts.
    public let methods: [any RegisteredMethod.Type]

    /// A plane.
    public init(name: String, use: String, methods: [any RegisteredMethod.Type]) {
        (self.name, self.use, self.methods) = (name, use, methods)
    }

    /// What its methods say of themselves.
    public var entries: [MethodEntry] { methods.map { $0.entry } }
}

extension Spec.Stage {
    /// The place of the method of this name among some, with its options, checked.
    public func resolve(among entries: [MethodEntry]) throws(PithError) -> (index: Int, options: OptionValues) {
        guard let index = entries.firstIndex(where: { $0.identifier == name }) else {
            throw .unknownMethod(name, among: entries.map(\.identifier))
        }
        return (index, try OptionValues(self, for: entries[index]))
    }
}

extension Spec {
    /// The one stage of a spec of one method.
    public func onlyStage(example: String) throws(PithError) -> Stage {
        guard let stage = stages.first, stages.count == 1 else {
            throw .usage("'\(self)' is not one method", remedy: "for example \(example)")
        }
        return stage
    }
}
