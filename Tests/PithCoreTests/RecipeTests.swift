import PithCore
import Testing

@Suite("Recipes")
struct RecipeTests {
    private let text = """
        # what the search found
        *.down_proj.weight gptq:bits=5   # the one that hurts
        model.layers.?.*   rtn:bits=3
        *                  none
        """

    @Test("the first pattern that is the name counts")
    func firstRule() throws {
        let recipe = try Recipe(parsing: text)
        #expect(recipe.rules.map(\.spec.description) == ["gptq:bits=5", "rtn:bits=3", "none"])
        #expect(recipe.rule(for: "model.layers.7.mlp.down_proj.weight") == 0)
        #expect(recipe.rule(for: "model.layers.7.mlp.up_proj.weight") == 1)
        #expect(recipe.rule(for: "model.layers.17.mlp.up_proj.weight") == 2)
        #expect(try Recipe(parsing: "a.b rtn").rule(for: "a.bc") == nil)
    }

    @Test("reading the text of a recipe gives it back")
    func roundTrip() throws {
        let recipe = try Recipe(parsing: text)
        #expect(try Recipe(parsing: recipe.description) == recipe)
    }

    @Test("a pattern of many stars ends", arguments: ["a*a*a*a*a*a*a*a*a*a*b", "*a*a*a*a*a*a*a*a*?*b"])
    func manyStars(pattern: String) throws {
        #expect(!Recipe.Rule(pattern, Spec(stages: [])).matches(String(repeating: "a", count: 5000)))
        #expect(Recipe.Rule(pattern, Spec(stages: [])).matches(String(repeating: "a", count: 5000) + "b"))
    }

    @Test("what is no rule is refused, with its line", arguments: ["rtn", "a b c", "a rtn:bits"])
    func refusals(line: String) {
        let error = #expect(throws: PithError.self) { try Recipe(parsing: "x rtn\n\n\(line)") }
        #expect(error?.description.contains("line 3") == true)
    }
}
