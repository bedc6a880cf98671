import PithCore
import PithTensor

/// What was learned beside a model: changes of its matrices, other values of its vectors, and vectors in front of each
/// text.
public struct Adapter: Sendable {
    /// A change of a matrix: scale · B A.
    public struct LowRankChange: Sendable {
        /// A, [rank, inputs].
        public let a: Tensor
        /// B, [outputs, rank].
        public let b: Tensor
        /// Multiplies B A.
        public let scale: Float

        /// A change.
        public init(a: Tensor, b: Tensor, scale: Float) { (self.a, self.b, self.scale) = (a, b, scale) }
    }

    /// Changes of matrices, in the order of the parameters.
    public var changes: [(id: ParameterID, change: LowRankChange)] = []
    /// Other values of parameters, in the order of the parameters.
    public var values: [(id: ParameterID, value: Tensor)] = []
    /// Vectors in front of each text, [count, width]; nil for none.
    public var prompt: Tensor?

    /// An adapter that does nothing.
    public init() {}

    /// The numbers that it holds.
    public var weightCount: Int {
        changes.reduce(0) { $0 + $1.change.a.count + $1.change.b.count } + values.reduce(0) { $0 + $1.value.count }
            + (prompt?.count ?? 0)
    }
}

extension LanguageModel {
    /// Works as with `adapter` from now on. Matrices stay as they are stored: what is added to them is multiplied
    /// beside them. Throws where the model has vectors in front already.
    public mutating func apply(_ adapter: Adapter) throws(PithError) {
        for (id, change) in adapter.changes { self[matrix: id] = try AdaptedMatrix(self[matrix: id], change) }
        for (id, value) in adapter.values { self[vector: id] = value.values }
        guard let prompt = adapter.prompt else { return }
        guard self.prompt == nil else {
            throw .usage("two adapters put vectors in front of texts", remedy: "take one of them")
        }
        self.prompt = prompt
    }
}
