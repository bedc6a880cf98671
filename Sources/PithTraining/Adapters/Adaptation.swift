import PithCore
import PithModels

/// What an adapter adds to a model, or lets learn of it.
enum AdapterPart {
    /// scale · B A, added to a matrix: A [rank, inputs], B [outputs, rank].
    case lowRank(of: ParameterID, rank: Int, scale: Float)
    /// A parameter of the model, which learns from its own values on.
    case parameter(ParameterID)
    /// So many vectors in front of each sequence.
    case prompt(count: Int)
}

/// A way of adapting a model: what a spec of the plane names.
public protocol AdapterMethod: RegisteredMethod {
    /// What is added to a model, and what of it learns.
    func parts(of description: ModelDescription) throws(PithError) -> AdapterParts
}

/// Parts of one method.
public struct AdapterParts {
    let parts: [AdapterPart]
}

/// The ways of adapting a model.
public enum AdapterCatalogue {
    /// One line for each.
    public static let all: [any AdapterMethod.Type] = [LoRA.self, NormsAndBiases.self, SoftPrompt.self]

    /// The plane.
    public static let plane = Plane(name: "adapters", use: "pith train --adapt", methods: all)
}

/// What the adapters of a spec do to a model: their parameters, in order, and where each works.
struct Adaptation {
    /// Two factors in the place of a change of a matrix.
    struct LowRank {
        /// The places of A and B among the parameters.
        let a: Int, b: Int
        /// Multiplies B A.
        let scale: Float
    }

    /// The spec.
    let spec: Spec
    /// What learns, in order.
    private(set) var specs: [ParameterSpec] = []
    /// The matrices that something is added to.
    private(set) var lowRank: [ParameterID: LowRank] = [:]
    /// The parameters of the model that learn, and their places.
    private(set) var learned: [(place: Int, id: ParameterID)] = []
    /// The place of the vectors in front.
    private(set) var prompt: Int?

    /// Resolves a spec for a model. Throws where a method is unknown, does not fit or is given twice.
    init(_ spec: Spec, for description: ModelDescription) throws(PithError) {
        self.spec = spec
        guard !spec.stages.isEmpty else {
            throw .usage("no adapter is named", remedy: "for example lora:rank=8,alpha=16")
        }
        for stage in spec.stages {
            let (index, options) = try stage.resolve(among: AdapterCatalogue.all.map { $0.entry })
            let parts = try AdapterCatalogue.all[index].init(options).parts(of: description).parts
            guard !parts.isEmpty else {
                throw .usage("'\(stage)' finds nothing in this model to adapt")
            }
            for part in parts { try add(part, description) }
        }
    }

    private mutating func add(_ part: AdapterPart, _ description: ModelDescription) throws(PithError) {
        switch part {
        case .lowRank(let id, let rank, let scale): try addLowRank(description[id], id, rank, scale)
        case .parameter(let id):
            guard !learned.contains(where: { $0.id == id }) else { throw Self.twice(description[id].name) }
            learned.append((specs.count, id))
            specs.append(description[id])
        case .prompt(let count):
            guard prompt == nil else { throw Self.twice("vectors in front of a text") }
            prompt = specs.count
            specs.append(
                ParameterSpec(
                    name: AdapterNames.prompt, ggufName: nil,
                    shape: [count, description[description.input.table].shape[1]], kind: .table, initial: .zeros))
        }
    }

    private mutating func addLowRank(
        _ spec: ParameterSpec, _ id: ParameterID, _ rank: Int, _ scale: Float
    ) throws(PithError) {
        guard lowRank[id] == nil else { throw Self.twice(spec.name) }
        let (outputs, inputs) = (spec.shape[0], spec.shape[1])
        lowRank[id] = LowRank(a: specs.count, b: specs.count + 1, scale: scale)
        let names = AdapterNames.factors(of: spec.name)
        // B A is zero at first; A as the authors of PEFT draw it.
        specs.append(
            ParameterSpec(
                name: names.a, ggufName: nil, shape: [rank, inputs], kind: .matrix,
                initial: .uniform(1 / Float(max(1, inputs)).squareRoot())))
        specs.append(
            ParameterSpec(name: names.b, ggufName: nil, shape: [outputs, rank], kind: .matrix, initial: .zeros))
    }

    private static func twice(_ name: String) -> PithError {
        .usage("two adapters of the spec work on \(name)", remedy: "name it once")
    }
}
