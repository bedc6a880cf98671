import PithFormats

/// The place of a parameter in the list of its model's parameters.
public struct ParameterID: Hashable, Sendable {
    /// The index in `ModelDescription.parameters`.
    public let index: Int

    /// The parameter at an index.
    public init(_ index: Int) { self.index = index }
}

/// One parameter of a model: what it is and where it stands in the files of each format.
public struct ParameterSpec: Equatable, Sendable {
    /// What a parameter is used as.
    public enum Kind: Equatable, Sendable {
        /// A matrix that is multiplied, [outputs, inputs].
        case matrix
        /// Vectors that are looked up by row, [rows, columns]; a tied head multiplies by it as well.
        case table
        /// Numbers that enter element by element: the weights of a norm, a bias, and the like.
        case vector
    }

    /// What a parameter is before anything was learned.
    public enum Initial: Equatable, Sendable {
        /// Drawn from a normal distribution.
        case normal
        /// The same, but smaller the deeper the model is: what is added to the residual stream of every layer.
        case normalByDepth
        /// Ones, of norms.
        case ones
        /// Zeros, of biases.
        case zeros
        /// The same number everywhere.
        case constant(Float)
        /// The logarithms of 1, 2, 3, … along the last extent.
        case logarithms
    }

    /// How the elements in a Hugging Face folder become those of the parameter.
    public enum Arrangement: Equatable, Sendable {
        /// They are the same.
        case plain
        /// The file has x where the parameter is x + 1.
        case lessOne
    }

    /// The identifier: the name of the tensor in a Hugging Face folder.
    public let name: String
    /// The name of the tensor in a GGUF file; nil where that format has none.
    public let ggufName: String?
    /// [outputs, inputs] of a matrix, [rows, columns] of a table, any extents of a vector.
    public let shape: [Int]
    /// What it is used as.
    public let kind: Kind
    /// What it begins with when a model is trained from scratch.
    public let initial: Initial
    /// How a Hugging Face folder has it.
    public var arrangement = Arrangement.plain
    /// Which rows of a GGUF file are its rows.
    public var ggufOrder = RowOrder.stored

    /// The number of elements.
    public var count: Int { shape.reduce(1, *) }
}
