import PithCore
import PithFormats
import PithModels

/// A tensor of a model that is being compressed, as it is to be stored.
public struct FinishedTensor: Sendable {
    /// What there is to store.
    public enum Value: Sendable {
        /// A matrix or table in its new form.
        case matrix(any StoredLinear)
        /// What stays as it came.
        case content(TensorContent)
    }

    /// The name in a Hugging Face folder.
    public let name: String
    /// The parameter; nil of what a folder holds besides.
    public let parameter: ParameterID?
    /// What there is to store.
    public let value: Value

    /// The tensors that are written for it, by name.
    var contents: [(name: String, content: TensorContent)] {
        switch value {
        case .matrix(let matrix): matrix.tensors(named: name).map { ($0.name, TensorContent($0.tensor)) }
        case .content(let content): [(name, content)]
        }
    }
}

/// Where a compressed model goes, part by part: a format that is written.
///
/// Part 0 is what belongs to no layer, part i + 1 is layer i. A part that was written outlives the program: work that
/// was ended goes on behind it.
public protocol CompressionOutput {
    /// Whether a part was written.
    func isWritten(_ part: Int) -> Bool

    /// Writes a part as a whole.
    mutating func write(_ part: Int, _ tensors: [FinishedTensor]) throws(PithError)

    /// The compressed matrices of a part as they were written, by name; their memory is that of the disk.
    func matrices(of part: Int) throws(PithError) -> [String: any LinearOperator]

    /// Makes the parts a model, which appears at `target` when it is whole.
    func finish(at target: String, calibration: CompressionManifest.CalibrationRecord?) throws(PithError)
}
