import PithCore
import Testing

@Suite("Specs")
struct SpecTests {
    @Test(arguments: ["rtn", "gptq:bits=4,group=64", "sparsegpt:pattern=2:4+eora:rank=16", "none"])
    func printingGivesTheTextBack(text: String) throws {
        #expect(try Spec(parsing: text).description == text)
    }

    @Test func stagesAndOptionsStandInOrder() throws {
        let spec = try Spec(parsing: "sparsegpt:pattern=2:4,blocksize=8+eora:rank=16")
        #expect(spec.stages.map(\.name) == ["sparsegpt", "eora"])
        #expect(spec.stages[0].options.map(\.name) == ["pattern", "blocksize"])
        #expect(spec.stages[0].options[0].value == "2:4")
    }

    @Test(arguments: ["", "+", "rtn+", ":bits=4", "rtn:", "rtn:bits", "rtn:bits=", "rtn:=4", "rtn:bits=4,bits=5"])
    func nonsenseIsAWrongCall(text: String) {
        let error = #expect(throws: PithError.self) { try Spec(parsing: text) }
        #expect(error?.kind == .usage)
        #expect(error?.place?.contains("'\(text)'") == true)
    }

    private let entry = MethodEntry(
        identifier: "toy", paper: nil, summary: "",
        options: [
            .integer("bits", 4, in: 2...8, ""), .real("damping", 0.01, in: 0...1, ""), .flag("order", true, ""),
            .choice("kind", "a", of: ["a", "b"], ""), .text("pattern", "none", form: "n:m", ""),
        ])

    @Test func defaultsAreFilledIn() throws {
        let values = try OptionValues(try Spec(parsing: "toy:bits=3").stages[0], for: entry)
        #expect(values.integer("bits") == 3)
        #expect(values.real("damping") == 0.01)
        #expect(values.flag("order"))
        #expect(values.text("kind") == "a")
    }

    @Test(arguments: ["bits=9", "bits=x", "damping=2", "damping=nan", "order=yes", "kind=c", "size=3"])
    func wrongOptionsNameWhatIsRight(option: String) throws {
        let stage = try Spec(parsing: "toy:\(option)").stages[0]
        let error = #expect(throws: PithError.self) { try OptionValues(stage, for: entry) }
        #expect(error?.place == "method toy")
        #expect(error?.remedy?.isEmpty == false)
    }
}
