import CPithKernels
import PithCore
import PithFormats
import PithTensor

/// A parameter of a model that runs.
enum ParameterValue: Sendable {
    /// A matrix or a table, however it is stored.
    case matrix(any LinearOperator)
    /// The weights of a norm, or a bias.
    case vector([Float])
    /// The weights of a convolution.
    case convolution(Convolution)

    /// Numbers that enter element by element, as the engine that runs takes them.
    init(_ values: [Float], _ spec: ParameterSpec) {
        self = spec.isConvolution ? .convolution(Convolution(width: spec.shape[0], weights: values)) : .vector(values)
    }
}

/// A language model that runs: a description, and a value for each of its parameters.
public struct LanguageModel: Sendable {
    /// The sizes that all families share.
    public package(set) var configuration: ModelConfiguration
    /// What is computed, and from which parameters.
    public let description: ModelDescription
    /// How finely the inputs of matrices are kept.
    public var precision = ActivationPrecision.narrow
    /// The threads that loops run on.
    public var pool: ThreadPool
    /// The tokens that end a text that the model writes.
    public var endTokens: [Int]
    /// How keys and values are kept.
    public var cache: any CacheMethod = PlainCache(.float16)
    /// Vectors that are read in front of each text, [count, width]; nil for none.
    var prompt: Tensor?
    var parameters: [ParameterValue]
    let rotaries: [RotaryTable]

    /// A model that was described; `matrix` and `vector` give the values of its parameters, of their shapes.
    ///
    /// Throws what these throw, and refuses a table whose rows cannot be read one by one.
    public init(
        _ description: ModelDescription, _ configuration: ModelConfiguration, pool: ThreadPool,
        matrix: (ParameterID) throws(PithError) -> any LinearOperator,
        vector: (ParameterID) throws(PithError) -> [Float]
    ) throws(PithError) {
        (self.description, self.configuration, self.pool) = (description, configuration, pool)
        endTokens = configuration.eosTokens
        rotaries = description.rotaries.map { RotaryTable($0) }
        parameters = []
        for (index, spec) in description.parameters.enumerated() {
            let id = ParameterID(index)
            guard spec.kind != .vector else {
                parameters.append(ParameterValue(try vector(id), spec))
                continue
            }
            let value = try matrix(id)
            guard spec.kind != .table || value is any RowDecodable else {
                throw .data("is stored so that single rows cannot be read", at: "weight \(spec.name)")
            }
            parameters.append(.matrix(value))
        }
    }

    /// A matrix or a table; planes put theirs here, of the same shape.
    public subscript(matrix id: ParameterID) -> any LinearOperator {
        get {
            guard case .matrix(let value) = parameters[id.index] else {
                preconditionFailure("\(description[id].name) is a vector")
            }
            return value
        }
        set {
            let shape = description[id].shape
            precondition(
                newValue.outputCount == shape[0] && newValue.inputCount == shape[1], "an operator of another shape")
            parameters[id.index] = .matrix(newValue)
        }
    }

    /// The weights of a norm or a convolution, or a bias.
    public subscript(vector id: ParameterID) -> [Float] {
        get {
            switch parameters[id.index] {
            case .vector(let values): return values
            case .convolution(let convolution): return convolution.parameter
            case .matrix: preconditionFailure("\(description[id].name) is a matrix")
            }
        }
        set {
            precondition(newValue.count == description[id].count, "a vector of another length")
            parameters[id.index] = ParameterValue(newValue, description[id])
        }
    }

    /// The weights of a convolution.
    func convolution(_ id: ParameterID) -> Convolution {
        guard case .convolution(let value) = parameters[id.index] else {
            preconditionFailure("\(description[id].name) is no convolution")
        }
        return value
    }

    /// A table, whose rows can be read one by one.
    func table(_ id: ParameterID) -> any RowDecodable {
        guard let table = self[matrix: id] as? any RowDecodable else {
            preconditionFailure("\(description[id].name) is no table")
        }
        return table
    }

    /// The state of a sequence of which nothing was read yet but what stands in front of all.
    public func makeState() -> SequenceState {
        let state = SequenceState(
            caches: description.caches.map { cache.makeCache($0) },
            recurrent: description.states.map { RecurrentState(shape: $0) })
        return prompt.map { stateBehind($0, state) } ?? state
    }

    /// The number of weights: what bits per weight are counted over.
    public var weightCount: Int { description.weightCount }

    /// Exactly how many bits the weights occupy in their files.
    public var storedBits: Int { bits(\.storedBits) }
    /// Exactly how many bits the weights occupy in memory.
    public var memoryBits: Int { bits(\.memoryBits) }

    private func bits(_ bits: (any LinearOperator) -> Int) -> Int {
        parameters.reduce(0) { sum, value in
            switch value {
            case .matrix(let matrix): sum + bits(matrix)
            case .vector(let vector): sum + 32 * vector.count
            case .convolution(let convolution): sum + 32 * convolution.weights.count
            }
        }
    }
}
