/// Specs by the names of parameters: a text of one rule in each line, which searches and people write.
///
///     # comments
///     *.down_proj.weight        gptq:bits=5,group=64
///     model.embed_tokens.weight rtn:bits=6
///     *.layers.0.*              none
///
/// Patterns are those of `NamePattern`: `*` stands for any characters and `?` for one. The first rule whose pattern is a
/// parameter's name counts; `none` leaves the parameter as it came.
public struct Recipe: Hashable, Sendable, CustomStringConvertible {
    /// One line.
    public struct Rule: Hashable, Sendable {
        /// The names that it is for.
        public var pattern: String
        /// What is done to these parameters; without stages they are left as they came.
        public var spec: Spec

        /// Creates a rule.
        public init(_ pattern: String, _ spec: Spec) { (self.pattern, self.spec) = (pattern, spec) }
    }

    /// The rules, in their order.
    public var rules: [Rule]

    /// Creates a recipe.
    public init(rules: [Rule] = []) { self.rules = rules }

    private static let sizeLimit = 1 << 24

    /// Reads a text; errors name the line.
    public init(parsing text: String) throws(PithError) {
        rules = []
        guard text.utf8.count <= Self.sizeLimit else {
            throw .data("the recipe is longer than \(ByteCount(Self.sizeLimit))")
        }
        for (index, line) in text.split(separator: "\n", omittingEmptySubsequences: false).enumerated() {
            let words = line.prefix { $0 != "#" }.split { $0.isWhitespace }
            guard !words.isEmpty else { continue }
            guard words.count == 2 else {
                throw .data(
                    "'\(line.prefix(80))' is not a pattern and a spec", at: "line \(index + 1)",
                    remedy: "for example *.down_proj.weight gptq:bits=5")
            }
            do { rules.append(Rule(String(words[0]), try Spec(parsing: String(words[1])))) } catch {
                throw error.within("line \(index + 1)")
            }
        }
    }

    /// The text; reading it gives the rules back.
    public var description: String {
        let width = rules.reduce(0) { max($0, $1.pattern.count) }
        return rules.map { rule in
            rule.pattern + String(repeating: " ", count: width - rule.pattern.count + 1) + "\(rule.spec)\n"
        }.joined()
    }

    /// The place of the rule for a parameter; nil if there is none.
    public func rule(for name: String) -> Int? { rules.firstIndex { $0.matches(name) } }
}

extension Recipe.Rule {
    /// Whether the pattern stands for a name.
    public func matches(_ name: String) -> Bool { NamePattern(pattern).matches(name) }
}
