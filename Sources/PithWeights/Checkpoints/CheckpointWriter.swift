import PithCore
import PithFormats
import PithModels
import PithTensor

/// One tensor of those that a matrix is stored as: what stands behind the module's name, its type and its shape.
package struct CheckpointPart: Sendable {
    package let name: String
    package let type: ElementType
    package let shape: [Int]

    init(_ name: String, _ type: ElementType, _ shape: [Int]) {
        (self.name, self.type, self.shape) = (name, type, shape)
    }
}

/// A format of quantised folders that are written as well as read.
package protocol CheckpointWriter: CheckpointFormat, RegisteredMethod {
    /// What a matrix of floats is rounded to; nil where it has to be quantised before.
    var form: (any GridForm)? { get }
    /// Refuses matrices of a shape that there is no room for.
    func validate(rows: Int, columns: Int) throws(PithError)
    /// Whether token tables and the head are stored in this form too, and not as floats.
    static var holdsTables: Bool { get }
    /// Whether it has room for a matrix as it is stored.
    func accepts(_ matrix: any LinearOperator) -> Bool
    /// The spec under which a matrix has room as it is stored; nil if there is none.
    static func spec(for matrix: any LinearOperator) -> String?
    /// What a matrix that is accepted, or one of floats that will be rounded, is stored as.
    func parts(of matrix: any LinearOperator) -> [CheckpointPart]
    /// The tensors of a matrix that is accepted, in the order of `parts`.
    func encode(_ matrix: any LinearOperator) throws(PithError) -> [StoredTensor]
    /// Says in `config.json` how weights are stored; `floats` are the names of the modules whose weights stay floats.
    func describe(in configuration: inout JSONObject, floats: [String])
}

extension CheckpointWriter {
    package static var holdsTables: Bool { false }
    package func validate(rows: Int, columns: Int) throws(PithError) {}
}

/// A format whose matrices are codes on grids of whole numbers.
package protocol AffineCheckpoint: CheckpointWriter {
    /// Whether there is room for codes as they are.
    func accepts(_ codes: AffineGridShape) -> Bool
    /// The spec under which such codes have room; nil if there is none.
    static func spec(for codes: AffineGridShape) -> String?
    /// The tensors of a matrix of that shape.
    func parts(rows: Int, columns: Int) -> [CheckpointPart]
    /// The tensors of codes, in the order of `parts`.
    func encode(_ codes: AffineCodes) throws(PithError) -> [StoredTensor]
}

/// What kind of grid codes lie on.
package struct AffineGridShape: Sendable {
    package let rows: Int
    package let columns: Int
    package let bits: Int
    /// Columns of a group; those of a row where there is one.
    package let groupSize: Int
    package let isSymmetric: Bool
    package let hasMinima: Bool
    package let isReordered: Bool
}

extension AffineCodes {
    package var gridShape: AffineGridShape {
        AffineGridShape(
            rows: rows, columns: columns, bits: bits, groupSize: groupSize, isSymmetric: isSymmetric,
            hasMinima: minima != nil, isReordered: order != nil)
    }
}

extension AffineCheckpoint {
    package func accepts(_ matrix: any LinearOperator) -> Bool {
        AffineCodes(matrix).map { accepts($0.gridShape) } ?? false
    }

    package static func spec(for matrix: any LinearOperator) -> String? {
        AffineCodes(matrix).flatMap { spec(for: $0.gridShape) }
    }

    package func parts(of matrix: any LinearOperator) -> [CheckpointPart] {
        parts(rows: matrix.outputCount, columns: matrix.inputCount)
    }

    package func encode(_ matrix: any LinearOperator) throws(PithError) -> [StoredTensor] {
        guard let codes = AffineCodes(matrix) else { throw .fault("a matrix that is not on a grid of whole numbers") }
        return try encode(codes)
    }
}

/// What formats of other programs say of a grid, and how they are checked.
struct CheckpointGrid: Sendable {
    let bits: Int
    /// 0 for all columns.
    let group: Int
    var symmetric = false

    func size(_ columns: Int) -> Int { group == 0 ? max(1, columns) : group }
    func groups(_ columns: Int) -> Int { AffineCodes.groups(columns, size(columns)) }
    var form: any GridForm { GridOptions(bits: bits, group: group, symmetric: symmetric) }

    func fits(_ codes: AffineGridShape) -> Bool {
        codes.bits == bits && codes.groupSize == min(size(codes.columns), codes.columns) && !codes.hasMinima
            && (codes.isSymmetric || !symmetric)
    }

    /// Refuses rows whose last group is shorter.
    func requireWholeGroups(_ columns: Int) throws(PithError) {
        guard columns % size(columns) == 0 else {
            throw .usage(
                "\(columns) inputs are not whole groups of \(group)", remedy: "a smaller group=, for example group=32")
        }
    }

    /// Refuses groups that Pith has no layout for.
    func check(_ name: String, bits known: [Int]) throws(PithError) {
        guard known.contains(bits) else {
            let list = known.map(String.init).joined(separator: ", ")
            throw .usage("\(name) has no codes of \(bits) bits", remedy: "\(list) are known")
        }
        guard group % 32 == 0 else {
            throw .usage("groups of \(group) inputs are not supported", remedy: "a multiple of 32, or 0 for all")
        }
    }

    /// The options `bits=`, `group=` and `symmetric=` that codes lie on.
    static func options(_ codes: AffineGridShape) -> String {
        "bits=\(codes.bits),group=\(codes.groupSize == codes.columns ? 0 : codes.groupSize)"
    }
}

extension TensorArchive {
    /// A tensor of a known shape.
    func tensor(_ name: String, _ shape: [Int]) throws(PithError) -> StoredTensor {
        let tensor = try tensor(name)
        guard tensor.shape == shape else {
            throw .data("is \(tensor.shape)", at: "tensor \(name)", remedy: "\(shape) is expected")
        }
        return tensor
    }
}
