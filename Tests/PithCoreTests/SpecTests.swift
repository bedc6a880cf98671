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

    private enum Kind: String, CaseIterable { case first, second }

    private static let bits = MethodOption.integer("bits", 4, in: 2...8, "")
    private static let damping = MethodOption.real("damping", 0.01, in: 0...1, "")
    private static let order = MethodOption.flag("order", true, "")
    private static let kind = MethodOption.choice("kind", Kind.first, "")
    private static let size = MethodOption.choice("size", 16, of: [4, 16], "")
    private static let block = MethodOption.choice(
        "block", Int?.none, of: [nil, 32], { $0.map { "\($0)" } ?? "none" }, "")
    private static let pattern = MethodOption.text("pattern", "none", form: "n:m", "")

    private let entry = MethodEntry(
        identifier: "toy", paper: nil, summary: "", options: [bits, damping, order, kind, size, block, pattern])

    @Test func valuesHaveTheirTypes() throws {
        let usual = try OptionValues(try Spec(parsing: "toy:bits=3").stages[0], for: entry)
        #expect(usual[Self.bits] == 3 && usual[Self.damping] == 0.01 && usual[Self.order])
        #expect(usual[Self.kind] == .first && usual[Self.size] == 16 && usual[Self.block] == nil)
        let text = "toy:order=false,kind=second,size=4,block=32,pattern=2:4,damping=1"
        let given = try OptionValues(try Spec(parsing: text).stages[0], for: entry)
        #expect(!given[Self.order] && given[Self.kind] == .second && given[Self.size] == 4)
        #expect(given[Self.block] == 32 && given[Self.pattern] == "2:4" && given[Self.damping] == 1)
        let none = try OptionValues(try Spec(parsing: "toy:block=none").stages[0], for: entry)
        #expect(none[Self.block] == nil)
        #expect(entry.options.map(\.defaultValue) == ["4", "0.01", "true", "first", "16", "none", "none"])
    }

    @Test(arguments: [
        "none", "gptq:bits=4,group=64", "cache=plain:keys=f32", "weights=rtn:bits=4 embeddings=rtn cache=bf16",
        "weights=svd+rtn activations=float context=none-such",
    ])
    func plansGiveTheirTextBack(text: String) throws {
        let plan = try RunPlan(parsing: text)
        #expect(plan.description == text)
        #expect(try RunPlan(parsing: plan.description) == plan)
        #expect(plan.compresses == (text.contains("rtn") || text.contains("gptq") || text.contains("svd")))
    }

    @Test func plansAreLaidOverEachOther() throws {
        let base = try RunPlan(parsing: "cache=f32 embeddings=rtn:bits=8")
        let plan = try RunPlan(parsing: "gptq:bits=4 cache=bf16").over(base)
        #expect(plan.description == "weights=gptq:bits=4 embeddings=rtn:bits=8 cache=bf16")
        #expect(plan.beside(base).description == "weights=gptq:bits=4 cache=bf16")
        #expect(RunPlan().over(base) == base && base.beside(base) == RunPlan())
        for text in ["cache=", "rtn gptq", "cache=f16 cache=f32", "rtn weights=rtn"] {
            #expect(throws: PithError.self) { try RunPlan(parsing: text) }
        }
    }

    @Test(arguments: [
        "bits=9", "bits=x", "damping=2", "damping=nan", "order=yes", "kind=c", "size=3", "block=4", "colour=3",
    ])
    func wrongOptionsNameWhatIsRight(option: String) throws {
        let stage = try Spec(parsing: "toy:\(option)").stages[0]
        let error = #expect(throws: PithError.self) { try OptionValues(stage, for: entry) }
        #expect(error?.place == "method toy")
        #expect(error?.remedy?.isEmpty == false)
    }
}
