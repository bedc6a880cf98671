import PithCore
import PithModels
import PithTensor

/// What a codec must know of the inputs that a matrix is multiplied with, least first.
public enum CalibrationNeeds: Int, Comparable, Sendable {
    /// Nothing: the weights alone.
    case nothing
    /// The sum of squares of each input column.
    case columnNorms
    /// XᵀX, the Hessian of the output error.
    case hessian

    /// Orders by how much is gathered.
    public static func < (left: Self, right: Self) -> Bool { left.rawValue < right.rawValue }
}

/// One matrix to compress, with all that a codec may use.
public struct WeightProblem: Sendable {
    /// The name of the weight, for errors.
    public var name: String
    /// The original matrix, [outputCount, inputCount].
    public var weight: Tensor
    /// The type that the matrix was stored in; nil if that is not known. What loses nothing keeps inputs as it did.
    public var originalType: ElementType?
    /// What calibration saw of the inputs; at least what the codec `needs`.
    public var statistics: InputStatistics?
    /// What the stage before made of `weight`; nil in the first stage.
    public var current: (any StoredLinear)?
    /// What weights are rounded to; nil for what the method's own options say.
    public var form: (any GridForm)?
    /// Where every random choice comes from.
    public var seed: UInt64
    /// The threads to work on. Results do not depend on their number.
    public var pool: ThreadPool

    /// Creates a problem.
    public init(
        name: String, weight: Tensor, originalType: ElementType? = nil, statistics: InputStatistics? = nil,
        current: (any StoredLinear)? = nil, form: (any GridForm)? = nil, seed: UInt64 = 0, pool: ThreadPool
    ) {
        self.form = form
        self.name = name
        self.weight = weight
        self.originalType = originalType
        self.statistics = statistics
        self.current = current
        self.seed = seed
        self.pool = pool
    }

    /// XᵀX, [inputCount, inputCount].
    func hessian() throws(PithError) -> SquareMatrix {
        guard let hessian = statistics?.hessian else { throw .usage("the method needs calibration text") }
        return hessian
    }

    /// The sum of squares of each input column.
    func columnSquares() throws(PithError) -> [Double] {
        guard let squares = statistics?.columnSquares else { throw .usage("the method needs calibration text") }
        return squares
    }

    /// How much an error in each input column counts, [inputCount]: its sum of squares; nil where nothing was seen.
    var importance: [Float]? { statistics?.columnSquares.map { Float($0) } }

    /// The weight to round, and what is kept of it: behind a pruner what that made, else all of the original.
    func prunedWeight() -> (weight: Tensor, mask: [Bool]?) {
        guard let pruned = current as? any SparseLayout else { return (weight, nil) }
        return (pruned.decodedWeight(), pruned.mask)
    }

    /// What is still missing: the weight minus what the stages before made of it.
    func residual() -> Tensor {
        guard let current else { return weight }
        return weight - current.denseWeight(pool: pool)
    }

    /// What the stages before made with `repair` added, or `repair` alone in the first stage.
    func adding(_ repair: some StoredLinear) throws(PithError) -> any StoredLinear {
        guard let current else { return repair }
        return try SumOperator(base: current, residual: repair)
    }
}

/// A method that turns a weight matrix into a stored form that is multiplied as it is.
///
/// One method is one file in `Methods/` and one line in `WeightCatalogue`.
public protocol WeightCodec: RegisteredMethod {
    /// What calibration has to gather.
    var needs: CalibrationNeeds { get }

    /// Whether it rounds to whatever form it is given.
    var roundsToForms: Bool { get }

    /// Throws a usage error, which says what would work, if this method cannot follow `previous` in a composition.
    func validate(after previous: any WeightCodec) throws(PithError)

    /// About how many bytes of memory it takes at most to compress a matrix of that shape, beside the matrix and what
    /// calibration saw: what cannot be had is refused before.
    func memory(rows: Int, columns: Int) -> Int

    /// Compresses one matrix.
    func compress(_ problem: WeightProblem) throws(PithError) -> any StoredLinear
}

extension WeightCodec {
    /// Most methods have a form of their own.
    public var roundsToForms: Bool { false }

    /// Weights on their way and what is stored of them; the Hessian, and its eigenvectors with what LAPACK works in, in
    /// double precision, and a factor in single.
    public func memory(rows: Int, columns: Int) -> Int {
        16 * rows * columns + (needs == .hessian ? 44 * columns * columns : 0)
    }

    /// Most methods make a stored matrix from the original one, and so come first.
    public func validate(after previous: any WeightCodec) throws(PithError) {
        let (name, before) = (Self.identifier, type(of: previous).identifier)
        throw .usage(
            "\(name) cannot follow \(before): it works on the original matrix",
            remedy: "put \(name) first, and repairs such as eora behind it")
    }
}
