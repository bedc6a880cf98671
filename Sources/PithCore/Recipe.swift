/// Specs by the names of parameters: a text of one rule in each line, which searches and people write.
///
///     # comments
///     *.down_proj.weight        gptq:bits=5,group=64
///     model.embed_tokens.weight rtn:bits=6
///     *.layers.0.*              none
///
/// In a pattern `*` stands for any characters and `?` for one. The first rule whose pattern is a parameter's name
/// counts; `none` leaves the parameter as it came.
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
    /// Whether the pattern stands for a name. `*` takes as little as it can, and more when the rest does not fit: never
    /// more steps than the product of both lengths.
    public func matches(_ name: String) -> Bool {
        let (pattern, name) = (Array(pattern.utf8), Array(name.utf8))
        let (star, any) = (UInt8(ascii: "*"), UInt8(ascii: "?"))
        var (p, n) = (0, 0)
        var retry: (pattern: Int, name: Int)?
        while n < name.count {
            if p < pattern.count, pattern[p] == star {
                retry = (p + 1, n)
                p += 1
            } else if p < pattern.count, pattern[p] == any || pattern[p] == name[n] {
                (p, n) = (p + 1, n + 1)
            } else if let last = retry {
                retry = (last.pattern, last.name + 1)
                (p, n) = (last.pattern, last.name + 1)
            } else {
                return false
            }
        }
        return pattern[p...].allSatisfy { $0 == star }
    }
}
