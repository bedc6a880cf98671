import PithCore
import PithFormats
import PithTensor

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
        /// A small matrix whose products decide where rows go, [outputs, inputs]. Methods leave it alone.
        case router
        /// Numbers that enter element by element: the weights of a norm, a bias, and the like.
        case vector
    }

    /// What a parameter is before anything was learned.
    public enum Initial: Equatable, Sendable {
        /// Drawn from a normal distribution.
        case normal
        /// The same, but smaller the deeper the model is: what is added to the residual stream of every layer.
        case normalByDepth
        /// Drawn evenly from between this and its negative.
        case uniform(Float)
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
        /// The file has the matrix transposed, [inputs, outputs].
        case transposed
    }

    /// How the numbers in a GGUF file become those of the parameter.
    public enum GGUFArrangement: Equatable, Sendable {
        /// They are the same.
        case plain
        /// The file has −exp(x) where the parameter is x.
        case negativeExponential
    }

    /// The identifier: the name of the tensor in a Hugging Face folder.
    public let name: String
    /// What some writers of folders call it instead.
    public var otherNames: [String] = []
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
    /// How a GGUF file has its numbers.
    public var ggufArrangement = GGUFArrangement.plain
    /// Which matrix of several of one shape in a GGUF file it is; nil where it has a tensor of its own.
    public var ggufSlice: Int?

    /// A parameter; what else is to be said of it has values that are usual.
    package init(
        name: String, ggufName: String? = nil, shape: [Int], kind: Kind, initial: Initial
    ) {
        (self.name, self.ggufName, self.shape, self.kind, self.initial) = (name, ggufName, shape, kind, initial)
    }

    /// Whether it is the weights of a convolution, [channels, 1, length]; nothing else has three extents.
    var isConvolution: Bool { shape.count == 3 }

    /// The number of elements.
    public var count: Int { shape.reduce(1, *) }

    /// The shape that the tensor in a GGUF file has, unless that holds several.
    var ggufShape: [Int] { isConvolution ? [shape[0], shape[2]] : shape }

    /// The shape that the tensor in a Hugging Face folder has.
    public var folderShape: [Int] { arrangement == .transposed ? shape.reversed() : shape }
}

extension ParameterSpec.Arrangement {
    /// The elements of a parameter, from those of a tensor in a Hugging Face folder.
    package func taken(from tensor: Tensor) -> Tensor {
        switch self {
        case .plain: tensor
        case .lessOne: Tensor(shape: tensor.shape, values: tensor.values.map { $0 + 1 })
        case .transposed: tensor.transposed
        }
    }

    /// The elements of a tensor in a Hugging Face folder, from those of the parameter.
    package func given(_ parameter: Tensor) -> Tensor {
        switch self {
        case .plain: parameter
        case .lessOne: Tensor(shape: parameter.shape, values: parameter.values.map { $0 - 1 })
        case .transposed: parameter.transposed
        }
    }
}

extension ParameterSpec.GGUFArrangement {
    /// The numbers of a parameter, from those of a file.
    func taken(from values: [Float]) throws(PithError) -> [Float] {
        guard self == .negativeExponential else { return values }
        guard values.allSatisfy({ $0 < 0 }) else { throw .data("holds a number that is not below 0") }
        return values.map { Float(naturalLogarithm(-Double($0))) }
    }

    /// The numbers of a file, from those of a parameter.
    package func given(_ values: [Float]) -> [Float] {
        self == .plain ? values : values.map { -exponential($0) }
    }
}
